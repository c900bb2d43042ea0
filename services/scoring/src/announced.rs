//! Cycles that scheduling issued. Scoring scores no other, and the newest weights are those of the one that was announced last: the id
//! that a caller writes into a request proves nothing.

use kinitro_database::stored;
use kinitro_domain::CycleSecret;
use kinitro_proto::scoring::v1 as proto;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;

use crate::{
    input::{Input, Invalid},
    store::StoreError,
};

/// An announcement that was checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub cycle_id: u64,
    block_number: u64,
    secret_sha256: [u8; 32],
}

impl Announcement {
    pub fn parse(request: &proto::AnnounceCycleRequest) -> Result<Self, Invalid> {
        let &proto::AnnounceCycleRequest { cycle_id, block_number, ref secret_hash } = request;
        if cycle_id == 0 || i64::try_from(cycle_id).is_err() {
            return Err(Invalid::new("cycle_id", "must be from 1 to 2^63 - 1"));
        }
        if i64::try_from(block_number).is_err() {
            return Err(Invalid::new("block_number", "must be at most 2^63 - 1"));
        }
        // Both have 32 bytes.
        let digits = CycleSecret::from_hex(secret_hash);
        let digits = digits.map_err(|_| Invalid::new("secret_hash", "must be a SHA-256 digest: 64 hex digits"))?;
        Ok(Self { cycle_id, block_number, secret_sha256: *digits.as_bytes() })
    }
}

/// Why a cycle is not scored.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotIssued {
    #[error("cycle {0} was not announced by scheduling, and no other is scored")]
    Unknown(u64),
    #[error("cycle {cycle_id} was announced at block {announced}, not {block}")]
    OtherBlock { cycle_id: u64, announced: u64, block: u64 },
    #[error("the secret is not that of cycle {0}, whose hash was announced")]
    OtherSecret(u64),
}

impl NotIssued {
    /// For programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "CYCLE_NOT_ANNOUNCED",
            Self::OtherBlock { .. } => "CYCLE_AT_OTHER_BLOCK",
            Self::OtherSecret(_) => "CYCLE_SECRET_WRONG",
        }
    }
}

/// Notes an announcement; a second one that says the same changes nothing. False when the id belongs to another cycle.
pub(crate) async fn announce(pool: &PgPool, announcement: &Announcement) -> Result<bool, StoreError> {
    let (cycle_id, block) = (stored(announcement.cycle_id), stored(announcement.block_number));
    let announced = sqlx::query!(
        "INSERT INTO scoring.announced_cycles (cycle_id, block_number, secret_sha256) VALUES ($1, $2, $3)
         ON CONFLICT (cycle_id) DO NOTHING",
        cycle_id,
        block,
        &announcement.secret_sha256[..]
    )
    .execute(pool)
    .await?;
    if announced.rows_affected() > 0 {
        return Ok(true);
    }
    let known = find(pool, announcement.cycle_id).await?;
    // What was scored before there were announcements has no secret to compare.
    let same = |known: Known| {
        known.block_number == block && known.secret_sha256.is_none_or(|hash| hash == announcement.secret_sha256)
    };
    Ok(known.is_some_and(same))
}

/// Whether a cycle that is to be scored is one that was announced.
pub(crate) async fn check(pool: &PgPool, input: &Input) -> Result<Result<(), NotIssued>, StoreError> {
    let (cycle_id, block) = (input.cycle.id, input.cycle.block_number);
    let Some(known) = find(pool, cycle_id).await? else { return Ok(Err(NotIssued::Unknown(cycle_id))) };
    if known.block_number != stored(block) {
        let announced = u64::try_from(known.block_number).unwrap_or_default();
        return Ok(Err(NotIssued::OtherBlock { cycle_id, announced, block }));
    }
    let hash = input.secret.as_ref().map(|secret| Sha256::digest(secret.as_bytes()).to_vec());
    let known_by_caller = hash.is_some() && hash == known.secret_sha256;
    Ok(if known_by_caller { Ok(()) } else { Err(NotIssued::OtherSecret(cycle_id)) })
}

struct Known {
    block_number: i64,
    secret_sha256: Option<Vec<u8>>,
}

async fn find(pool: &PgPool, cycle_id: u64) -> Result<Option<Known>, StoreError> {
    let found = sqlx::query_as!(
        Known,
        "SELECT block_number, secret_sha256 FROM scoring.announced_cycles WHERE cycle_id = $1",
        stored(cycle_id)
    );
    Ok(found.fetch_optional(pool).await?)
}
