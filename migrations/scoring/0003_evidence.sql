-- Cycles that scheduling issued, in the order in which it did. Only these are scored, and the newest weights are those of the newest of
-- them: an id proves nothing.
CREATE TABLE scoring.announced_cycles (
    cycle_id      bigint PRIMARY KEY CHECK (cycle_id > 0),
    number        bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    -- The finalized block at which the cycle read the miners.
    block_number  bigint NOT NULL CHECK (block_number >= 0),
    -- Of the cycle's secret: whoever has the cycle scored must know it. Absent for cycles that were scored before there were announcements.
    secret_sha256 bytea CHECK (octet_length(secret_sha256) = 32),
    announced_at  timestamptz NOT NULL DEFAULT now()
);

-- What was scored before counts as announced, in the order that held then.
INSERT INTO scoring.announced_cycles (cycle_id, block_number, announced_at)
SELECT cycle_id, block_number, created_at FROM scoring.cycles ORDER BY cycle_id;

CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON scoring.announced_cycles EXECUTE FUNCTION scoring.refuse_change();

-- All absent for cycles that were scored before these existed.
ALTER TABLE scoring.cycles
    -- Episodes that were to be played, and those that count.
    ADD COLUMN episodes_planned bigint CHECK (episodes_planned > 0),
    ADD COLUMN episodes_played  bigint CHECK (episodes_played BETWEEN 0 AND episodes_planned),
    -- What part of them had to count.
    ADD COLUMN min_played_share double precision CHECK (min_played_share > 0 AND min_played_share <= 1),
    -- The cycle whose weights stood until then: those of miners that were not evaluated come from it.
    ADD COLUMN previous_cycle_id bigint REFERENCES scoring.cycles (cycle_id),
    -- What was done because no miner succeeded: `keep`, `burn` or `published`; absent where one did.
    ADD COLUMN no_success text CHECK (no_success IN ('keep', 'burn', 'published')),
    -- Why the cycle has no weights, so that those of before stand; absent where it has.
    ADD COLUMN weights_kept text;

ALTER TABLE scoring.weights
    -- Of a miner that was not evaluated, because too few of its episodes could be played: in how many cycles in a row, this one included.
    ADD COLUMN not_evaluated integer CHECK (not_evaluated > 0);
