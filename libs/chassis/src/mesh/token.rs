//! The mesh token: a secret that the services of a deployment share.

use std::{fmt, ops::RangeInclusive, path::Path};

use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{ChassisError, read_secret};

/// Shorter ones can be guessed; longer ones are another file, or do not fit into a header.
const LENGTH: RangeInclusive<usize> = 16..=512;

/// A token that may be used: 16 to 512 printable ASCII characters without spaces. `Debug` does not show it.
#[derive(Clone)]
pub struct MeshToken {
    digest: [u8; 32],
    header: HeaderValue,
}

impl MeshToken {
    /// Takes a token as it is written; `setting` says where, for the error message.
    pub fn new(text: &str, setting: impl Into<String>) -> Result<Self, ChassisError> {
        let unusable = |problem: String| ChassisError::MeshToken { setting: setting.into(), problem };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable("it has a space or a character that is not printable ASCII".to_owned()));
        }
        if !LENGTH.contains(&text.len()) {
            return Err(unusable(format!("it has {} characters", text.len())));
        }
        let header = HeaderValue::try_from(format!("Bearer {text}"));
        let mut header = header.map_err(|error| unusable(error.to_string()))?;
        // Neither shown by `Debug` nor kept in the tables of header compression.
        header.set_sensitive(true);
        Ok(Self { digest: digest(text.as_bytes()), header })
    }

    /// Reads it from a file, without the line's end.
    pub fn read(path: &Path) -> Result<Self, ChassisError> {
        let setting = format!("the file {}", path.display());
        match read_secret(path) {
            Ok(text) => Self::new(&text, setting),
            Err(problem) => Err(ChassisError::MeshToken { setting, problem }),
        }
    }

    /// Whether this text is the token. Digests are compared, in constant time: the time taken tells neither the token's length
    /// nor how much of the text was right.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        digest(text).ct_eq(&self.digest).into()
    }

    /// The value of the header `authorization` that shows it.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl PartialEq for MeshToken {
    fn eq(&self, other: &Self) -> bool {
        self.digest.ct_eq(&other.digest).into()
    }
}

impl fmt::Debug for MeshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeshToken(***)")
    }
}

fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[test]
    fn a_text_is_the_token_only_when_every_byte_is_and_none_is_missing() {
        let token = MeshToken::new(TOKEN, "here").unwrap();
        assert!(token.is(TOKEN.as_bytes()));
        for other in ["", "0", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0", "1123456789abcdef", "\0"] {
            assert!(!token.is(other.as_bytes()), "{other:?}");
        }
        assert_eq!(token, MeshToken::new(TOKEN, "there").unwrap());
        assert_ne!(token, MeshToken::new("fedcba9876543210", "here").unwrap());
    }

    #[test]
    fn what_is_no_token_is_refused_with_its_place_and_the_remedy_and_is_not_shown() {
        for text in ["", "short", "0123456789 abcdef", "0123456789abcdef\n", "0123456789abcdéf", &"x".repeat(513)] {
            let error = MeshToken::new(text, "KINITRO_MESH_TOKEN").unwrap_err().to_string();
            assert!(error.contains("KINITRO_MESH_TOKEN") && error.contains("openssl rand -hex 32"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        for text in [TOKEN.to_owned(), "~!".repeat(8), "x".repeat(512)] {
            assert!(MeshToken::new(&text, "here").is_ok(), "{text}");
        }
    }

    #[test]
    fn a_file_is_read_without_its_line_end_and_named_when_it_holds_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let error = MeshToken::read(&path).unwrap_err().to_string();
        assert!(error.contains("/token"), "{error}");
        std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
        assert!(MeshToken::read(&path).unwrap().is(TOKEN.as_bytes()));
        std::fs::write(&path, "x\n").unwrap();
        assert!(MeshToken::read(&path).unwrap_err().to_string().contains("1 characters"));
    }

    #[test]
    fn neither_the_token_nor_its_header_is_shown() {
        let token = MeshToken::new(TOKEN, "here").unwrap();
        assert!(!format!("{token:?} {:?}", token.header()).contains("0123"));
    }
}
