//! Who may fetch and submit, and what keeps the gateway from being open by accident.

use kinitro_chassis::Supervisor;
use kinitro_gateway::{Config, Error};

use crate::support::{House, KEY, ask, begin};

const FETCH: &str = "/v1/tasks/fetch";
const SUBMIT: &str = "/v1/tasks/submit";

#[tokio::test]
async fn the_right_key_opens_and_the_answer_has_the_exact_body() {
    let house = House::build().await;
    let key = format!("Bearer {KEY}");
    for value in [key.as_str(), &format!("bearer {KEY}"), &format!("BEARER {KEY}")] {
        let answer = house.post(FETCH, &[("authorization", value)], r#"{"executor_id":"e"}"#).await;
        assert_eq!(
            answer.body,
            concat!(
                r#"{"tasks":[{"task_uuid":"t-1","cycle_id":18446744073709551615,"miner_uid":0,"miner_hotkey":"","#,
                r#""miner_endpoint":"http://10.0.0.1/","miner_repo":"","miner_revision":"","env_id":"","seed":0,"#,
                r#""status":"","created_at":"2026-01-02T03:04:05.006Z","attempt":0,"traceparent":""}],"#,
                r#""total_pending":7,"lease_seconds":300}"#
            )
        );
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    }
    // The setting is what an executor has that names no time itself.
    let asked = house.post(FETCH, &[("authorization", &key)], r#"{"executor_id":"e","lease_seconds":70}"#).await;
    assert_eq!(asked.json()["lease_seconds"], 70);
    let set = House::build_with(|config| config.task_stale_threshold_seconds = 45).await;
    let asked = set.post(FETCH, &[("authorization", &key)], r#"{"executor_id":"e"}"#).await;
    assert_eq!(asked.json()["lease_seconds"], 45);
    let answer = house.post(SUBMIT, &[("authorization", &key)], r#"{"executor_id":"e","results":[{},{}]}"#).await;
    assert_eq!(answer.json()["accepted"], 2);
}

#[tokio::test]
async fn without_a_key_nothing_is_fetched_or_submitted() {
    let house = House::build().await;
    for path in [FETCH, SUBMIT] {
        let answer = house.post(path, &[("x-request-id", "r-1")], r#"{"executor_id":"e"}"#).await;
        assert_eq!(
            answer.body,
            concat!(
                r#"{"type":"urn:kinitro:problem:unauthenticated","title":"Unauthenticated","status":401,"#,
                r#""detail":"this route needs a key: send authorization: Bearer <key>","request_id":"r-1"}"#
            )
        );
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="kinitro""#);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("x-request-id"), "r-1");
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_the_right_one_never_told() {
    let house = House::build().await;
    let longer = format!("{KEY}x");
    for wrong in ["wrong", &KEY[1..], &KEY[..KEY.len() - 1], &longer, &KEY.to_uppercase()] {
        let answer = house.post(FETCH, &[("authorization", &format!("Bearer {wrong}"))], "{}").await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="kinitro", error="invalid_token""#);
        assert!(!answer.body.contains(KEY) && !answer.body.contains(wrong), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_malformed_authorization_is_refused() {
    let house = House::build().await;
    for value in [
        "Bearer",
        "Bearer ",
        KEY,
        &format!("Basic {KEY}"),
        &format!("Bearer  {KEY}"),
        &format!("Bearer {KEY} extra"),
        &format!("Bearer {KEY},Bearer x"),
        &format!("Bearer\t{KEY}"),
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
    ] {
        let answer = house.post(FETCH, &[("authorization", value)], "{}").await;
        assert_eq!(answer.status, 401, "{value}");
    }
    let twice = [("authorization", "Bearer x"), ("authorization", &*format!("Bearer {KEY}"))];
    assert_eq!(house.post(FETCH, &twice, "{}").await.status, 401);
}

#[tokio::test]
async fn the_key_is_asked_for_before_the_body_is_looked_at() {
    let house = House::build().await;
    assert_eq!(house.post(FETCH, &[], "not json").await.status, 401);
    assert_eq!(house.post(FETCH, &[("authorization", &format!("Bearer {KEY}"))], "not json").await.status, 400);
}

#[tokio::test]
async fn reading_needs_no_key() {
    let house = House::build().await;
    for path in ["/v1/tasks/stats", "/v1/weights/latest", "/v1/scores/latest", "/health", "/metrics"] {
        assert_eq!(house.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn without_key_and_no_auth_the_start_fails_and_names_both_ways_out() {
    for api_key in [None, Some(String::new())] {
        let config = Config { api_key, ..Config::default() };
        let error = begin(config, "127.0.0.1:0", &Supervisor::new()).await.unwrap_err();
        assert!(matches!(error, Error::NoApiKey));
        let text = error.to_string();
        assert!(text.contains("KINITRO_API_API_KEY") && text.contains("--no-auth"), "{text}");
    }
}

#[tokio::test]
async fn no_auth_opens_at_loopback() {
    let house = House::build_with(|config| {
        config.api_key = None;
        config.no_auth = true;
    })
    .await;
    assert_eq!(house.post(FETCH, &[], r#"{"executor_id":"e"}"#).await.status, 200);
    let supervisor = Supervisor::new();
    let config = Config { no_auth: true, ..Config::default() };
    assert!(begin(config, "[::1]:0", &supervisor).await.is_ok());
}

#[tokio::test]
async fn no_auth_refuses_other_addresses_unless_told_twice() {
    let config = Config { no_auth: true, ..Config::default() };
    let error = begin(config.clone(), "0.0.0.0:0", &Supervisor::new()).await.unwrap_err();
    assert!(matches!(error, Error::OpenToOthers(_)));
    assert!(error.to_string().contains("--no-auth-on-any-address"), "{error}");

    // Nobody listens at port 1, whatever else runs on this machine.
    let scheduling_url = "http://127.0.0.1:1".to_owned();
    let told_twice = Config { no_auth_on_any_address: true, scheduling_url, ..config };
    let address = begin(told_twice, "0.0.0.0:0", &Supervisor::new()).await.unwrap();
    let local = (std::net::Ipv4Addr::LOCALHOST, address.port()).into();
    // The services are not there: the request got past the guard.
    let answer = ask(local, "POST", FETCH, &[("content-type", "application/json")], "{}").await;
    assert_eq!(answer.status, 503, "{}", answer.body);
}

#[tokio::test]
async fn telling_twice_what_was_not_told_once_is_a_mistake() {
    let config = Config { api_key: Some(KEY.to_owned()), no_auth_on_any_address: true, ..Config::default() };
    let error = begin(config, "127.0.0.1:0", &Supervisor::new()).await.unwrap_err().to_string();
    assert!(error.contains("no_auth_on_any_address"), "{error}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_by_name() {
    let base = Config { api_key: Some(KEY.to_owned()), ..Config::default() };
    for (config, field) in [
        (Config { scheduling_url: "scheduling:50052".to_owned(), ..base.clone() }, "scheduling_url"),
        (Config { execution_url: Some(String::new()), ..base.clone() }, "execution_url"),
        (Config { api_key: Some("with space".to_owned()), ..base }, "api_key"),
    ] {
        let error = begin(config, "127.0.0.1:0", &Supervisor::new()).await.unwrap_err().to_string();
        assert!(error.contains(field) && !error.contains("with space"), "{error}");
    }
}
