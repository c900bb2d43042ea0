//! RFC 1924's base85 over whole groups: four bytes, big-endian, are five characters. No padding is needed, because a blob
//! always has a multiple of four bytes.

const ALPHABET: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// The value of every character, 255 for what is no digit.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// The text of whole groups of four bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    debug_assert_eq!(bytes.len() % 4, 0, "only whole groups are encoded");
    let mut text = String::with_capacity(bytes.len() / 4 * 5);
    for group in bytes.chunks_exact(4) {
        let number = u32::from_be_bytes([group[0], group[1], group[2], group[3]]);
        for power in [85 * 85 * 85 * 85, 85 * 85 * 85, 85 * 85, 85, 1] {
            text.push(char::from(ALPHABET[(number / power % 85) as usize]));
        }
    }
    text
}

/// The bytes of whole groups of five characters; `None` for another length, another character, or a group above 2³² - 1.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(5) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 5 * 4);
    for group in text.as_bytes().chunks_exact(5) {
        let mut number = 0_u64;
        for character in group {
            let value = VALUES[usize::from(*character)];
            if value == 255 {
                return None;
            }
            number = number * 85 + u64::from(value);
        }
        bytes.extend_from_slice(&u32::try_from(number).ok()?.to_be_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_alphabet_is_pythons() {
        // python3 -c "import base64; print(base64.b85encode(b'kinitro!'), base64.b85encode(b'\xff'*4))"
        assert_eq!(encode(b"kinitro!"), "YiVw2baHPY");
        assert_eq!(encode(&[255; 4]), "|NsC0");
        assert_eq!(encode(&[0; 4]), "00000");
    }

    #[test]
    fn what_is_no_whole_group_is_refused() {
        for bad in ["0", "0000", "000000", "|NsC1", "~~~~~", "0000\"", "0000:", "000 0", "0\u{e9}00"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(groups in prop::collection::vec(any::<[u8; 4]>(), 0..32)) {
            let bytes = groups.concat();
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn every_text_has_at_most_one_spelling(text in "[ -~]{0,40}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
