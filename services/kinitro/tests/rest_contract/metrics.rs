//! `GET /metrics`: the four names that operators' alerts use, and the text format.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;

use crate::{empty::empty, house::run, scored::scored, wire::Answer};

const PROMISED: [&str; 4] =
    ["kinitro_eval_cycles_total", "kinitro_eval_duration_seconds", "kinitro_miners_active", "kinitro_miner_scores"];

/// The lines about the promised names. How long the cycle took is replaced, and so is into which buckets that falls.
fn promised(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4"));
    let lines: Vec<&str> = answer.body.lines().filter(|line| is_promised(line)).collect();
    let sum_of = "kinitro_eval_duration_seconds_sum ";
    let sum: f64 = lines.iter().find_map(|line| line.strip_prefix(sum_of)).unwrap().parse().unwrap();
    if sum == 0.0 {
        return lines.join("\n");
    }
    let shown = lines.into_iter().map(|line| {
        let bucket =
            line.strip_prefix("kinitro_eval_duration_seconds_bucket{le=\"").and_then(|rest| rest.split_once("\"} "));
        match bucket.map(|(bound, count)| (bound, bound.parse::<f64>().unwrap(), count)) {
            Some((text, bound, count)) if bound.is_finite() => {
                assert_eq!(count, if sum <= bound { "1" } else { "0" }, "{line}");
                format!("kinitro_eval_duration_seconds_bucket{{le=\"{text}\"}} <count>")
            }
            _ => line.replace(&format!("{sum_of}{sum}"), &format!("{sum_of}<seconds>")),
        }
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn is_promised(line: &str) -> bool {
    let named = line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")).unwrap_or(line);
    PROMISED.iter().any(|name| named.starts_with(name))
}

#[test]
fn the_promised_figures_are_there_before_the_first_cycle() {
    assert_snapshot!(promised(&run(async { empty().await.get("/metrics").await })), @r#"
    # HELP kinitro_eval_cycles_total cycles that were scored
    # TYPE kinitro_eval_cycles_total counter
    kinitro_eval_cycles_total 0
    # HELP kinitro_eval_duration_seconds how long scored cycles took
    # TYPE kinitro_eval_duration_seconds histogram
    kinitro_eval_duration_seconds_bucket{le="10"} 0
    kinitro_eval_duration_seconds_bucket{le="30"} 0
    kinitro_eval_duration_seconds_bucket{le="60"} 0
    kinitro_eval_duration_seconds_bucket{le="120"} 0
    kinitro_eval_duration_seconds_bucket{le="300"} 0
    kinitro_eval_duration_seconds_bucket{le="600"} 0
    kinitro_eval_duration_seconds_bucket{le="1200"} 0
    kinitro_eval_duration_seconds_bucket{le="1800"} 0
    kinitro_eval_duration_seconds_bucket{le="3600"} 0
    kinitro_eval_duration_seconds_bucket{le="7200"} 0
    kinitro_eval_duration_seconds_bucket{le="+Inf"} 0
    kinitro_eval_duration_seconds_sum 0
    kinitro_eval_duration_seconds_count 0
    # HELP kinitro_miners_active miners that may be evaluated
    # TYPE kinitro_miners_active gauge
    kinitro_miners_active 0
    "#);
}

#[test]
fn the_promised_figures_tell_of_the_cycle() {
    assert_snapshot!(promised(&run(async { scored().await.house.get("/metrics").await })), @r#"
    # HELP kinitro_eval_cycles_total cycles that were scored
    # TYPE kinitro_eval_cycles_total counter
    kinitro_eval_cycles_total 1
    # HELP kinitro_eval_duration_seconds how long scored cycles took
    # TYPE kinitro_eval_duration_seconds histogram
    kinitro_eval_duration_seconds_bucket{le="10"} <count>
    kinitro_eval_duration_seconds_bucket{le="30"} <count>
    kinitro_eval_duration_seconds_bucket{le="60"} <count>
    kinitro_eval_duration_seconds_bucket{le="120"} <count>
    kinitro_eval_duration_seconds_bucket{le="300"} <count>
    kinitro_eval_duration_seconds_bucket{le="600"} <count>
    kinitro_eval_duration_seconds_bucket{le="1200"} <count>
    kinitro_eval_duration_seconds_bucket{le="1800"} <count>
    kinitro_eval_duration_seconds_bucket{le="3600"} <count>
    kinitro_eval_duration_seconds_bucket{le="7200"} <count>
    kinitro_eval_duration_seconds_bucket{le="+Inf"} 1
    kinitro_eval_duration_seconds_sum <seconds>
    kinitro_eval_duration_seconds_count 1
    # HELP kinitro_miners_active miners that may be evaluated
    # TYPE kinitro_miners_active gauge
    kinitro_miners_active 3
    # HELP kinitro_miner_scores success rate in the newest scored cycle
    # TYPE kinitro_miner_scores gauge
    kinitro_miner_scores{uid="2",env_id="metaworld/push-v3"} 0.5
    kinitro_miner_scores{uid="2",env_id="metaworld/drawer-close-v3"} 0
    kinitro_miner_scores{uid="9",env_id="metaworld/push-v3"} 0.75
    kinitro_miner_scores{uid="9",env_id="metaworld/drawer-close-v3"} 1
    kinitro_miner_scores{uid="10",env_id="metaworld/push-v3"} 1
    kinitro_miner_scores{uid="10",env_id="metaworld/drawer-close-v3"} 0.6666666666666666
    "#);
}

#[test]
fn the_text_is_what_prometheus_reads() {
    let text = run(async { scored().await.house.get("/metrics").await }).body;
    assert!(text.ends_with('\n'));
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut helped, mut series) = (BTreeSet::new(), BTreeSet::new());
    let mut family = "";
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some((name, help)) = line.strip_prefix("# HELP ").map(|rest| rest.split_once(' ').unwrap()) {
            assert!(helped.insert(name) && !kinds.contains_key(name) && !help.is_empty(), "{line}");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").map(|rest| rest.split_once(' ').unwrap()) {
            assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
            assert!(kinds.insert(name, kind).is_none(), "the lines of a family stand together: {line}");
            family = name;
        } else {
            let (labelled, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(labelled), "a series is there once: {line}");
            let (name, labels) = labelled.split_once('{').unwrap_or((labelled, "}"));
            let suffixes: &[&str] = if kinds[family] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{line} is of {family}");
            check_labels(labels.strip_suffix('}').unwrap());
        }
    }
    assert!(PROMISED.iter().all(|name| helped.contains(name) && kinds.contains_key(name)));
}

fn check_labels(labels: &str) {
    for label in labels.split("\",").filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once("=\"").unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{label}");
        assert!(!value.trim_end_matches('"').contains(['"', '\n']), "{label}");
    }
}
