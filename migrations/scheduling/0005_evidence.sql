-- A cycle in which too little was played ends without being scored: the weights of before stand.
ALTER TABLE scheduling.cycles DROP CONSTRAINT cycles_state_check;
ALTER TABLE scheduling.cycles
    ADD CONSTRAINT cycles_state_check
        CHECK (state IN ('running', 'scoring', 'completed', 'timed_out', 'unscored', 'cancelled')),
    -- What must be played, fixed when the cycle starts: every try to score it says the same. The defaults are those of the settings,
    -- for cycles that were started before there were any.
    ADD COLUMN min_played_share double precision NOT NULL DEFAULT 0.9 CHECK (min_played_share > 0 AND min_played_share <= 1),
    ADD COLUMN min_miner_share  double precision NOT NULL DEFAULT 0.5 CHECK (min_miner_share > 0 AND min_miner_share <= 1),
    -- Why the weights of before stand although the cycle ended; absent where it published its own.
    ADD COLUMN unpublished_reason text;
