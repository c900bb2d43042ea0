//! The variables and flags of the operators' guide.

use kinitro_chassis::ConfigLoader;
use kinitro_gateway::Config;
use serde_json::json;

fn load(variables: &[(&str, &str)], flags: serde_json::Value) -> Config {
    ConfigLoader::new("gateway", "KINITRO_API_").environment(variables.iter().copied()).flags(flags).load().unwrap()
}

#[test]
fn the_defaults_are_those_of_the_guide() {
    let config = load(&[], json!({}));
    assert_eq!((config.host.to_string().as_str(), config.port), ("0.0.0.0", 8000));
    assert_eq!((config.task_stale_threshold_seconds, config.log_level.as_str()), (300, "INFO"));
    assert!(config.api_key.is_none() && !config.no_auth && !config.no_auth_on_any_address);
}

#[test]
fn the_variables_of_the_guide_are_read() {
    let config = load(
        &[
            ("KINITRO_API_HOST", "::1"),
            ("KINITRO_API_PORT", "9000"),
            // A key of digits is still text.
            ("KINITRO_API_API_KEY", "0123456789"),
            ("KINITRO_API_DATABASE_URL", "postgresql+asyncpg://u:p@h/d"),
            ("KINITRO_API_TASK_STALE_THRESHOLD_SECONDS", "60"),
            ("KINITRO_API_LOG_LEVEL", "DEBUG"),
            ("KINITRO_API_SCORING_URL", "http://scoring:50054"),
        ],
        json!({"no_auth": true}),
    );
    assert_eq!((config.host.to_string().as_str(), config.port), ("::1", 9000));
    assert_eq!(config.api_key.as_deref(), Some("0123456789"));
    assert_eq!(config.scoring_url, "http://scoring:50054");
    assert!(config.no_auth);
    assert_eq!(config.validate(), Ok(()));
}
