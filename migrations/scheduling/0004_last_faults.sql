-- Why a miner's episodes could not be played, as far as it lies with its policy: shown beside the miner until its next cycle.
ALTER TABLE scheduling.evaluated_miners
    -- Cause to the number of episodes of the last cycle that ended with it.
    ADD COLUMN last_faults   jsonb NOT NULL DEFAULT '{}',
    -- How many episodes that cycle had for the miner.
    ADD COLUMN last_episodes bigint NOT NULL DEFAULT 0;
