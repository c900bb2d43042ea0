-- What the last cycle found of a miner, written when it is scored: shown beside the miner without reading tasks. Absent for cycles of before.
ALTER TABLE scheduling.evaluated_miners
    ADD COLUMN last_block        bigint,
    -- The mean over the environments of the part of its episodes that succeeded.
    ADD COLUMN last_success_rate double precision,
    -- The environments in which at least one of its episodes counted, in the order of the cycle.
    ADD COLUMN last_env_ids      text[] NOT NULL DEFAULT '{}';
