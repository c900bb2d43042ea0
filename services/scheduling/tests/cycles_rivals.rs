//! What a cycle makes of miners that would choose their scenes, or be blamed for none.
#![allow(clippy::unwrap_used)]

mod cycles_support;

use std::collections::BTreeMap;

use cycles_support::{Deployment, Replica, failure, success, unreachable};
use kinitro_domain::CycleSecret;
use kinitro_proto::scheduling::v1::{ListLostAttemptsRequest, RedrawnEpisode, Task, TaskResult};

/// Ended as our fault after the policy had seen an observation.
fn lost(task: &Task) -> TaskResult {
    TaskResult {
        verdict: "infrastructure_fault".to_owned(),
        cause: "executor".to_owned(),
        error: Some("it broke".to_owned()),
        observation_shown: Some(true),
        total_reward: 0.0,
        ..failure(task)
    }
}

async fn lost_attempts(replica: &mut Replica, cycle_id: u64) -> Vec<RedrawnEpisode> {
    let request = ListLostAttemptsRequest { cycle_id: Some(cycle_id) };
    replica.client.list_lost_attempts(request).await.unwrap().into_inner().episodes
}

/// The outcomes that scoring was told, by uid.
fn outcomes(deployment: &Deployment) -> BTreeMap<u32, String> {
    let scored = deployment.script.scored();
    scored[0].tallies.iter().map(|tally| (tally.uid, tally.outcomes.clone())).collect()
}

#[tokio::test]
async fn an_episode_on_a_seed_of_its_own_counts_is_not_paired_and_can_be_checked() {
    let deployment = Deployment::new(2).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let mut done = 0;
    let mut lost_task = None;
    while done < 4 {
        let leased = replica.lease(1).await;
        let task = leased.first().expect("there is work left");
        if lost_task.is_none() && task.miner_uid == 1 {
            lost_task = Some(task.clone());
            replica.complete(vec![lost(task)]).await;
            assert_eq!(lost_attempts(&mut replica, cycle.id).await, [], "the seeds are secret while the cycle runs");
        } else {
            done += 1;
            replica.complete(vec![success(task)]).await;
        }
    }
    let ended = replica.wait_for(cycle.id, "completed").await;
    let outcomes = outcomes(&deployment);
    assert_eq!(outcomes[&0], "11");
    assert!(["s1", "1s"].contains(&outcomes[&1].as_str()), "{outcomes:?}");

    let lost_task = lost_task.unwrap();
    let episodes = lost_attempts(&mut replica, cycle.id).await;
    assert_eq!(episodes.len(), 1);
    let episode = &episodes[0];
    assert_eq!((episode.miner_uid, episode.draws, episode.played_draw), (1, 1, Some(1)));
    assert_eq!((episode.attempts[0].attempt, episode.attempts[0].cause.as_str()), (1, "executor"));
    let secret = CycleSecret::from_hex(&ended.secret).unwrap();
    let env_id = episode.env_id.parse().unwrap();
    assert_eq!(lost_task.seed, secret.episode_seed(&env_id, u64::from(episode.episode)).0);
    assert_eq!(episode.seed, Some(secret.drawn_seed(&env_id, u64::from(episode.episode), 1).0));
    assert!(!episode.held_against_miner);
}

/// Plays a cycle in which miner 2 breaks every other episode at its first attempt, and the executor reports that so: the miner's outcomes, and
/// the episodes that were drawn anew.
async fn cycle_with_a_cheat(broken: fn(&Task) -> TaskResult) -> (String, Vec<RedrawnEpisode>) {
    let mut deployment = Deployment::new(3).await;
    deployment.config.episodes_per_env = 18;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let (mut done, mut met) = (0, 0);
    while done < 3 * 18 {
        let leased = replica.lease(10).await;
        assert!(!leased.is_empty());
        let results: Vec<TaskResult> = leased
            .iter()
            .map(|task| match task.miner_uid {
                // Would lose every other scene, and wins on what it is given then.
                2 if task.attempt == 1 => {
                    met += 1;
                    if met % 2 == 0 { broken(task) } else { success(task) }
                }
                _ => success(task),
            })
            .collect();
        done += results.iter().filter(|result| result.success).count();
        replica.complete(results).await;
    }
    replica.wait_for(cycle.id, "completed").await;
    let redrawn = lost_attempts(&mut replica, cycle.id).await;
    let outcomes = outcomes(&deployment);
    assert_eq!([&outcomes[&0], &outcomes[&1]], ["1".repeat(18).as_str(); 2]);
    // Two may be chance.
    assert!(redrawn.len() > 2);
    (outcomes[&2].clone(), redrawn)
}

#[tokio::test]
async fn a_cheat_that_breaks_whatever_it_would_lose_has_lost_it() {
    let (outcomes, redrawn) = cycle_with_a_cheat(lost).await;
    let failures = outcomes.chars().filter(|letter| *letter == '0').count();
    assert_eq!(
        (failures, redrawn.iter().filter(|episode| episode.held_against_miner).count()),
        (redrawn.len(), redrawn.len())
    );
}

#[tokio::test]
async fn what_an_executor_loses_that_does_not_tell_what_was_seen_is_held_against_no_miner() {
    let (outcomes, redrawn) = cycle_with_a_cheat(|task| TaskResult { observation_shown: None, ..lost(task) }).await;
    assert!(!outcomes.contains('0'), "{outcomes}");
    assert_eq!(outcomes.chars().filter(|letter| *letter == 's').count(), redrawn.len(), "played on seeds of their own");
    assert!(redrawn.iter().all(|episode| !episode.held_against_miner));
}

/// Plays a cycle of four miners, nine episodes each, in which miners 1 to `last` close their sockets after two episodes. The others are played to
/// their end before that is seen.
async fn cycle_with_vanishing_miners(last: u32, end: &str) -> Deployment {
    let mut deployment = Deployment::new(4).await;
    deployment.config.episodes_per_env = 9;
    // The longest that a task waits for its next attempt.
    deployment.config.task_stale_threshold_seconds = 1;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let mut played: BTreeMap<u32, u32> = BTreeMap::new();
    while replica.cycle(Some(cycle.id)).await.unwrap().status == "running" {
        let results: Vec<TaskResult> = replica
            .lease_now(100)
            .await
            .iter()
            .map(|task| {
                let played = played.entry(task.miner_uid).or_default();
                match task.miner_uid {
                    uid if uid == 0 || uid > last => success(task),
                    _ if *played >= 2 => unreachable(task),
                    _ => {
                        *played += 1;
                        success(task)
                    }
                }
            })
            .collect();
        replica.complete(results).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    replica.wait_for(cycle.id, end).await;
    deployment
}

#[tokio::test]
async fn miners_that_vanish_together_have_failed_what_they_left_open() {
    let deployment = cycle_with_vanishing_miners(2, "completed").await;
    let outcomes = outcomes(&deployment);
    assert_eq!(outcomes[&0], "1".repeat(9));
    let count = |letter: char| (1..3).map(|uid| outcomes[&uid].matches(letter).count()).sum::<usize>();
    assert_eq!((count('1'), count('0'), count('-')), (4, 14, 0), "{outcomes:?}");
}

#[tokio::test]
async fn when_most_hosts_are_away_to_the_end_and_no_policy_was_reached_any_more_nothing_is_scored() {
    let deployment = cycle_with_vanishing_miners(3, "unscored").await;
    assert!(deployment.script.scored().is_empty());
}

#[tokio::test]
async fn an_attempt_that_the_deadline_cut_off_does_not_excuse_a_miner_that_was_never_reached() {
    let deployment = Deployment::new(2).await;
    let mut replica = deployment.start().await;
    let cycle = replica.start_cycle().await.unwrap();
    let leased = replica.lease(4).await;
    let results =
        leased.iter().map(|task| if task.miner_uid == 0 { success(task) } else { unreachable(task) }).collect();
    replica.complete(results).await;
    // They wait for their next attempts.
    let mut postgres = deployment.postgres().await;
    sqlx::query("UPDATE scheduling.cycles SET deadline = now()").execute(&mut postgres).await.unwrap();
    replica.wait_for(cycle.id, "timed_out").await;
    assert_eq!(outcomes(&deployment), BTreeMap::from([(0, "11".to_owned()), (1, "00".to_owned())]));
}
