//! The event bus against a real Redis.
#![allow(clippy::unwrap_used)]

use kinitro_domain::{CycleId, EnvId, TaskId};
use kinitro_queue::{Event, EventBus, EventKind, Start};
use tokio_stream::StreamExt as _;

async fn bus() -> EventBus {
    let url = kinitro_stores::testing::redis_url().await;
    EventBus::connect(&url, &format!("test-{}", TaskId::new())).await.unwrap()
}

fn completed(completed: u32) -> Event {
    Event::now(EventKind::TasksCompleted { cycle_id: CycleId(1), completed, tasks_total: 100 })
}

#[tokio::test]
async fn a_subscriber_gets_what_is_published_after_it_came_in_order() {
    let bus = bus().await;
    bus.publish(&completed(1)).await.unwrap();
    let mut events = bus.subscribe(Start::Now).await.unwrap();
    for count in 2..=20 {
        bus.publish(&completed(count)).await.unwrap();
    }
    for count in 2..=20 {
        let EventKind::TasksCompleted { completed, .. } = events.next().await.unwrap().event.kind else { panic!() };
        assert_eq!(completed, count);
    }
}

#[tokio::test]
async fn a_subscriber_that_comes_back_resumes_after_the_last_event_it_saw() {
    let bus = bus().await;
    for count in 1..=600 {
        bus.publish(&completed(count)).await.unwrap();
    }
    let mut events = bus.subscribe(Start::Oldest).await.unwrap();
    let mut last = None;
    for _ in 0..300 {
        last = Some(events.next().await.unwrap().id);
    }
    drop(events);
    let id = last.unwrap().as_str().parse().unwrap();
    let mut events = bus.subscribe(Start::After(id)).await.unwrap();
    for count in 301..=600 {
        let EventKind::TasksCompleted { completed, .. } = events.next().await.unwrap().event.kind else { panic!() };
        assert_eq!(completed, count);
    }
}

#[tokio::test]
async fn a_subscription_survives_a_restart_of_redis() {
    let mut redis = kinitro_stores::testing::private_redis().await;
    let bus = EventBus::connect(&redis.url(), "test").await.unwrap();
    let mut events = bus.subscribe(Start::Now).await.unwrap();
    let before = completed(1);
    bus.publish(&before).await.unwrap();
    assert_eq!(events.next().await.unwrap().event, before);
    redis.kill();
    redis.restart().await.unwrap();
    let after = completed(2);
    bus.publish(&after).await.unwrap();
    assert_eq!(events.next().await.unwrap().event, after);
}

#[test]
fn an_event_is_one_flat_object() {
    let env_id: EnvId = "metaworld/push-v3".parse().unwrap();
    let event = Event {
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
        kind: EventKind::DeadLetter {
            cycle_id: CycleId(7),
            task_id: "018f4e7a-0000-7000-8000-000000000001".parse().unwrap(),
            uid: kinitro_domain::MinerUid(3),
            env_id,
            cause: "lease_lost".to_owned(),
        },
    };
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(
        json,
        r#"{"at":"2026-01-02T03:04:05Z","event":"dead_letter","cycle_id":7,"task_id":"018f4e7a-0000-7000-8000-000000000001","uid":3,"env_id":"metaworld/push-v3","cause":"lease_lost"}"#
    );
    assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    assert!("nonsense".parse::<kinitro_queue::EventId>().is_err());
}
