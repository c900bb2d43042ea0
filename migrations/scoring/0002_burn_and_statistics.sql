-- A scheme may give the whole weight to a uid that is no miner's, so weights belong to a cycle and not to a score.
ALTER TABLE scoring.weights DROP CONSTRAINT weights_cycle_id_uid_fkey;
ALTER TABLE scoring.weights
    ADD FOREIGN KEY (cycle_id) REFERENCES scoring.cycles (cycle_id),
    ADD CHECK (uid BETWEEN 0 AND 65535);

ALTER TABLE scoring.cycles
    -- Where the whole weight went because nobody earned anything.
    ADD COLUMN burn_uid integer CHECK (burn_uid BETWEEN 0 AND 65535),
    -- The encoded message Statistics of scoring.proto; absent for cycles that were scored before it existed.
    ADD COLUMN statistics bytea;

-- Absent when the points were counted exactly.
ALTER TABLE scoring.scores ADD COLUMN points_standard_error double precision CHECK (points_standard_error >= 0);
