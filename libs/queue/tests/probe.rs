//! What a Redis that refuses something looks like, and what its user needs, against a real Redis with access rules.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, time::Duration};

use kinitro_domain::{CycleId, EnvId, ExecutorId, MinerUid, TaskId};
use kinitro_queue::{
    Condition, Entry, Event, EventBus, EventKind, Eviction, LeaseRequest, QueueError, WorkQueue, redis_url,
};

const GUIDE: &str = include_str!("../../../docs/operators.md");
const LONG: Duration = Duration::from_secs(600);

/// What the guide gives a user, after its name and password.
fn documented() -> Vec<String> {
    let line =
        GUIDE.lines().find(|line| line.starts_with("user kinitro on ")).expect("docs/operators.md has the rules");
    let rules = line.split_once("resetkeys").expect("keys are reset first").1;
    ["resetkeys"].into_iter().chain(rules.split_whitespace()).map(str::to_owned).collect()
}

/// A queue as a new user with these rules, on the Redis of this test process.
async fn queue_as(rules: &[String]) -> (WorkQueue, EventBus) {
    let url = kinitro_stores::testing::redis_url().await;
    let name = format!("user-{}", TaskId::new());
    let mut admin = redis::Client::open(&*url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg(&name).arg("on").arg(">pass/word").arg(rules);
    command.query_async::<()>(&mut admin).await.unwrap();
    let host = url.rsplit_once('@').unwrap().1;
    let url = redis_url(&format!("redis://{name}@{host}"), Some("pass/word")).unwrap();
    (WorkQueue::connect(&url, "kinitro").await.unwrap(), EventBus::connect(&url, "kinitro").await.unwrap())
}

#[tokio::test]
async fn a_redis_that_refuses_what_the_queue_does_is_not_well() {
    let rules = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for refusing in [
        "~other:* +@all",
        "~kinitro:* +@all -@scripting",
        "~kinitro:* +@all -xreadgroup",
        "~kinitro:* +@all -xread",
        "%R~kinitro:* +@all",
        "~kinitro:* +ping",
    ] {
        let (queue, _) = queue_as(&rules(refusing)).await;
        let error = queue.probe().await.unwrap_err();
        assert!(matches!(error, QueueError::Refused { .. }), "{refusing}: {error}");
        let message = error.to_string();
        assert!(message.contains("refused") && message.contains("127.0.0.1:"), "{message}");
        assert!(!message.contains("pass/word"), "{message}");
    }
    let server = kinitro_stores::testing::private_redis().await;
    for url in [server.address(), server.url().replace("redis://:", "redis://:wrong")] {
        let error = WorkQueue::connect(&url, "kinitro").await.unwrap().probe().await.unwrap_err();
        assert!(matches!(error, QueueError::Refused { .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_server_without_memory_is_not_well_and_one_that_is_well_keeps_nothing_of_the_probe() {
    let server = kinitro_stores::testing::private_redis().await;
    let queue = WorkQueue::connect(&server.url(), "kinitro").await.unwrap();
    let mut admin = redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    queue.probe().await.unwrap();
    queue.probe().await.unwrap();
    assert_eq!(redis::cmd("DBSIZE").query_async::<u64>(&mut admin).await.unwrap(), 0);
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1).query_async::<()>(&mut admin).await.unwrap();
    let error = queue.probe().await.unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
}

#[tokio::test]
async fn the_rules_of_the_guide_are_enough_for_everything_that_is_done() {
    let (queue, events) = queue_as(&documented()).await;
    queue.probe().await.unwrap();
    let env: EnvId = "metaworld/push-v3".parse().unwrap();
    let executor: ExecutorId = "executor".to_owned().try_into().unwrap();
    let tasks: Vec<Entry> =
        (0..4).map(|_| Entry { task_id: TaskId::new(), env_id: env.clone(), uid: MinerUid(7) }).collect();
    let staged = queue.stage(tasks.clone()).await.unwrap();
    assert_eq!(queue.publish(&staged).await.unwrap(), 4);
    assert_eq!(queue.enqueue(&tasks).await.unwrap(), 0);
    let request = LeaseRequest { count: 3, lease: LONG.into(), ..LeaseRequest::default() };
    let leased = queue.lease(&executor, request).await.unwrap().leased;
    assert_eq!(leased.len(), 3);
    let ids: Vec<_> = tasks.iter().map(|task| (task.task_id, env.clone())).collect();
    queue.heartbeat(&executor, &ids, LONG.into()).await.unwrap();
    queue.postpone(&executor, &ids[..1], LONG / 2, LONG).await.unwrap();
    queue.release(&executor, &tasks[1..2]).await.unwrap();
    assert_eq!(queue.audit(&env, false).await.unwrap(), Condition::Whole);
    assert!(queue.missing(&ids).await.unwrap().is_empty());
    queue.tasks(&env, 0).await.unwrap();
    queue.depth(std::slice::from_ref(&env)).await.unwrap();
    queue.active_executors().await.unwrap();
    // Without CONFIG it is told by INFO.
    assert_eq!(queue.eviction().await.unwrap(), Eviction::Harmless);
    let kind = EventKind::Disagreement { cycle_id: CycleId(1), task_id: TaskId::new() };
    let event = Event { at: jiff::Timestamp::now(), kind };
    events.publish(&event).await.unwrap();
    queue.complete(&ids).await.unwrap();
    queue.clear().await.unwrap();
}

#[test]
fn the_probe_does_every_command_of_the_scripts_and_the_guide_allows_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lua");
    let mut scripts = BTreeSet::new();
    let mut probe = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let commands = text.split("redis.").skip(1).filter_map(|rest| {
            let rest = rest.strip_prefix("call('").or_else(|| rest.strip_prefix("pcall('"))?;
            Some(rest.split('\'').next()?.to_owned())
        });
        if path.ends_with("probe.lua") { probe.extend(commands) } else { scripts.extend(commands) }
    }
    let missing: Vec<_> = scripts.difference(&probe).collect();
    assert!(missing.is_empty(), "add to probe.lua and to the rules of docs/operators.md: {missing:?}");
    let allowed = documented();
    for command in scripts {
        let command = format!("+{}", command.to_lowercase());
        let found = allowed.iter().any(|rule| rule == &command || rule.starts_with(&format!("{command}|")));
        assert!(found, "the rules of docs/operators.md lack {command}");
    }
}
