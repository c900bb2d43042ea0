//! Starts a cycle: the miners of this moment, a new secret, and all tasks, in one transaction.
//!
//! Two guards keep it to one cycle however many replicas try: an advisory lock lets one of them start at a time, and the unique
//! index `one_open_cycle` refuses a second open cycle whatever happens. A crash between the commit and the enqueueing is healed
//! by the reconciler, which enqueues what is pending in Postgres and absent from Redis.

use kinitro_database::unsigned;
use kinitro_domain::{CycleId, CycleSecret, EnvId, TaskId};
use sqlx::{Postgres, Transaction};

use super::Cycles;
use crate::{
    config::{Config, MAX_EPISODES_PER_ENV, at_most},
    database::{CycleRow, Which, find_cycle},
    error::CycleError,
    miners::{Evaluable, evaluable},
    tasks::{NewTask, Tasks, fair_order},
};

/// The most tasks of one cycle.
pub const MAX_TASKS: u64 = 2_000_000;
/// Of the advisory lock under which a cycle starts: "kinitro" as bytes.
const START_LOCK: i64 = 0x6b_69_6e_69_74_72_6f;

/// Who wants the cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// It is due: started only when none started within the interval.
    Timer,
    /// An operator.
    Request,
}

/// What a cycle plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    environments: Vec<EnvId>,
    episodes_per_env: u32,
}

impl Plan {
    /// Checks what was asked for.
    pub fn new(environments: Vec<EnvId>, episodes_per_env: u32) -> Result<Self, CycleError> {
        if environments.is_empty() {
            return Err(CycleError::NoEnvironments);
        }
        at_most(environments.len()).map_err(|problem| CycleError::Invalid {
            field: "env_ids",
            problem: format!("names {problem}: name fewer"),
        })?;
        if !(1..=MAX_EPISODES_PER_ENV).contains(&episodes_per_env) {
            let problem = format!("must be 1 to {MAX_EPISODES_PER_ENV}, or 0 for the configured number");
            return Err(CycleError::Invalid { field: "episodes_per_env", problem });
        }
        Ok(Self { environments, episodes_per_env })
    }

    /// What is configured.
    pub fn of(config: &Config, environments: &[EnvId]) -> Result<Self, CycleError> {
        Self::new(environments.to_vec(), config.episodes_per_env)
    }

    /// How many tasks it is for so many miners.
    fn tasks(&self, miners: usize) -> Result<i32, CycleError> {
        let total = miners as u64 * self.environments.len() as u64 * u64::from(self.episodes_per_env);
        if total > MAX_TASKS {
            let problem = format!(
                "makes {total} tasks ({miners} miners, {} environments), more than {MAX_TASKS}: ask for fewer",
                self.environments.len()
            );
            return Err(CycleError::Invalid { field: "episodes_per_env", problem });
        }
        Ok(i32::try_from(total).unwrap_or(i32::MAX))
    }
}

impl Cycles {
    /// Starts a cycle. Its row is there when this returns; its tasks are queued or will be by the reconciler.
    #[tracing::instrument(skip_all, fields(trigger = ?trigger, cycle_id = tracing::field::Empty))]
    pub async fn start(&self, plan: Plan, trigger: Trigger) -> Result<CycleRow, CycleError> {
        let newest = find_cycle(&self.pool, Which::Newest).await?;
        refuse_beside(newest.as_ref())?;
        if let Some(newest) = newest {
            self.sweep_cancelled(&newest).await?;
        }
        let list = self.ingestion.list_now().await?;
        let miners = evaluable(&list)?;
        if miners.is_empty() {
            return Err(CycleError::NoMiners { registered: list.miners.len() });
        }
        let block = i64::try_from(list.block_number)
            .map_err(|_| CycleError::MinersInconsistent("block_number is too large".to_owned()))?;
        let tasks_total = plan.tasks(miners.len())?;
        let secret = CycleSecret::random();
        let tasks = {
            let (plan, secret, miners) = (plan.clone(), secret.clone(), miners.clone());
            let made = tokio::task::spawn_blocking(move || new_tasks(&plan, &secret, &miners)).await;
            made.map_err(|error| CycleError::Corrupt(format!("the tasks could not be made: {error}")))?
        };

        let mut transaction = self.pool.begin().await?;
        self.guard(&mut transaction, trigger).await?;
        let id = self.insert_cycle(&mut transaction, &plan, &secret, block, tasks_total).await?;
        insert_miners(&mut transaction, id, &miners).await?;
        // Redis gets the tasks beside the queue while Postgres stores them; nobody can lease them before the commit.
        let (staged, inserted) = tokio::join!(self.tasks.stage(&tasks), Tasks::insert(&mut transaction, id, &tasks));
        inserted?;
        sqlx::query!("UPDATE scheduling.cycles SET created_at = clock_timestamp() WHERE id = $1", id.0 as i64)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;

        tracing::Span::current().record("cycle_id", id.0);
        tracing::info!(
            cycle_id = id.0,
            block,
            miners = miners.len(),
            environments = plan.environments.len(),
            tasks_total,
            secret_hash = secret.hash(),
            "cycle started"
        );
        metrics::counter!("kinitro_cycles_started_total").increment(1);
        let queued = match &staged {
            Some(staged) => self.tasks.publish(staged).await,
            None => self.tasks.enqueue(&tasks).await,
        };
        if let Err(error) = queued {
            tracing::warn!(%error, cycle_id = id.0, "the tasks could not be queued; the reconciler will");
        }
        let cycle = find_cycle(&self.pool, Which::Id(id)).await?.ok_or(CycleError::NotFound)?;
        self.publish_started(&cycle, &plan.environments).await;
        self.announce_start(&cycle).await;
        Ok(cycle)
    }

    /// Lets one replica at a time past, and only when no cycle is open or, for the timer, too young.
    async fn guard(&self, transaction: &mut Transaction<'_, Postgres>, trigger: Trigger) -> Result<(), CycleError> {
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", START_LOCK).execute(&mut **transaction).await?;
        let newest = find_cycle(&mut **transaction, Which::Newest).await?;
        refuse_beside(newest.as_ref())?;
        let young = newest.is_some_and(|cycle| cycle.seconds_until(None) < self.config.interval().as_secs_f64());
        if young && trigger == Trigger::Timer {
            return Err(CycleError::NotDue);
        }
        Ok(())
    }

    async fn insert_cycle(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        plan: &Plan,
        secret: &CycleSecret,
        block: i64,
        tasks_total: i32,
    ) -> Result<CycleId, CycleError> {
        let env_ids: Vec<String> = plan.environments.iter().map(ToString::to_string).collect();
        // Not of the sequence: Postgres skips up to 32 of its numbers in a crash, and the number of a cycle that did not come about. The lock
        // of `guard` lets one replica at a time come here.
        let inserted = sqlx::query_scalar!(
            "INSERT INTO scheduling.cycles
                 (id, block_number, state, secret, episodes_per_env, env_ids, tasks_total, traceparent, started_at, deadline,
                  min_played_share, min_miner_share, max_lost_share)
             VALUES ((SELECT coalesce(max(id), 0) + 1 FROM scheduling.cycles),
                     $1, 'running', $2, $3, $4, $5, $6, clock_timestamp(), clock_timestamp() + make_interval(secs => $7), $8, $9, $10)
             RETURNING id",
            block,
            &secret.as_bytes()[..],
            i32::try_from(plan.episodes_per_env).unwrap_or(i32::MAX),
            &env_ids,
            tasks_total,
            kinitro_chassis::current_traceparent().unwrap_or_default(),
            self.config.cycle_timeout_seconds as f64,
            self.config.min_played_share,
            self.config.min_miner_share,
            self.config.max_lost_share,
        )
        .fetch_one(&mut **transaction)
        .await;
        match inserted {
            Ok(id) => Ok(CycleId(unsigned(id))),
            Err(sqlx::Error::Database(error)) if error.constraint() == Some("one_open_cycle") => {
                Err(CycleError::StartedElsewhere)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn refuse_beside(newest: Option<&CycleRow>) -> Result<(), CycleError> {
    match newest {
        Some(cycle) if !cycle.cycle_state()?.is_final() => Err(CycleError::CycleRunning(cycle.cycle_id())),
        _ => Ok(()),
    }
}

async fn insert_miners(
    transaction: &mut Transaction<'_, Postgres>,
    id: CycleId,
    miners: &[Evaluable],
) -> Result<(), sqlx::Error> {
    let text = |field: fn(&Evaluable) -> &str| miners.iter().map(|miner| field(miner).to_owned()).collect::<Vec<_>>();
    sqlx::query!(
        "INSERT INTO scheduling.cycle_miners (cycle_id, uid, hotkey, endpoint, repo, revision, first_commit_block)
         SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])",
        id.0 as i64,
        &miners.iter().map(|miner| i32::from(miner.uid.0)).collect::<Vec<_>>(),
        &text(|miner| miner.hotkey.as_str()),
        &text(|miner| &miner.endpoint),
        &text(|miner| &miner.repo),
        &text(|miner| &miner.revision),
        &miners.iter().map(|miner| miner.first_commit_block).collect::<Vec<_>>(),
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Every miner meets the same seeds. In the order in which they are served, with ids that grow in it.
fn new_tasks(plan: &Plan, secret: &CycleSecret, miners: &[Evaluable]) -> Vec<NewTask> {
    let mut tasks = Vec::with_capacity(miners.len() * plan.environments.len() * plan.episodes_per_env as usize);
    for env_id in &plan.environments {
        for episode in 0..plan.episodes_per_env {
            let seed = secret.episode_seed(env_id, u64::from(episode));
            let id = TaskId(uuid::Uuid::nil());
            tasks.extend(miners.iter().map(|miner| NewTask {
                id,
                uid: miner.uid,
                env_id: env_id.clone(),
                episode,
                seed,
            }));
        }
    }
    fair_order(&mut tasks);
    tasks.iter_mut().for_each(|task| task.id = TaskId::new());
    tasks
}

#[cfg(test)]
mod tests {
    use kinitro_domain::{Hotkey, MinerUid};

    use super::*;

    #[test]
    fn every_miner_plays_every_seed_of_the_cycle_once() {
        let config = Config { episodes_per_env: 3, ..Config::default() };
        let plan = Plan::of(&config, &config.environments().expect("valid")).expect("valid");
        let miner = |uid| Evaluable {
            uid: MinerUid(uid),
            hotkey: Hotkey::try_from("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".to_owned()).expect("valid"),
            endpoint: String::new(),
            repo: String::new(),
            revision: String::new(),
            first_commit_block: 0,
        };
        let secret = CycleSecret::from_bytes([7; 32]);
        let tasks = new_tasks(&plan, &secret, &[miner(3), miner(9)]);
        assert_eq!(tasks.len() as i32, plan.tasks(2).expect("few"));
        assert!(tasks.is_sorted_by_key(|task| task.id), "ids grow in the order of serving");
        for env_id in &plan.environments {
            for episode in 0..3 {
                let seed = secret.episode_seed(env_id, u64::from(episode));
                let same =
                    tasks.iter().filter(|task| (&task.env_id, task.episode, task.seed) == (env_id, episode, seed));
                let mut uids: Vec<u16> = same.map(|task| task.uid.0).collect();
                uids.sort_unstable();
                assert_eq!(uids, [3, 9]);
            }
        }
    }

    #[test]
    fn more_environments_than_can_be_scored_are_refused() {
        let named = |count: usize| (0..count).map(|i| format!("metaworld/e{i}").parse().expect("valid")).collect();
        assert!(Plan::new(named(64), 1).is_ok());
        let refusal = Plan::new(named(65), 1).expect_err("too many");
        assert_eq!(refusal.reason(), "INVALID_ARGUMENT");
        let words = "env_ids names 65 environments, and a cycle can be scored over at most 64: name fewer";
        assert_eq!(refusal.to_string(), words);
    }

    #[test]
    fn more_tasks_than_a_cycle_can_hold_are_refused() {
        let environments = Config::default().environments().expect("valid");
        let plan = Plan::new(environments, MAX_EPISODES_PER_ENV).expect("valid");
        assert!(plan.tasks(1).is_ok());
        let refusal = plan.tasks(1024).expect_err("too many").to_string();
        assert!(refusal.contains("30720000 tasks"), "{refusal}");
    }
}
