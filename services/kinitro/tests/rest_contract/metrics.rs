//! `GET /metrics`: the four names that operators' alerts use, and the text format.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;

use crate::{empty::empty, house::run, scored::scored, wire::Answer};

const PROMISED: [&str; 4] =
    ["kinitro_eval_cycles_total", "kinitro_eval_duration_seconds", "kinitro_miners_active", "kinitro_miner_scores"];

/// The lines about the promised names, with the one duration replaced.
fn promised(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4"));
    let about = |line: &&str| PROMISED.iter().any(|name| line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").starts_with(name));
    let lines = answer.body.lines().filter(about).map(|line| match line.strip_prefix("kinitro_eval_duration_seconds_sum ") {
        Some(sum) if sum.parse::<f64>().unwrap() > 0.0 => "kinitro_eval_duration_seconds_sum <seconds>",
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_promised_figures_are_there_before_the_first_cycle() {
    assert_snapshot!(promised(&run(async { empty().await.get("/metrics").await })), @"");
}

#[test]
fn the_promised_figures_tell_of_the_cycle() {
    assert_snapshot!(promised(&run(async { scored().await.house.get("/metrics").await })), @"");
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
