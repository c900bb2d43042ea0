//! Reads JSON from a stranger, with the numbers that JSON cannot say.
//!
//! Python's `json` writes `NaN`, `Infinity` and `-Infinity` as bare words, and any writer can put `1e999`. Both mean that a policy's
//! arithmetic went wrong, which is another fault than an answer that is no JSON at all. So before parsing, each number that is not
//! finite is replaced by the text [`NOT_FINITE`], outside strings only. A policy that sends that very text where a number belongs is
//! told the same.

use serde_json::Value;

/// What stands where a number that is not finite stood.
pub(crate) const NOT_FINITE: &str = "NaN";

/// Deeper nesting is refused. An answer needs four levels; `extra` is the policy's own.
const MAX_DEPTH: usize = 32;

/// Why bytes are no JSON, for the evidence.
pub(crate) type JsonError = String;

/// Parses an answer.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, JsonError> {
    let readable = replace_not_finite(bytes)?;
    serde_json::from_slice(&readable).map_err(|error| error.to_string())
}

fn replace_not_finite(bytes: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let end = match byte {
            b'"' => end_of_string(bytes, at),
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => end_of_word(bytes, at),
            _ => at + 1,
        };
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        let token = &bytes[at..end];
        if is_not_finite(token) {
            out.push(b'"');
            out.extend_from_slice(NOT_FINITE.as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(token);
        }
        at = end;
    }
    Ok(out)
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    let more = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    bytes[start..].iter().position(|byte| !more(byte)).map_or(bytes.len(), |length| start + length)
}

fn is_not_finite(token: &[u8]) -> bool {
    if matches!(token, b"NaN" | b"Infinity" | b"-Infinity") {
        return true;
    }
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    digits.first().is_some_and(u8::is_ascii_digit)
        && str::from_utf8(token).ok().and_then(|text| text.parse::<f64>().ok()).is_some_and(f64::is_infinite)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_are_not_finite_are_marked_and_strings_are_left_alone() {
        let read = |text: &str| read(text.as_bytes()).unwrap();
        assert_eq!(
            read("[NaN, -Infinity,Infinity, 1e999, -1e999, 1.5]"),
            json!(["NaN", "NaN", "NaN", "NaN", "NaN", 1.5])
        );
        assert_eq!(
            read(r#"{"NaN": "a NaN \" NaN 1e999", "b": [true, null]}"#),
            json!({"NaN": "a NaN \" NaN 1e999", "b": [true, null]})
        );
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for bad in ["", "nan", "inf", "[NaN", "NaN NaN", "+1", "01", "[1,]", "{1:2}", "\"\\", "'a'", "\u{feff}{}"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(read(b"\"\xff\"").is_err());
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(read("[".repeat(60_000).as_bytes()).unwrap_err().contains("nested"));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(read(nested(MAX_DEPTH + 1).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn valid_json_means_what_it_meant(value in r#"(\[|\{"a":|"[^"\\\x00-\x1f]{0,8}"|-?[0-9]{1,3}(\.[0-9]{1,3})?|true|null|\]|\}|,){0,12}"#) {
            if let Ok(expected) = serde_json::from_str::<Value>(&value) {
                prop_assert_eq!(read(value.as_bytes()), Ok(expected));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
