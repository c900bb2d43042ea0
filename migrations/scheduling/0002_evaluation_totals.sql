-- What is asked of all cycles ever, written once when a cycle is scored: answering it never reads the tasks.

-- What a scored cycle counted in each environment.
CREATE TABLE scheduling.cycle_environments (
    cycle_id  bigint NOT NULL REFERENCES scheduling.cycles (id) ON DELETE CASCADE,
    env_id    text NOT NULL,
    counted   bigint NOT NULL CHECK (counted >= 0),
    successes bigint NOT NULL CHECK (successes BETWEEN 0 AND counted),
    PRIMARY KEY (cycle_id, env_id)
);

-- Every hotkey that a scored cycle evaluated, and the end of the last one.
CREATE TABLE scheduling.evaluated_miners (
    hotkey         text PRIMARY KEY,
    last_cycle_id  bigint NOT NULL,
    last_evaluated timestamptz NOT NULL
);
