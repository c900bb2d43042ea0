-- What keeps a miner from choosing its scenes, and from taking the time of others.

-- Fixed when the cycle starts, as what must be played is.
ALTER TABLE scheduling.cycles
    ADD COLUMN max_lost_share double precision NOT NULL DEFAULT 0.05 CHECK (max_lost_share >= 0 AND max_lost_share <= 1);

ALTER TABLE scheduling.tasks
    -- How often the seed was drawn anew: the drawing of the current or next lease.
    ADD COLUMN draws       integer NOT NULL DEFAULT 0,
    -- The drawing on which the recorded result was played; absent while there is none, and when that cannot be told.
    ADD COLUMN played_draw integer,
    -- The current lease.
    ADD COLUMN leased_at   timestamptz;

-- Attempts that may have shown an observation and brought no result: after each of them the seed is drawn anew.
CREATE TABLE scheduling.lost_attempts (
    task_id     uuid NOT NULL,
    attempt     integer NOT NULL,
    cycle_id    bigint NOT NULL,
    uid         integer NOT NULL,
    executor_id text NOT NULL,
    -- That of the fault; `lease_lost` when the lease expired, `released` when it was handed back.
    cause       text NOT NULL,
    -- The executor said that the policy had seen an observation: only such an attempt can be held against the miner. False when the
    -- executor does not tell, as those of the Python system do not.
    observed    boolean NOT NULL DEFAULT false,
    ended_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The episode counts as a failure of the miner: too many of its attempts were lost, and not those of others.
    held        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (task_id, attempt)
);

CREATE INDEX lost_attempts_by_cycle ON scheduling.lost_attempts (cycle_id);

-- Attempts that did not reach the policy, by whatever executor: whose network was down is decided over all of them.
CREATE TABLE scheduling.unreached_attempts (
    task_id        uuid NOT NULL,
    attempt        integer NOT NULL,
    cycle_id       bigint NOT NULL,
    uid            integer NOT NULL,
    executor_id    text NOT NULL,
    -- Whether the executor reached its beacon then; absent when it has none.
    beacon_reached boolean,
    ended_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (task_id, attempt)
);

CREATE INDEX unreached_attempts_by_cycle ON scheduling.unreached_attempts (cycle_id);
