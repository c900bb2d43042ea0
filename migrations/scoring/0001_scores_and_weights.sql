-- Scored cycles with their exact inputs. Rows are written once, in one transaction a cycle, and stay for ever.
CREATE SCHEMA IF NOT EXISTS scoring;

CREATE TABLE scoring.cycles (
    cycle_id          bigint PRIMARY KEY CHECK (cycle_id > 0),
    block_number      bigint NOT NULL CHECK (block_number >= 0),
    -- The cycle as scheduling describes it.
    status            text NOT NULL CHECK (status IN ('completed', 'timed_out')),
    started_at        timestamptz,
    completed_at      timestamptz,
    n_miners          bigint NOT NULL,
    n_environments    bigint NOT NULL,
    duration_seconds  double precision NOT NULL,
    env_ids           text[] NOT NULL,
    -- The rule that scored it. `json` keeps the text as it was written, so the parameters read back to the bit.
    scheme            text NOT NULL,
    scheme_parameters json NOT NULL,
    -- The ScoreCycleRequest in canonical order (see services/scoring/src/input.rs): what a replay starts from.
    request           bytea NOT NULL,
    -- SHA-256 of what decides the scores; a second call for the cycle must have the same one.
    request_sha256    bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
    created_at        timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX cycles_by_block ON scoring.cycles (block_number, cycle_id);

CREATE TABLE scoring.scores (
    cycle_id           bigint NOT NULL REFERENCES scoring.cycles (cycle_id),
    uid                integer NOT NULL CHECK (uid BETWEEN 0 AND 65535),
    hotkey             text NOT NULL,
    first_commit_block bigint NOT NULL,
    -- Exact, up to 128 bits.
    points             numeric(39, 0) NOT NULL CHECK (points >= 0),
    on_frontier        boolean NOT NULL,
    PRIMARY KEY (cycle_id, uid)
);

CREATE TABLE scoring.details (
    cycle_id           bigint NOT NULL,
    uid                integer NOT NULL,
    -- Index into the cycle's env_ids, from 0.
    position           integer NOT NULL,
    env_id             text NOT NULL,
    success_rate       double precision NOT NULL CHECK (success_rate BETWEEN 0 AND 1),
    mean_reward        double precision NOT NULL,
    episodes_completed integer NOT NULL,
    episodes_failed    integer NOT NULL,
    PRIMARY KEY (cycle_id, uid, position),
    FOREIGN KEY (cycle_id, uid) REFERENCES scoring.scores (cycle_id, uid)
);

CREATE TABLE scoring.weights (
    cycle_id bigint NOT NULL,
    uid      integer NOT NULL,
    weight   double precision NOT NULL CHECK (weight BETWEEN 0 AND 1),
    -- As the chain takes it; 0 is left out there.
    scaled   integer NOT NULL CHECK (scaled BETWEEN 0 AND 65535),
    PRIMARY KEY (cycle_id, uid),
    FOREIGN KEY (cycle_id, uid) REFERENCES scoring.scores (cycle_id, uid)
);

-- What was published is not changed any more, not by mistake either. (Dropping the schema, as `kinitro db reset` does,
-- remains possible.)
CREATE FUNCTION scoring.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of scoring.% are kept as they are', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON scoring.cycles EXECUTE FUNCTION scoring.refuse_change();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON scoring.scores EXECUTE FUNCTION scoring.refuse_change();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON scoring.details EXECUTE FUNCTION scoring.refuse_change();
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON scoring.weights EXECUTE FUNCTION scoring.refuse_change();
