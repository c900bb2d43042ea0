//! The miners in Postgres, keyed by the chain's genesis hash and the subnet.

use kinitro_chain::{BlockHash, BlockRef};
use kinitro_database::{stored, unsigned};
use kinitro_domain::{BlockNumber, Hotkey, MinerUid};
use sqlx::{PgPool, postgres::PgConnection};

use crate::{
    first::{FirstCommitments, PolicyKey},
    snapshot::{Miner, Snapshot, Status},
};

/// The tables of one subnet of one chain.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    genesis: String,
    netuid: i32,
}

impl Store {
    pub fn new(pool: PgPool, genesis: BlockHash, netuid: u16) -> Self {
        Self { pool, genesis: genesis.to_string(), netuid: netuid.into() }
    }

    /// The last snapshot of this chain, if one was ever stored.
    pub async fn load(&self) -> Result<Option<Snapshot>, sqlx::Error> {
        load(&self.pool, &self.genesis, self.netuid).await
    }

    /// The first block of every policy ever seen on this subnet.
    pub async fn first_commitments(&self) -> Result<FirstCommitments, sqlx::Error> {
        let rows = sqlx::query!(
            "SELECT hotkey, policy, block_number FROM ingestion.first_commitments WHERE genesis_hash = $1 AND netuid = $2",
            self.genesis,
            self.netuid,
        )
        .fetch_all(&self.pool)
        .await?;
        let row = rows.into_iter().map(|row| (PolicyKey::stored(row.hotkey, row.policy), block(row.block_number)));
        Ok(FirstCommitments::stored(row.collect()))
    }

    /// Makes a snapshot the newest, in one transaction. `known` is what it was made from; `new` is what a changed snapshot adds:
    /// `None` when only the block and the time are new.
    ///
    /// False, with nothing changed, when another replica has stored a newer block or a first commitment meanwhile: then the
    /// snapshot may be wrong, for instance about whose an endpoint is. Whoever stores anything holds the row of the head first,
    /// so nothing comes between the question and the answer.
    pub async fn save(
        &self,
        snapshot: &Snapshot,
        known: &FirstCommitments,
        new: Option<&[(PolicyKey, BlockNumber)]>,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let newest = self.save_head(&mut transaction, snapshot).await?;
        let stored = newest
            && self.count_first_commitments(&mut transaction).await? == known.rows()
            && self.save_first_commitments(&mut transaction, new.unwrap_or_default()).await?;
        if !stored {
            transaction.rollback().await?;
            return Ok(false);
        }
        if new.is_some() {
            self.save_miners(&mut transaction, &snapshot.miners).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn count_first_commitments(&self, connection: &mut PgConnection) -> Result<usize, sqlx::Error> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM ingestion.first_commitments WHERE genesis_hash = $1 AND netuid = $2"#,
            self.genesis,
            self.netuid,
        );
        Ok(usize::try_from(count.fetch_one(connection).await?).unwrap_or_default())
    }

    async fn save_head(&self, connection: &mut PgConnection, snapshot: &Snapshot) -> Result<bool, sqlx::Error> {
        sqlx::query!(
            "INSERT INTO ingestion.heads (genesis_hash, netuid, block_number, block_hash, observed_at)
             VALUES ($1, $2, $3, $4, to_timestamp($5::double precision))
             ON CONFLICT (genesis_hash, netuid) DO UPDATE
             SET block_number = excluded.block_number, block_hash = excluded.block_hash, observed_at = excluded.observed_at
             WHERE heads.block_number <= excluded.block_number",
            self.genesis,
            self.netuid,
            number(snapshot.block.number),
            snapshot.block.hash.to_string(),
            snapshot.observed_at.0 as f64 + f64::from(snapshot.observed_at.1) * 1e-9,
        )
        .execute(connection)
        .await
        .map(|done| done.rows_affected() == 1)
    }

    async fn save_first_commitments(
        &self,
        connection: &mut PgConnection,
        policies: &[(PolicyKey, BlockNumber)],
    ) -> Result<bool, sqlx::Error> {
        if policies.is_empty() {
            return Ok(true);
        }
        let hotkeys: Vec<String> = policies.iter().map(|(key, _)| key.hotkey().to_owned()).collect();
        let names: Vec<String> = policies.iter().map(|(key, _)| key.policy().to_owned()).collect();
        let blocks: Vec<i64> = policies.iter().map(|(_, block)| number(*block)).collect();
        sqlx::query!(
            "INSERT INTO ingestion.first_commitments (genesis_hash, netuid, hotkey, policy, block_number)
             SELECT $1, $2, hotkey, policy, block_number
               FROM unnest($3::text[], $4::text[], $5::bigint[]) AS new (hotkey, policy, block_number)
             ON CONFLICT DO NOTHING",
            self.genesis,
            self.netuid,
            &hotkeys,
            &names,
            &blocks,
        )
        .execute(connection)
        .await
        .map(|done| done.rows_affected() == policies.len() as u64)
    }

    async fn save_miners(&self, connection: &mut PgConnection, miners: &[Miner]) -> Result<(), sqlx::Error> {
        sqlx::query!("DELETE FROM ingestion.miners WHERE genesis_hash = $1 AND netuid = $2", self.genesis, self.netuid)
            .execute(&mut *connection)
            .await?;
        let text = |field: fn(&Miner) -> &str| miners.iter().map(|miner| field(miner).to_owned()).collect::<Vec<_>>();
        let uids: Vec<i32> = miners.iter().map(|miner| miner.uid.0.into()).collect();
        let encrypted: Vec<bool> = miners.iter().map(|miner| miner.endpoint_encrypted).collect();
        let first: Vec<i64> = miners.iter().map(|miner| number(miner.first_commit_block)).collect();
        let last: Vec<i64> = miners.iter().map(|miner| number(miner.commit_block)).collect();
        let raw: Vec<Vec<u8>> = miners.iter().map(|miner| miner.commitment.clone()).collect();
        sqlx::query!(
            "INSERT INTO ingestion.miners (genesis_hash, netuid, uid, hotkey, status, status_reason, repo, revision, endpoint,
                                           endpoint_encrypted, first_commit_block, commit_block, commitment)
             SELECT $1, $2, new.*
               FROM unnest($3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                           $10::boolean[], $11::bigint[], $12::bigint[], $13::bytea[]) AS new",
            self.genesis,
            self.netuid,
            &uids,
            &text(|miner| miner.hotkey.as_str()),
            &text(|miner| miner.status.as_str()),
            &text(|miner| &miner.status_reason),
            &text(|miner| &miner.repo),
            &text(|miner| &miner.revision),
            &text(|miner| &miner.endpoint),
            &encrypted,
            &first,
            &last,
            &raw,
        )
        .execute(connection)
        .await
        .map(drop)
    }
}

/// The newest snapshot of a subnet on whatever chain was read last: what can be answered before the chain is reached.
pub async fn load_newest(pool: &PgPool, netuid: u16) -> Result<Option<Snapshot>, sqlx::Error> {
    let genesis = sqlx::query_scalar!(
        "SELECT genesis_hash FROM ingestion.heads WHERE netuid = $1 ORDER BY observed_at DESC LIMIT 1",
        i32::from(netuid),
    )
    .fetch_optional(pool)
    .await?;
    match genesis {
        Some(genesis) => load(pool, &genesis, netuid.into()).await,
        None => Ok(None),
    }
}

async fn load(pool: &PgPool, genesis: &str, netuid: i32) -> Result<Option<Snapshot>, sqlx::Error> {
    // One statement, so that the head and the miners are of one moment.
    let rows = sqlx::query!(
        r#"SELECT h.block_number, h.block_hash, (extract(epoch FROM h.observed_at) * 1000000)::bigint AS "observed_us!",
                  m.uid AS "uid?", m.hotkey AS "hotkey?", m.status AS "status?", m.status_reason AS "status_reason?",
                  m.repo AS "repo?", m.revision AS "revision?", m.endpoint AS "endpoint?",
                  m.endpoint_encrypted AS "endpoint_encrypted?", m.first_commit_block AS "first_commit_block?",
                  m.commit_block AS "commit_block?", m.commitment AS "commitment?"
             FROM ingestion.heads h LEFT JOIN ingestion.miners m USING (genesis_hash, netuid)
            WHERE h.genesis_hash = $1 AND h.netuid = $2
            ORDER BY m.uid"#,
        genesis,
        netuid,
    )
    .fetch_all(pool)
    .await?;
    let Some(head) = rows.first() else { return Ok(None) };
    let Ok(hash) = head.block_hash.parse() else {
        tracing::error!(
            hash = head.block_hash,
            number = head.block_number,
            "the stored hash of the newest block is damaged; the chain is read anew, and stored from that block on"
        );
        return Ok(None);
    };
    let block_ref = BlockRef { number: block(head.block_number), hash };
    let observed_at = (head.observed_us.div_euclid(1_000_000), head.observed_us.rem_euclid(1_000_000) as i32 * 1000);
    let miners = rows
        .into_iter()
        .filter_map(|row| {
            Some(Miner {
                uid: MinerUid(u16::try_from(row.uid?).ok()?),
                hotkey: Hotkey::try_from(row.hotkey?).ok()?,
                status: Status::from_stored(&row.status?),
                status_reason: row.status_reason?,
                repo: row.repo?,
                revision: row.revision?,
                endpoint: row.endpoint?,
                endpoint_encrypted: row.endpoint_encrypted?,
                first_commit_block: block(row.first_commit_block?),
                commit_block: block(row.commit_block?),
                commitment: row.commitment?,
            })
        })
        .collect();
    Ok(Some(Snapshot { block: block_ref, observed_at, netuid: u16::try_from(netuid).unwrap_or_default(), miners }))
}

/// A stored block number; the tables hold no negative ones.
fn block(number: i64) -> BlockNumber {
    BlockNumber(unsigned(number))
}

/// A block number as Postgres stores it; the chain counts in 32 bits.
fn number(block: BlockNumber) -> i64 {
    stored(block.0)
}
