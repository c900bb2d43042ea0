//! Which crate may link which: the arrows of the architecture, held against `cargo metadata`.
//!
//! Services speak to each other by gRPC, so none links another; libraries link no service; and a library that brings much with it
//! (the queue, the simulation, the private stores) is linked only by the services that own the subject. A crate is named by its
//! folder here, because that is the name on the page. What the rules forbid and the tree still has stands in [`EXCEPTIONS`] with
//! its reason; an exception that is no longer used fails the test too.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What each library may link, in what ships. Their tests may link any library.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("libs/chain", &["libs/commitment", "libs/crypto", "libs/domain", "libs/timelock"]),
    ("libs/chassis", &["libs/domain", "libs/proto"]),
    ("libs/commitment", &["libs/crypto", "libs/domain"]),
    ("libs/crypto", &["libs/domain"]),
    ("libs/database", &["libs/chassis"]),
    ("libs/domain", &[]),
    ("libs/policy", &["libs/commitment", "libs/domain", "libs/proto"]),
    ("libs/proto", &[]),
    ("libs/queue", &["libs/domain"]),
    ("libs/scoring", &["libs/domain"]),
    ("libs/sim", &["libs/domain"]),
    ("libs/stores", &[]),
    ("libs/timelock", &[]),
    ("libs/transcode", &[]),
];

/// Libraries that only these services may link, in what ships. The binary may link all.
const OWNED: &[(&str, &[&str])] = &[
    ("libs/chain", &["services/devchain", "services/ingestion", "services/validator"]),
    ("libs/database", &["services/ingestion", "services/scheduling", "services/scoring"]),
    ("libs/policy", &["services/execution"]),
    ("libs/queue", &["services/scheduling"]),
    ("libs/sim", &["services/execution"]),
    ("libs/stores", &[]),
    ("libs/transcode", &["services/gateway"]),
];

/// The place where the services are put together.
const BINARY: &str = "services/kinitro";

/// Forbidden, and there today: who, whom, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "services/ingestion",
        "services/devchain",
        "its tests read a chain that they steer: a chain in development is no neighbour",
    ),
    ("services/validator", "services/devchain", "its tests set weights on a chain that they steer"),
];

/// One dependency between two crates of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    from: String,
    to: String,
    /// Of tests and benchmarks only.
    tests: bool,
}

/// Why this arrow is forbidden, if it is.
fn forbidden(arrow: &Arrow) -> Option<String> {
    let Arrow { from, to, tests } = arrow;
    let listed = |table: &[(&str, &'static [&'static str])], name: &str| {
        table.iter().find(|(listed, _)| *listed == name).map(|(_, others)| *others)
    };
    if from == BINARY {
        return None;
    }
    if to.starts_with("services/") {
        return Some(match from.starts_with("libs/") {
            true => "a library links no service".to_owned(),
            false => "services speak by gRPC: put what both need into a `.proto` or a library".to_owned(),
        });
    }
    if *tests {
        return None;
    }
    if from.starts_with("libs/") {
        return match listed(LIBRARIES, from) {
            None => Some(format!("{from} has no line in LIBRARIES: add one that says what it may link")),
            Some(may) if may.contains(&to.as_str()) => None,
            Some(may) => Some(format!("of this workspace it may link {may:?} only")),
        };
    }
    let owners = listed(OWNED, to)?;
    (!owners.contains(&from.as_str())).then(|| format!("only the binary and {owners:?} may link it"))
}

/// What is wrong with these arrows, one sentence each.
fn complaints(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let excepted = |arrow: &Arrow| EXCEPTIONS.iter().any(|(from, to, _)| *from == arrow.from && *to == arrow.to);
    let wrong = arrows.iter().filter_map(|arrow| {
        // What is excepted is excepted for tests.
        let why = forbidden(arrow).filter(|_| !(arrow.tests && excepted(arrow)))?;
        Some(format!("{} → {}: {why}", arrow.from, arrow.to))
    });
    let unused = EXCEPTIONS.iter().filter_map(|(from, to, _)| {
        let used = arrows.iter().any(|arrow| arrow.from == *from && arrow.to == *to);
        (!used).then(|| format!("{from} → {to}: not there any more: remove it from EXCEPTIONS"))
    });
    wrong.chain(unused).collect()
}

/// All arrows of the workspace as Cargo reads its manifests.
fn arrows() -> BTreeSet<Arrow> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate stands in services/");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"])
        .current_dir(root)
        .output()
        .expect("cargo built this test");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let list = |value: &Value| value.as_array().cloned().expect("a list, by the format of version 1");
    let text = |value: &Value| value.as_str().expect("a text, by the format of version 1").to_owned();
    let folder = |path: &Path| path.strip_prefix(root).expect("of this workspace").display().to_string();
    let packages: BTreeMap<String, Value> = list(&metadata["packages"])
        .into_iter()
        .map(|package| {
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            (folder(manifest.parent().expect("a file")), package)
        })
        .collect();
    let of = |(from, package): (&String, &Value)| {
        let from = from.clone();
        list(&package["dependencies"]).into_iter().filter(|dependency| dependency["path"].is_string()).map(
            move |dependency| Arrow {
                from: from.clone(),
                to: folder(Path::new(dependency["path"].as_str().unwrap_or_default())),
                tests: dependency["kind"] == "dev",
            },
        )
    };
    packages.iter().flat_map(of).collect()
}

#[test]
fn crates_link_only_what_the_architecture_allows() {
    let arrows = arrows();
    assert!(arrows.iter().any(|arrow| arrow.from == BINARY && arrow.to == "services/gateway"), "{arrows:?}");
    let complaints = complaints(&arrows);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_line_of_the_tables_is_about_a_crate_that_is_there() {
    let crates: BTreeSet<String> = arrows().into_iter().flat_map(|arrow| [arrow.from, arrow.to]).collect();
    let tables = LIBRARIES.iter().chain(OWNED).flat_map(|(name, others)| others.iter().chain([name]));
    let unknown: Vec<_> = tables.filter(|name| !crates.contains(**name)).collect();
    assert!(unknown.is_empty(), "no such crate, remove it: {unknown:?}");
}

#[test]
fn forbidden_arrows_are_refused_with_a_reason() {
    let refused = |from: &str, to: &str, tests| {
        let mut all = arrows();
        all.insert(Arrow { from: from.to_owned(), to: to.to_owned(), tests });
        complaints(&all).join("\n")
    };
    for (from, to, tests, why) in [
        ("services/gateway", "libs/queue", false, "only the binary and"),
        ("services/gateway", "services/scheduling", false, "services speak by gRPC"),
        ("services/gateway", "services/scheduling", true, "services speak by gRPC"),
        ("services/ingestion", "services/devchain", false, "services speak by gRPC"),
        ("services/scheduling", "libs/sim", false, "only the binary and"),
        ("services/scoring", "libs/stores", false, "only the binary and []"),
        ("libs/domain", "libs/proto", false, "it may link [] only"),
        ("libs/policy", "libs/sim", false, "it may link"),
        ("libs/sim", "libs/policy", false, "it may link"),
        ("libs/chain", "services/devchain", true, "a library links no service"),
        ("libs/new", "libs/domain", false, "has no line in LIBRARIES"),
    ] {
        let said = refused(from, to, tests);
        assert!(said.starts_with(&format!("{from} → {to}: ")) && said.contains(why), "{from} → {to}: {said:?}");
    }
    assert_eq!(refused("services/gateway", "libs/queue", true), "", "a test may link any library");
}
