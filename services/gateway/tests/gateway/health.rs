//! `/health` names the culprit and recovers by itself.

use crate::support::{House, Service, WARNING};

#[tokio::test]
async fn all_well_is_healthy_to_the_byte() {
    let house = House::build().await;
    let answer = house.get("/health").await;
    assert_eq!(
        answer.body,
        concat!(
            r#"{"status":"healthy","database":"connected","redis":"connected","chain":"connected","#,
            r#""services":{"ingestion":"serving","scheduling":"serving","scoring":"serving"}}"#
        )
    );
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
}

#[tokio::test]
async fn redis_going_down_is_named_and_its_return_noticed() {
    let house = House::build().await;
    house.health_becomes(200).await;
    house.scheduling.set("redis", false).await;
    let answer = house.health_becomes(503).await;
    assert_eq!(
        answer.body,
        concat!(
            r#"{"status":"unhealthy","database":"connected","redis":"disconnected","chain":"connected","#,
            r#""services":{"ingestion":"serving","scheduling":"not_serving","scoring":"serving"},"#,
            r#""reason":"redis: cannot be used by scheduling"}"#
        )
    );
    house.scheduling.set("redis", true).await;
    assert_eq!(house.health_becomes(200).await.json()["redis"], "connected");
}

#[tokio::test]
async fn postgres_going_down_is_named_with_those_who_miss_it() {
    let house = House::build().await;
    for service in [&house.ingestion, &house.scheduling, &house.scoring] {
        service.set("postgres", false).await;
    }
    let answer = house.health_becomes(503).await;
    assert_eq!(answer.json()["database"], "disconnected");
    assert_eq!(answer.json()["reason"], "postgres: cannot be used by ingestion, scheduling, scoring");
    for service in [&house.ingestion, &house.scheduling, &house.scoring] {
        service.set("postgres", true).await;
    }
    house.health_becomes(200).await;
}

#[tokio::test]
async fn a_service_going_away_is_named_and_its_return_noticed() {
    let house = House::build().await;
    house.health_becomes(200).await;
    house.scoring.cut(true);
    let answer = house.health_becomes(503).await;
    assert_eq!(answer.json()["services"]["scoring"], "unreachable");
    assert_eq!(answer.json()["reason"], "scoring: cannot be reached");
    assert_eq!(answer.json()["database"], "connected");
    house.scoring.cut(false);
    house.health_becomes(200).await;
}

#[tokio::test]
async fn a_service_that_drains_is_named() {
    let house = House::build().await;
    house.scoring.set("", false).await;
    let answer = house.health_becomes(503).await;
    assert_eq!(answer.json()["reason"], "scoring: is not serving");
}

#[tokio::test]
async fn a_chain_that_is_away_is_reported_and_does_not_count() {
    let house = House::build().await;
    house.ingestion.set("chain", false).await;
    let answer = house.health_becomes(200).await;
    assert_eq!((&answer.json()["status"], &answer.json()["chain"]), (&"healthy".into(), &"disconnected".into()));
    assert_eq!(answer.json()["services"]["ingestion"], "degraded");
    assert!(answer.json()["warning"].as_str().unwrap().starts_with("chain: "));

    house.ingestion.set("postgres", false).await;
    let answer = house.health_becomes(503).await;
    assert_eq!(answer.json()["reason"], "postgres: cannot be used by ingestion");
}

#[tokio::test]
async fn an_executor_counts_when_it_is_configured() {
    let executor = Service::start(&[]).await;
    let url = format!("http://{}", executor.address);
    let house = House::build_with(|config| config.execution_url = Some(url)).await;
    assert_eq!(house.health_becomes(200).await.json()["services"]["execution"], "serving");
    executor.set("", false).await;
    assert_eq!(house.health_becomes(503).await.json()["reason"], "execution: is not serving");
}

#[tokio::test]
async fn an_executor_that_does_not_reach_scheduling_is_named() {
    let executor = Service::start(&["scheduling"]).await;
    let url = format!("http://{}", executor.address);
    let house = House::build_with(|config| config.execution_url = Some(url)).await;
    house.health_becomes(200).await;
    executor.set("scheduling", false).await;
    let answer = house.health_becomes(503).await;
    assert_eq!(answer.json()["reason"], "execution: cannot lease from scheduling");
    assert_eq!(answer.json()["services"]["execution"], "not_serving");
}

#[tokio::test]
async fn work_that_no_executor_comes_for_is_named_and_takes_no_part_down() {
    let scheduling = Service::start(&["postgres", "redis", "idle"]).await;
    let url = format!("http://{}", scheduling.address);
    let house = House::build_with(|config| config.scheduling_url = url).await;
    let answer = house.health_becomes(200).await;
    assert_eq!((&answer.json()["status"], &answer.json()["warning"]), (&"healthy".into(), &WARNING.into()));
}

#[tokio::test]
async fn a_service_that_refuses_the_gateways_own_credentials_is_named_and_no_client_is_told_that_its_are_wrong() {
    let scheduling = Service::start(&["postgres", "redis", "refuses"]).await;
    let url = format!("http://{}", scheduling.address);
    let house = House::build_with(|config| config.scheduling_url = url).await;
    let answer = house.health_becomes(503).await;
    assert_eq!(answer.json()["reason"], "scheduling: refuses this gateway's mesh token");
    let answer = house.get("/v1/status").await;
    assert_eq!((answer.status, &answer.json()["type"]), (503, &"urn:kinitro:problem:unavailable".into()));
    assert!(!answer.body.contains("not the token"), "{}", answer.body);
}

#[tokio::test]
async fn the_gateway_answers_although_no_service_is_there() {
    let house = House::build_with(|config| {
        config.ingestion_url = "http://127.0.0.1:1".to_owned();
        config.scheduling_url = "http://127.0.0.1:1".to_owned();
        config.scoring_url = "http://127.0.0.1:1".to_owned();
    })
    .await;
    let answer = house.get("/health").await;
    assert_eq!((answer.status, &answer.json()["database"]), (503, &"unknown".into()));
    let reason = answer.json()["reason"].as_str().unwrap().to_owned();
    for name in ["ingestion", "scheduling", "scoring"] {
        assert!(reason.contains(&format!("{name}: cannot be reached")), "{reason}");
    }
    assert_eq!(house.get("/v1/weights/latest").await.status, 503);
}
