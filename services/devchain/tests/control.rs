//! The control interface: what each method does, what it refuses, and that it is off unless asked for.
#![allow(clippy::unwrap_used)]

mod support;

use kinitro_chain::ChainClient;
use kinitro_devchain::Config;
use serde_json::{Value as Json, json};
use support::{
    SPECS, config, hash,
    rpc::{call, connect, refusal},
    serve,
};

const METHODS: [&str; 13] = [
    "dev_advance",
    "dev_dropConnections",
    "dev_failNext",
    "dev_holdTransactions",
    "dev_loseNextSubmission",
    "dev_passTime",
    "dev_register",
    "dev_reorg",
    "dev_setCommitReveal",
    "dev_setCommitmentRaw",
    "dev_setHyperparameter",
    "dev_setPermit",
    "dev_setStake",
];

#[tokio::test]
async fn it_is_off_unless_asked_for() {
    for control in [false, true] {
        let (_chain, server) = serve(&Config { control, block_ms: 500, ..config() }).await;
        let rpc = connect(&server).await;
        let listed = call(&rpc, "rpc_methods", json!([])).await.unwrap();
        let listed: Vec<String> = serde_json::from_value(listed["methods"].clone()).unwrap();
        let listed: Vec<&str> = listed.iter().map(String::as_str).filter(|name| name.starts_with("dev_")).collect();
        assert_eq!(listed, if control { &METHODS[..] } else { &[] });
        if !control {
            for method in METHODS {
                assert_eq!(refusal(call(&rpc, method, json!([])).await).0, -32601, "{method}");
            }
        }
    }
}

#[tokio::test]
async fn what_changes_the_chain_answers_the_number_of_the_new_head() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    for (number, method, params) in [
        (5, "dev_advance", json!([5])),
        (6, "dev_advance", json!([])),
        (7, "dev_register", json!([2, "//Eve"])),
        (8, "dev_reorg", json!([1])),
        (9, "dev_setCommitmentRaw", json!(["//Eve", "0x1234"])),
        (10, "dev_register", json!([2, "//Eve"])),
        (11, "dev_setStake", json!(["//Eve", 5_000_000_000_u64])),
        (12, "dev_setPermit", json!([2, true])),
        (13, "dev_setHyperparameter", json!(["tempo", 20])),
        (14, "dev_setHyperparameter", json!(["owner_hotkey", "//Bob"])),
        (15, "dev_setCommitReveal", json!([true])),
        (16, "dev_setHyperparameter", json!(["activity_cutoff_factor", 2_500])),
        (17, "dev_setHyperparameter", json!(["commit_reveal_version", 5])),
    ] {
        let answer = call(&rpc, method, params.clone()).await;
        assert_eq!(answer.unwrap_or_else(|error| panic!("{method} {params}: {error}")), number, "{method} {params}");
    }
    assert_eq!(chain.best_number(), 17);
}

#[tokio::test]
async fn time_passes_between_two_blocks_without_any() {
    for spec in SPECS {
        let (chain, server) = serve(&Config { spec, ..config() }).await;
        let (rpc, client) = (connect(&server).await, ChainClient::new(&server.url()).unwrap());
        chain.advance(2).unwrap();
        call(&rpc, "dev_passTime", json!([90_000])).await.unwrap();
        assert_eq!(chain.best_number(), 2);
        chain.advance(2).unwrap();
        let mut times = Vec::new();
        for number in 1..=4 {
            times.push(client.time_at(hash(&chain, number)).await.unwrap());
        }
        let gaps: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
        assert_eq!(gaps, [12, 102, 12], "spec {spec}");
    }
}

#[tokio::test]
async fn others_are_answered_while_many_blocks_are_made() {
    const BLOCKS: u64 = 3_000;
    let (_chain, server) = serve(&config()).await;
    let (busy, other) = (connect(&server).await, connect(&server).await);
    let made = tokio::spawn(async move { call(&busy, "dev_advance", json!([BLOCKS])).await.unwrap() });
    let seen = loop {
        let header = call(&other, "chain_getHeader", json!([])).await.unwrap();
        match u64::from_str_radix(header["number"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap() {
            0 => tokio::task::yield_now().await,
            number => break number,
        }
    };
    assert!(seen < BLOCKS, "the first answer came after all {seen} blocks");
    assert_eq!(made.await.unwrap(), BLOCKS);
}

#[tokio::test]
async fn arguments_that_make_no_sense_are_refused_and_change_nothing() {
    let (chain, server) = serve(&config()).await;
    let rpc = connect(&server).await;
    chain.advance(5).unwrap();
    let cases: Vec<(&str, Json, &str)> = vec![
        ("dev_advance", json!([10_001]), "at most 10000 blocks"),
        ("dev_advance", json!([-1]), "invalid value"),
        ("dev_advance", json!(["many"]), "expected u32"),
        ("dev_advance", json!([1, 2]), "at most 1 parameters"),
        ("dev_passTime", json!([]), "expected u64"),
        ("dev_passTime", json!([31_536_000_001_u64]), "at most 31536000000 ms"),
        ("dev_reorg", json!([]), "expected u32"),
        ("dev_reorg", json!([3]), "only 2 are not finalized"),
        ("dev_register", json!([70_000, "//Eve"]), "expected u16"),
        ("dev_register", json!([2, "Eve"]), "`Eve`"),
        ("dev_register", json!([2]), "invalid type: null"),
        ("dev_setCommitmentRaw", json!(["//Eve", "0xzz"]), "no hex bytes"),
        ("dev_setStake", json!(["nobody", 1]), "`nobody`"),
        ("dev_setStake", json!(["//Alice", -1]), "invalid value"),
        ("dev_setStake", json!(["//Alice", 21_000_000_000_000_001_u64]), "at most 21000000000000000 rao"),
        ("dev_setPermit", json!([9, true]), "there is no uid 9"),
        ("dev_setPermit", json!([0, "yes"]), "expected a boolean"),
        ("dev_setHyperparameter", json!(["temperature", 1]), "unknown variant `temperature`"),
        ("dev_setHyperparameter", json!(["tempo", "long"]), "the hyperparameter `tempo`"),
        ("dev_setHyperparameter", json!(["tempo", 100_000]), "expected u16"),
        ("dev_setHyperparameter", json!(["owner_hotkey", "nobody"]), "`nobody`"),
        ("dev_setHyperparameter", json!(["tempo"]), "the hyperparameter `tempo`"),
        ("dev_setCommitReveal", json!([1]), "expected a boolean"),
        ("dev_dropConnections", json!([1]), "at most 0 parameters"),
        ("dev_holdTransactions", json!([]), "expected a boolean"),
        ("dev_loseNextSubmission", json!(["during"]), "expected `before` or `after`"),
        ("dev_failNext", json!(["no_such_method", 1, 1, "x"]), "`no_such_method` is no method that can fail"),
        ("dev_failNext", json!(["dev_advance", 1, 1, "x"]), "is no method that can fail"),
        ("dev_failNext", json!(["system_name", 1_000_001, 1, "x"]), "at most 1000000 times"),
        ("dev_failNext", json!(["system_name", 1, 1, "x".repeat(1_001)]), "more than 1000 bytes"),
        ("dev_failNext", json!(["system_name", 1, "one", "x"]), "expected i32"),
    ];
    for (method, params, expected) in cases {
        let (code, reason) = refusal(call(&rpc, method, params.clone()).await);
        assert_eq!(code, -32602, "{method} {params}: {reason}");
        assert!(reason.contains(expected), "{method} {params}: {reason}");
    }
    assert_eq!(chain.best_number(), 5);
    assert_eq!(call(&rpc, "system_name", json!([])).await.unwrap(), "kinitro-devchain");
}
