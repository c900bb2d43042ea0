//! What every route answers while the service behind it is away.

use insta::assert_snapshot;

use crate::house::{House, Plan, run};

#[test]
fn a_route_is_unavailable_while_its_service_is_away_and_the_others_go_on() {
    run(async {
        let mut house = House::build(Plan::default()).await;
        assert_eq!(house.get("/health").await.status, 200);

        house.stop("scoring").await;
        let weights = house.get("/v1/weights/latest").await.shown();
        assert_snapshot!(weights, @r#"
        503 application/problem+json no-store
        {"type":"urn:kinitro:problem:unavailable","title":"Unavailable","status":503,"detail":"the service behind this route cannot be reached; try again",
        "request_id":"r-1"}
        "#);
        for path in ["/v1/weights/7", "/v1/scores/latest", "/v1/scores/1"] {
            assert_eq!(house.get(path).await.shown(), weights, "{path}");
        }
        let unwell = house.get_when("/health", "scoring is missed", |answer| answer.status == 503).await;
        assert_snapshot!(unwell.shown(), @r#"
        503 application/json no-store
        {"status":"unhealthy","database":"connected","redis":"connected","chain":"connected","services":{"ingestion":"serving",
        "scheduling":"serving","scoring":"unreachable"},
        "reason":"scoring: cannot be reached"}
        "#);
        for path in ["/v1/status", "/v1/miners", "/v1/environments", "/v1/tasks/stats", "/metrics"] {
            assert_eq!(house.get(path).await.status, 200, "{path}");
        }

        house.stop("ingestion").await;
        // The list that was read a moment ago serves for a moment.
        let miners = house.get_when("/v1/miners", "ingestion is missed", |answer| answer.status == 503).await;
        assert_snapshot!(miners.shown(), @r#"
        503 application/problem+json no-store
        {"type":"urn:kinitro:problem:ingestion-unavailable","title":"Ingestion unavailable","status":503,
        "detail":"ingestion was not reached, or has read no block yet; retry with back-off","request_id":"r-1"}
        "#);
        // The status goes on without the block.
        assert_snapshot!(house.get("/v1/status").await.shown(), @r#"
        200 application/json no-cache
        {"status":"running","current_block":null,"last_eval_block":null,"next_eval_in_seconds":null,
        "miners_registered":0,"environments_enabled":[],"current_cycle":null,"last_completed_cycle":null,
        "total_cycles":0,"total_miners_evaluated":0,"environments":[],"is_evaluating":false,"last_ended_cycle":null,
        "warnings":[]}
        "#);

        house.stop("scheduling").await;
        for path in ["/v1/status", "/v1/miners", "/v1/environments", "/v1/tasks/stats"] {
            assert_eq!(house.get(path).await.shown(), weights, "{path}");
        }
        for path in ["/v1/tasks/fetch", "/v1/tasks/submit"] {
            let body = r#"{"executor_id":"executor-1"}"#;
            assert_eq!(house.post(path, body).await.shown(), weights, "{path}");
        }
        let metrics = house
            .get_when("/metrics", "all are down", |it| {
                it.body.contains(r#"kinitro_upstream_up{service="scheduling"} 0"#)
            })
            .await;
        assert_eq!(metrics.status, 200);
        assert!(!metrics.body.contains("kinitro_eval_cycles_total"), "no figure is made up");
    });
}
