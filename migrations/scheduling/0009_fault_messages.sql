-- What of a policy's fault its miner may read in public: status and first line of what the policy answered. Bounded before it comes here.
ALTER TABLE scheduling.tasks ADD COLUMN fault_message text;
-- Cause to the last such message of the last cycle.
ALTER TABLE scheduling.evaluated_miners ADD COLUMN last_fault_messages jsonb NOT NULL DEFAULT '{}';
