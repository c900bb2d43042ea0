//! Secrets out of what is shown.

use kinitro_domain::{NOT_SHOWN, looks_like_secret};
use serde_json::Value;

const HIDDEN: &str = "***";
const SECRET: &[&str] = &["key", "secret", "password", "passphrase", "token", "mnemonic", "credential"];
/// Where a secret is kept is no secret, and a public key is public, and so are its address and its name.
const HARMLESS: &[&str] = &["_file", "_path", "public_key", "hotkey", "hotkey_name", "version_key"];
/// Fields with a path; somebody may have put the secret itself there.
const PLACES: &[&str] = &["_file", "_path", "_dir"];

/// The same value with secrets replaced: those under a key that names one, those in the place of a file's path, and passwords inside
/// URLs.
pub fn redacted(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| {
                    let shown = match value {
                        value if is_secret(&key) => hide(value),
                        Value::String(text) if names_a_place(&key) && looks_like_secret(&text) => NOT_SHOWN.into(),
                        value => redacted(value),
                    };
                    (key, shown)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(redacted).collect()),
        Value::String(text) => Value::String(without_url_secrets(&text)),
        other => other,
    }
}

/// Whether a field of this name holds a secret.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET.iter().any(|word| key.contains(word)) && !HARMLESS.iter().any(|ending| key.ends_with(ending))
}

/// Whether a value of this field that cannot be read is not quoted: it is a secret, or stands where one may be by mistake.
pub(super) fn is_hidden(key: &str) -> bool {
    is_secret(key) || names_a_place(key)
}

/// Whether a field of this name holds a path.
fn names_a_place(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    PLACES.iter().any(|ending| key.ends_with(ending))
}

/// What is not set is shown as not set; nothing else is shown, not even its length.
fn hide(value: Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) if text.is_empty() => Value::String(text),
        _ => Value::String(HIDDEN.to_owned()),
    }
}

fn without_url_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password with an unescaped slash would hide behind the path; the last `@` of the text decides.
    let end = rest.rfind('@').map_or(end, |at| end.max(at));
    let (authority, tail) = rest.split_at(end);
    // `tail` starts with the `@` when that lay beyond the authority.
    let (user_info, host) = match (tail.strip_prefix('@'), authority.rsplit_once('@')) {
        (Some(_), _) => (authority, ""),
        (None, Some((user_info, host))) => (user_info, host),
        (None, None) => return format!("{scheme}://{authority}{}", without_query_secrets(tail)),
    };
    let user = user_info.split(':').next().unwrap_or_default();
    let password = if user_info.contains(':') { ":***" } else { "" };
    let at = if tail.starts_with('@') { "" } else { "@" };
    format!("{scheme}://{user}{password}{at}{host}{}", without_query_secrets(tail))
}

fn without_query_secrets(tail: &str) -> String {
    let Some((path, query)) = tail.split_once('?') else { return tail.to_owned() };
    let shown: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", shown.join("&"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_is_shown() {
        let shown = redacted(json!({
            "api_key": "hunter2", "backend_private_key": null, "backend_private_key_file": "/etc/key", "port": 8000,
            "nested": [{"client_secret": ["hunter2"], "PASSWORD": "hunter2", "name": "x"}],
            "database_url": "postgres://u:hunter2@h:5432/d?sslmode=disable&password=hunter2",
            "redis_url": "redis://:hunter2@h/0",
            "hotkey_seed": "hunter2", "hotkey_name": "mine", "version_key": 7,
        }));
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
        assert_eq!(shown["port"], 8000);
        assert_eq!((&shown["hotkey_name"], &shown["version_key"]), (&json!("mine"), &json!(7)));
        assert_eq!(shown["backend_private_key"], Value::Null);
        assert_eq!(shown["backend_private_key_file"], "/etc/key");
        assert_eq!(shown["nested"][0]["name"], "x");
        assert_eq!(shown["database_url"], "postgres://u:***@h:5432/d?sslmode=disable&password=***");
        assert_eq!(shown["redis_url"], "redis://:***@h/0");
    }

    #[test]
    fn a_secret_in_the_place_of_a_file_is_hidden() {
        let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
        let shown = redacted(json!({
            "backend_private_key_file": "07".repeat(32), "nested": { "HOTKEY_SEED_FILE": phrase, "wallet_path": phrase },
            "public_key": "09".repeat(32), "wallet_path": "~/.bittensor/wallets",
        }));
        assert!(!shown.to_string().contains("0707") && !shown.to_string().contains("bottom"), "{shown}");
        assert_eq!(shown["backend_private_key_file"], "(looks like a key, not a file; not shown)");
        assert_eq!(shown["public_key"], "09".repeat(32));
        assert_eq!(shown["wallet_path"], "~/.bittensor/wallets");
    }

    #[test]
    fn a_password_with_odd_characters_does_not_slip_through() {
        for url in [
            "postgres://u:hun/ter2@h/d",
            "postgres://u:hun@ter2@h/d",
            "postgres://u:hun?ter2@h/d",
            "postgres://u:hun#ter2@h",
        ] {
            let shown = redacted(json!(url)).to_string();
            assert!(!shown.contains("ter2") && !shown.contains("hun"), "{shown}");
        }
    }

    #[test]
    fn a_url_without_a_password_stays_as_it_is() {
        for url in
            ["http://127.0.0.1:8000/x?y=z", "postgres://kinitro@127.0.0.1:5432/kinitro", "plain text", "wss://host"]
        {
            assert_eq!(redacted(json!(url)), json!(url));
        }
    }
}
