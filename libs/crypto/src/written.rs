//! Keys and phrases as people and their editors write them: behind a byte order mark, over several lines, with `0x`.

use zeroize::Zeroizing;

const MARK: char = '\u{feff}';

/// The text of a small file, without the byte order mark and the white space around it.
///
/// # Errors
/// What the bytes are instead of text, as the end of a sentence that begins with "it". Nothing of them is quoted.
pub fn plain_text(bytes: &[u8]) -> Result<&str, &'static str> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("is UTF-16: save it as plain UTF-8 text");
    }
    if bytes.contains(&0) {
        return Err("holds NUL bytes: it is UTF-16 without a mark, or no text; save it as plain UTF-8 text");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is no text")?;
    Ok(trimmed(text))
}

/// Without the byte order mark and the white space around it.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || character == MARK)
}

/// A number in hexadecimal digits: without white space, also between the digits, a byte order mark, and a leading `0x`. Whether only
/// digits are left is for the caller to check.
pub fn hex_digits(text: &str) -> Zeroizing<String> {
    // As large as it can get, so that no copy of the secret is left behind by growing.
    let mut digits = Zeroizing::new(String::with_capacity(text.len()));
    digits.extend(text.chars().filter(|character| !character.is_whitespace() && *character != MARK));
    if digits.starts_with("0x") || digits.starts_with("0X") {
        digits.drain(..2);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_lose_what_is_around_and_between_them_and_nothing_else() {
        for text in ["0aB1", " \u{feff}0x0a B1\r\n", "0X0a\nB1", "0a\tB1\u{feff}"] {
            assert_eq!(hex_digits(text).as_str(), "0aB1", "{text:?}");
        }
        assert_eq!(hex_digits("0x0x1 zz").as_str(), "0x1zz");
        assert_eq!(hex_digits("").as_str(), "");
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert_eq!(plain_text(b"\xef\xbb\xbf  a phrase \r\n"), Ok("a phrase"));
        for (bytes, fault) in
            [(&b"\xff\xfea\0"[..], "UTF-16"), (b"\xfe\xff\0a", "UTF-16"), (b"a\0b\0", "NUL"), (b"\xc3\x28", "no text")]
        {
            assert!(plain_text(bytes).is_err_and(|said| said.contains(fault)), "{bytes:?}");
        }
    }
}
