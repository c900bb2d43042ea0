//! `/metrics`: the names of the guide, and what happens when somebody is away.

use crate::support::House;

#[tokio::test]
async fn the_figures_of_the_evaluation_are_there_under_their_names() {
    let house = House::build().await;
    let answer = house.get("/metrics").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4"));
    for line in [
        "# TYPE kinitro_eval_cycles_total counter",
        "kinitro_eval_cycles_total 4",
        "kinitro_eval_cycles_unscored_total 2",
        "# TYPE kinitro_eval_duration_seconds histogram",
        "kinitro_eval_duration_seconds_bucket{le=\"60\"} 1",
        "kinitro_eval_duration_seconds_bucket{le=\"300.5\"} 3",
        "kinitro_eval_duration_seconds_bucket{le=\"+Inf\"} 4",
        "kinitro_eval_duration_seconds_sum 900.25",
        "kinitro_eval_duration_seconds_count 4",
        "# TYPE kinitro_miners_active gauge",
        "kinitro_miners_active 5",
        "# TYPE kinitro_miner_scores gauge",
        "kinitro_miner_scores{uid=\"3\",env_id=\"metaworld/push-v3\"} 0.5",
        "kinitro_miner_scores{uid=\"4\",env_id=\"odd\\\"\\\\\\n\"} 1",
        "kinitro_upstream_up{service=\"ingestion\"} 1",
        "kinitro_upstream_up{service=\"scheduling\"} 1",
        "kinitro_upstream_up{service=\"scoring\"} 1",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "no {line:?} in\n{}", answer.body);
    }
}

#[tokio::test]
async fn a_scrape_answers_with_what_is_there() {
    let house = House::build_with(|config| config.scheduling_url = "http://127.0.0.1:1".to_owned()).await;
    let answer = house.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("kinitro_upstream_up{service=\"scheduling\"} 0\n"), "{}", answer.body);
    assert!(answer.body.contains("kinitro_upstream_up{service=\"scoring\"} 1\n"), "{}", answer.body);
    assert!(answer.body.contains("kinitro_miner_scores{uid=\"3\""), "{}", answer.body);
    assert!(!answer.body.contains("kinitro_eval_cycles_total"), "{}", answer.body);
}

#[tokio::test]
async fn requests_are_counted_by_template_and_never_by_path() {
    let house = House::build().await;
    house.get("/v1/weights/123456").await;
    house.get("/v1/made/up/987654").await;
    let answer = house.get("/metrics").await;
    let counted = |route: &str, status: u16| {
        let labels = [format!("route=\"{route}\""), "method=\"GET\"".to_owned(), format!("status=\"{status}\"")];
        answer.body.lines().any(|line| {
            line.starts_with("kinitro_http_requests_total{") && labels.iter().all(|label| line.contains(label))
        })
    };
    assert!(counted("/v1/weights/{block}", 200), "{}", answer.body);
    assert!(counted("unmatched", 404), "{}", answer.body);
    assert!(answer.body.contains("kinitro_http_request_seconds_bucket{"), "{}", answer.body);
    assert!(!answer.body.contains("123456") && !answer.body.contains("987654"), "{}", answer.body);
}
