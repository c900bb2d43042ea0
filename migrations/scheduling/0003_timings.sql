-- Where the time of an episode went, and how quick its policy was. Absent in results of before.
ALTER TABLE scheduling.tasks
    ADD COLUMN simulation_seconds double precision,
    ADD COLUMN render_seconds     double precision,
    ADD COLUMN queue_seconds      double precision,
    ADD COLUMN policy_p50_seconds double precision,
    ADD COLUMN policy_p99_seconds double precision,
    ADD COLUMN policy_max_seconds double precision,
    -- The first lease: what went before is the time that the task waited.
    ADD COLUMN first_leased_at    timestamptz;

-- A finished row is longer now: all rows of a page still have to grow within it.
ALTER TABLE scheduling.tasks SET (fillfactor = 38);
