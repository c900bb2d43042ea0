-- A miner whose endpoint another registered hotkey committed first is shown and not evaluated.
ALTER TABLE ingestion.miners DROP CONSTRAINT miners_status_check;
ALTER TABLE ingestion.miners ADD CONSTRAINT miners_status_check
    CHECK (status IN ('active', 'uncommitted', 'invalid', 'duplicate_endpoint'));
