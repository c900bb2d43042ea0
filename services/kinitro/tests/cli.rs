//! The command line without a mesh: usage, settings, the database commands.
#![allow(clippy::unwrap_used)]

mod support;

use std::{path::Path, process::Output};

use kinitro_stores::testing::fresh_database;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use support::up::kinitro;

fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    kinitro(Path::new("/"), arguments).envs(variables.iter().copied()).output().unwrap()
}

fn run(arguments: &[&str]) -> Output {
    run_with(&[], arguments)
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

/// It ended with this code, and its data is on stdout or its complaint on stderr, never the other way round.
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(output.stdout.is_empty(), code != 0, "{output:?}");
}

#[test]
fn help_lists_every_command_with_the_guides_names() {
    let help = run(&["--help"]);
    assert_code(&help, 0);
    let commands =
        ["up", "demo", "gateway", "scheduling", "execution", "ingestion", "scoring", "devchain", "db", "policy"];
    let others = ["config", "health", "api", "scheduler", "executor", "validate", "miner", "crypto"];
    for word in commands.into_iter().chain(others) {
        assert!(stdout(&help).contains(word), "{word}: {}", stdout(&help));
    }
    assert_eq!(stdout(&run(&["--version"])), format!("kinitro {}\n", env!("CARGO_PKG_VERSION")));
    for alias in ["api", "scheduler", "executor"] {
        assert_code(&run(&[alias, "--help"]), 0);
    }
}

#[test]
fn bad_usage_ends_with_2_and_says_what_is_wrong() {
    for (arguments, wrong) in [
        (&["up", "--prot", "8000"][..], "--prot"),
        (&["up", "--port", "http"], "http"),
        (&["nonsense"], "nonsense"),
        (&["db", "drop"], "drop"),
        (&["db", "init"], "--database-url"),
        (&["policy", "serve", "--kind", "genius", "--port", "1"], "genius"),
    ] {
        let output = run(arguments);
        assert_code(&output, 2);
        assert!(stderr(&output).contains(wrong), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn an_unknown_setting_is_refused_with_the_valid_ones() {
    let output = run_with(&[("KINITRO_API_FOO", "1")], &["config"]);
    assert_code(&output, 1);
    let message = stderr(&output);
    assert!(message.contains("KINITRO_API_FOO") && message.contains("KINITRO_API_PORT"), "{message}");

    // What one of the services that share a prefix knows is no mistake for the others; what none knows is.
    assert_code(&run_with(&[("KINITRO_SCHEDULER_PARETO_TEMPERATURE", "2.5")], &["config"]), 0);
    let output = run_with(&[("KINITRO_SCHEDULER_EPISODES", "2")], &["config"]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("KINITRO_SCHEDULER_EPISODES,"), "{}", stderr(&output));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kinitro.toml");
    std::fs::write(&file, "[scoring]\npareto_temprature = 2\n").unwrap();
    let output = run(&["config", "--config", file.to_str().unwrap()]);
    assert_code(&output, 1);
    let message = stderr(&output);
    assert!(message.contains("kinitro.toml") && message.contains("did you mean pareto_temperature?"), "{message}");
}

#[test]
fn config_shows_what_counts_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kinitro.toml");
    std::fs::write(&file, "[gateway]\nport = 7000\n[scheduling]\nepisodes_per_env = 7\n").unwrap();
    let secrets = [
        ("KINITRO_API_API_KEY", "sesame-open"),
        ("KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY", "ab".repeat(32).leak()),
        ("KINITRO_SCHEDULER_DATABASE_URL", "postgresql+asyncpg://kin:s3cret@db.example/kinitro"),
        ("KINITRO_SCHEDULER_REDIS_URL", "redis://:hush@redis.example:6379/0"),
        ("KINITRO_EXECUTOR_API_KEY", "sesame-too"),
        ("KINITRO_MESH_TOKEN", "sesame-of-the-mesh"),
        ("KINITRO_MESH_TOKEN_PREVIOUS", "sesame-of-yesterday"),
        ("KINITRO_API_PORT", "9000"),
    ];
    let output = run_with(&secrets, &["--config", file.to_str().unwrap(), "config"]);
    assert_code(&output, 0);
    let text = stdout(&output);
    for secret in ["sesame", "abab", "s3cret", "hush"] {
        assert!(!text.contains(secret) && !stderr(&output).contains(secret), "{secret}: {text}");
    }
    let effective: toml::Table = toml::from_str(text).unwrap();
    assert_eq!(effective["gateway"]["port"].as_integer(), Some(9000), "a variable goes before the file");
    assert_eq!(effective["scheduling"]["episodes_per_env"].as_integer(), Some(7));
    assert!(effective["scheduling"]["database_url"].as_str().unwrap().contains("kin:***@db.example/kinitro"), "{text}");
    for section in ["mesh", "gateway", "ingestion", "scheduling", "execution", "scoring", "validator", "devchain"] {
        assert!(effective.contains_key(section), "{section}: {text}");
    }
}

#[test]
fn config_shows_no_secret_that_was_put_where_a_file_belongs() {
    // Digits alone could be read as a number, and quoted as one.
    for secret in ["07".repeat(32), format!("0x{}", "ab".repeat(32))] {
        let names = ["KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY_FILE", "KINITRO_VALIDATOR_HOTKEY_SEED_FILE"];
        let output = run_with(&names.map(|name| (name, secret.as_str())), &["config"]);
        assert_code(&output, 0);
        assert!(!stdout(&output).contains(&secret[2..34]), "{}", stdout(&output));
        assert_eq!(stdout(&output).matches("looks like a key").count(), 2, "{}", stdout(&output));
    }
}

#[test]
fn an_empty_variable_is_none() {
    let output = run_with(&[("KINITRO_CONFIG", ""), ("KINITRO_API_PORT", "")], &["config"]);
    assert_code(&output, 0);
    let output = run_with(&[("KINITRO_SCHEDULER_DATABASE_URL", "")], &["db", "status"]);
    assert_code(&output, 2);
    assert!(stderr(&output).contains("--database-url"), "{}", stderr(&output));
}

#[test]
fn without_authentication_the_gateway_serves_loopback_only() {
    let output = run(&["gateway", "--no-auth", "--host", "0.0.0.0", "--port", "0"]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("0.0.0.0"), "{}", stderr(&output));
}

#[test]
fn health_of_a_service_that_is_away_is_a_failure() {
    let output = run(&["health", "http://127.0.0.1:1"]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("http://127.0.0.1:1/healthz does not answer"), "{}", stderr(&output));
}

#[tokio::test]
async fn the_database_commands_lead_from_nothing_to_empty_tables() {
    let server = fresh_database().await;
    let url = server.replace("/test_", "/made_by_kinitro_");
    // As the guides write it.
    let url = url.replace("postgres://", "postgresql+asyncpg://");
    let db = |arguments: &[&str]| run_with(&[("KINITRO_SCHEDULER_DATABASE_URL", &url)], &[&["db"], arguments].concat());

    let output = db(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    for (command, said) in [("create", "was created"), ("create", "exists already")] {
        let output = db(&[command]);
        assert!(output.status.success() && stderr(&output).contains(said), "{output:?}");
    }
    let output = db(&["status"]);
    assert!(!output.status.success() && stderr(&output).contains("kinitro db init"), "{output:?}");
    for _ in 0..2 {
        assert!(db(&["init"]).status.success());
    }
    let output = db(&["status", "--json"]);
    assert_code(&output, 0);
    let status: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!((&status["total_cycles"], &status["latest_weights"]), (&0.into(), &Value::Null));
    assert!(stdout(&db(&["status"])).contains("latest weights          none"));
}

#[tokio::test]
async fn reset_deletes_only_when_forced() {
    let url = fresh_database().await;
    let db = |arguments: &[&str]| run(&[&["db"], arguments, &["--database-url", &url]].concat());
    assert!(db(&["init"]).status.success());
    let rows = || async {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM ingestion.heads");
        count.fetch_one(&mut connection).await.unwrap()
    };
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("INSERT INTO ingestion.heads VALUES ('0x00', 1, 1, '0x01')").execute(&mut connection).await.unwrap();

    let output = db(&["reset"]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("--force"), "{}", stderr(&output));
    assert_eq!(rows().await, 1, "nothing was deleted");
    assert!(db(&["reset", "--force"]).status.success());
    assert_eq!(rows().await, 0, "the tables are there and empty");
}

/// Every line of the log, read as JSON.
fn log_lines(output: &Output) -> Vec<Value> {
    stderr(output).lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn a_reader_that_leaves_ends_the_program_quietly_and_a_full_disk_with_an_error() {
    // The reading end is closed before anything is written.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = kinitro(Path::new("/"), &["config"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""), "{output:?}");

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = kinitro(Path::new("/"), &["config"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).starts_with("error: cannot write to stdout: No space left"), "{}", stderr(&output));

    // Nobody reads the log: that is no reason to crash, either.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = kinitro(Path::new("/"), &["execution"]).stderr(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_misspelt_log_level_is_refused() {
    for arguments in [&["--log-level", "debgu", "config"][..], &["--log-level", "info,warming", "config"]] {
        let output = run(arguments);
        assert_code(&output, 1);
        assert!(stderr(&output).contains(arguments[1]) && stderr(&output).contains("WARNING"), "{}", stderr(&output));
    }
    assert_code(&run(&["--log-level", "WARNING,kinitro_queue=debug", "config"]), 0);
}

#[test]
fn a_service_that_cannot_start_says_so_in_its_log_and_names_what_is_set_for_nothing() {
    let variables = [
        ("KINITRO_BACKEND_EVAL_MEM_LIMIT", "8g"),
        ("KINITRO_EXECUTOR_EVAL_IMAGE", "kinitro/eval-env:v1"),
        ("KINITRO_EXECUTOR_EVAL_GPU", "true"),
        ("KINITRO_EXECUTOR_VERIFICATION_CACHE_DIR", "/cache"),
    ];
    let output = run_with(&variables, &["executor", "--executor-id", "mine", "--eval-gpu", "--port", "0"]);
    assert_code(&output, 1);
    let lines = log_lines(&output);
    for line in &lines {
        assert_eq!(line["service"], "execution", "{line}");
    }
    let said = |text: &str| lines.iter().filter(|line| line["message"].as_str().unwrap().contains(text)).count();
    assert_eq!(said("no effect on execution: KINITRO_BACKEND_EVAL_MEM_LIMIT"), 1, "{}", stderr(&output));
    for field in ["eval_image is set", "eval_gpu is set", "verification_* is set"] {
        assert_eq!(said(field), 1, "{field}: {}", stderr(&output));
    }
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "ERROR", "{last}");
    assert!(last["message"].as_str().unwrap().contains("http://scheduling:50052"), "{last}");
}

#[test]
fn a_variable_that_another_service_reads_is_named() {
    let variables = [
        ("KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY_FILE", "/keys/backend"),
        ("KINITRO_SCHEDULER_PARETO_TEMPERATURE", "2.5"),
        ("KINITRO_SCHEDULER_EPISODES_PER_ENV", "0"),
    ];
    let output = run_with(&variables, &["scheduler", "--port", "0"]);
    assert_code(&output, 1);
    let expected = "no effect on scheduling: KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY_FILE (ingestion reads it), \
                    KINITRO_SCHEDULER_PARETO_TEMPERATURE (scoring reads it)";
    let lines = log_lines(&output);
    let warned = |line: &Value| line["level"] == "WARN" && line["message"].as_str().unwrap().ends_with(expected);
    assert!(lines.iter().any(warned), "{}", stderr(&output));
}

#[test]
fn nonsense_in_settings_without_effect_is_refused() {
    for (name, value, said) in [
        ("KINITRO_EXECUTOR_VERIFICATION_RATE", "7.5", "verification_rate is 7.5"),
        ("KINITRO_EXECUTOR_EVAL_MODE", "dokcer", "docker or basilica"),
    ] {
        let output = run_with(&[(name, value)], &["execution", "--port", "0"]);
        assert_code(&output, 1);
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

#[test]
fn names_of_the_python_system_have_their_effect() {
    let variables = [
        ("KINITRO_API_AUTH_DISABLED", "true"),
        ("KINITRO_SCHEDULER_THRESHOLD_Z_SCORE", "2.0"),
        ("KINITRO_SCHEDULER_THRESHOLD_MIN_GAP", "0.01"),
        ("KINITRO_SCHEDULER_THRESHOLD_MAX_GAP", "0.2"),
        ("KINITRO_NETUID", "7"),
        ("KINITRO_NETWORK", "test"),
        ("KINITRO_WALLET_NAME", "mine"),
        ("KINITRO_HOTKEY_NAME", "hot"),
    ];
    let output = run_with(&variables, &["config"]);
    assert_code(&output, 0);
    let effective: toml::Table = toml::from_str(stdout(&output)).unwrap();
    assert_eq!(effective["gateway"]["no_auth"].as_bool(), Some(true));
    assert_eq!(effective["scoring"]["threshold_z_score"].as_float(), Some(2.0));
    assert_eq!(effective["scoring"]["threshold_min_gap"].as_float(), Some(0.01));
    assert_eq!(effective["scoring"]["threshold_max_gap"].as_float(), Some(0.2));
    for section in ["ingestion", "validator"] {
        assert_eq!(effective[section]["netuid"].as_integer(), Some(7), "{section}");
        assert_eq!(effective[section]["network"].as_str(), Some("test"), "{section}");
    }
    let wallet = [&effective["validator"]["wallet_name"], &effective["validator"]["hotkey_name"]];
    assert_eq!(wallet.map(|name| name.as_str()), [Some("mine"), Some("hot")]);

    // The own name of a setting goes before the shared one.
    let output = run_with(&[("KINITRO_NETUID", "7"), ("KINITRO_VALIDATOR_NETUID", "8")], &["config"]);
    let effective: toml::Table = toml::from_str(stdout(&output)).unwrap();
    assert_eq!(effective["validator"]["netuid"].as_integer(), Some(8));
    assert_eq!(effective["ingestion"]["netuid"].as_integer(), Some(7));

    // For a command that asks for a subnet and a wallet.
    let output = run_with(
        &[
            ("KINITRO_NETUID", "7"),
            ("KINITRO_WALLET_NAME", "mine"),
            ("KINITRO_HOTKEY_NAME", "hot"),
            ("HOME", "/nowhere"),
        ],
        &["miner", "commit", "--repo", "a/b", "--revision", "v1", "--endpoint", "http://h:1"],
    );
    assert_code(&output, 1);
    assert!(stderr(&output).contains("/mine/hotkeys/hot"), "{}", stderr(&output));
}
