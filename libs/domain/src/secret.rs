//! The one rule of what looks like a secret where the path of a file is wanted.
//!
//! Somebody puts the key itself into `…_FILE`, and the message that no such file exists would write the key into a log. Whoever shows a
//! path that a setting or an argument named shows it with [`shown_path`].

use std::{borrow::Cow, path::Path};

/// What stands in the place of such a path.
pub const NOT_SHOWN: &str = "(looks like a key, not a file; not shown)";

/// Half a key, so that one that lost some digits is one, too.
const DIGITS: usize = 32;
/// Half of the shortest mnemonic.
const WORDS: usize = 6;

/// The path as it may be shown.
pub fn shown_path(path: &Path) -> Cow<'_, str> {
    let text = path.to_string_lossy();
    if looks_like_secret(&text) { Cow::Borrowed(NOT_SHOWN) } else { text }
}

/// Whether a text is a key (hex digits, with or without `0x`), a mnemonic, or the content of a key file, rather than a path. A
/// derivation (`//name`) may follow; a path below a folder is none, whatever its file is called.
pub fn looks_like_secret(text: &str) -> bool {
    let text = text.trim_matches(|character: char| character.is_whitespace() || matches!(character, '"' | '\''));
    if text.starts_with('{') || text.starts_with("-----BEGIN") {
        return true;
    }
    let start = text.split('/').next().unwrap_or_default();
    let digits = start.strip_prefix("0x").or_else(|| start.strip_prefix("0X")).unwrap_or(start);
    let apart = |byte: &u8| matches!(byte, b':' | b',' | b';');
    let hex = |byte: &u8| byte.is_ascii_hexdigit();
    let digits_alone =
        digits.bytes().all(|byte| hex(&byte) || apart(&byte)) && digits.bytes().filter(hex).count() >= DIGITS;
    digits_alone || start.split_whitespace().count() >= WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_place_of_a_path_is_not_shown() {
        let key = "07".repeat(32);
        let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
        for secret in [
            key.clone(),
            format!("0x{key}"),
            format!("0X{key}"),
            format!("{key},"),
            vec!["07"; 32].join(":"),
            format!(" {key}\n"),
            format!("'{}'", key.to_uppercase()),
            key[1..].to_owned(),
            format!("0x{key}{key}"),
            format!("{key}//hot"),
            phrase.to_owned(),
            phrase.replace(' ', "  \t"),
            format!("{phrase}//Alice///password"),
            phrase[..40].to_owned(),
            format!("{{\"secretSeed\": \"{key}\"}}"),
        ] {
            assert_eq!(shown_path(Path::new(&secret)), NOT_SHOWN, "{secret}");
        }
    }

    #[test]
    fn a_path_is_shown_as_it_is() {
        let digits = "0a1b2c3d4e5f6071".repeat(4);
        for path in [
            "backend",
            "/etc/kinitro/backend-private-key",
            "~/.config/kinitro/keys/backend",
            "./my keys/the one of my own backend.key",
            "/home/me/the key of my own new backend",
            "My Documents/key",
            "deadbeef",
            "",
            ".",
            &format!("/run/secrets/{digits}"),
            &format!("./{digits}"),
            &format!("{digits}.key"),
            "8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d",
        ] {
            assert_eq!(shown_path(Path::new(path)), path);
        }
    }
}
