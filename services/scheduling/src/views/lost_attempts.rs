use kinitro_database::{timestamp, unsigned32};
use kinitro_domain::{CycleId, CycleSecret, EnvId};
use kinitro_proto::scheduling::v1::{ListLostAttemptsResponse, LostAttempt, RedrawnEpisode};

use crate::{
    cycles::Cycles,
    database::{Which, find_cycle},
    error::CycleError,
};

impl Cycles {
    /// The episodes of an ended cycle whose seeds were drawn anew, so that anyone can compute with the secret what was played; without an id of
    /// the newest cycle. Of an open one it says nothing: the seeds would tell what is still played.
    pub async fn list_lost_attempts(&self, id: Option<CycleId>) -> Result<ListLostAttemptsResponse, CycleError> {
        let cycle = find_cycle(&self.pool, id.map_or(Which::Newest, Which::Id)).await?.ok_or(CycleError::NotFound)?;
        if cycle.is_open() {
            return Ok(ListLostAttemptsResponse::default());
        }
        let secret = <[u8; 32]>::try_from(cycle.secret.as_slice())
            .map(CycleSecret::from_bytes)
            .map_err(|_| CycleError::Corrupt(format!("the secret of cycle {} has not 32 bytes", cycle.id)))?;
        let rows = sqlx::query!(
            r#"SELECT l.task_id, l.attempt, l.executor_id, l.cause, l.held,
                      (extract(epoch FROM l.ended_at) * 1000000)::bigint AS "ended_us!",
                      t.uid, t.env_id, t.episode, t.seed, t.draws, t.played_draw
                 FROM scheduling.lost_attempts l JOIN scheduling.tasks t ON t.id = l.task_id
                WHERE l.cycle_id = $1
                ORDER BY t.uid, t.env_id, t.episode, l.attempt"#,
            cycle.id
        )
        .fetch_all(&self.pool)
        .await?;
        let mut episodes: Vec<RedrawnEpisode> = Vec::new();
        for row in rows {
            let task_uuid = row.task_id.to_string();
            if episodes.last().is_none_or(|episode| episode.task_uuid != task_uuid) {
                let env_id: EnvId =
                    row.env_id.parse().map_err(|error| CycleError::Corrupt(format!("task {task_uuid}: {error}")))?;
                let played_draw = row.played_draw.map(|draw| unsigned32(i64::from(draw)));
                let seed = played_draw.map(|draw| match draw {
                    0 => unsigned32(row.seed),
                    draw => secret.drawn_seed(&env_id, u64::from(row.episode.unsigned_abs()), draw).0,
                });
                episodes.push(RedrawnEpisode {
                    task_uuid,
                    miner_uid: unsigned32(i64::from(row.uid)),
                    env_id: row.env_id,
                    episode: unsigned32(i64::from(row.episode)),
                    draws: unsigned32(i64::from(row.draws)),
                    played_draw,
                    seed,
                    attempts: Vec::new(),
                    held_against_miner: false,
                });
            }
            if let Some(episode) = episodes.last_mut() {
                episode.held_against_miner |= row.held;
                episode.attempts.push(LostAttempt {
                    attempt: unsigned32(i64::from(row.attempt)),
                    executor_id: row.executor_id,
                    cause: row.cause,
                    ended_at: Some(timestamp(row.ended_us)),
                });
            }
        }
        Ok(ListLostAttemptsResponse { episodes })
    }
}
