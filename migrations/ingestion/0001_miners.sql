-- What miners committed, as of the newest finalized block that was read. Everything is keyed by the chain's genesis hash, so that a
-- development chain made anew is another chain, not a contradiction.
CREATE SCHEMA IF NOT EXISTS ingestion;

CREATE TABLE ingestion.heads (
    genesis_hash text NOT NULL,
    netuid       integer NOT NULL,
    block_number bigint NOT NULL,
    block_hash   text NOT NULL,
    observed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (genesis_hash, netuid)
);

-- Who holds which uid, and the policy committed. A uid taken over by another hotkey is another miner: its row is replaced.
CREATE TABLE ingestion.miners (
    genesis_hash       text NOT NULL,
    netuid             integer NOT NULL,
    uid                integer NOT NULL,
    hotkey             text NOT NULL,
    status             text NOT NULL CHECK (status IN ('active', 'uncommitted', 'invalid')),
    status_reason      text NOT NULL,
    repo               text NOT NULL,
    revision           text NOT NULL,
    endpoint           text NOT NULL,
    endpoint_encrypted boolean NOT NULL,
    first_commit_block bigint NOT NULL,
    commit_block       bigint NOT NULL,
    -- What stood on the chain, also when nobody can read it.
    commitment         bytea NOT NULL,
    PRIMARY KEY (genesis_hash, netuid, uid)
);

-- The first commitment of every policy by every hotkey: the priority of the scoring rule. A policy is a repository, a revision and an
-- endpoint; committing it again, or coming back to it, keeps its first block. Rows are never changed.
CREATE TABLE ingestion.first_commitments (
    genesis_hash text NOT NULL,
    netuid       integer NOT NULL,
    hotkey       text NOT NULL,
    policy       text NOT NULL,
    block_number bigint NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (genesis_hash, netuid, hotkey, policy)
);
