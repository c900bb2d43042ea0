//! X25519 keys and the files they live in: 64 hex digits, the private one readable by its owner, at most by a group.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use kinitro_domain::shown_path;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::{
    CryptoError, blob,
    secret_file::{failure, open_regular, open_secret_file},
    written::{hex_digits, plain_text},
};

/// More than 64 digits and white space around them can need.
const KEY_FILE_LIMIT: u64 = 256;

/// The operator's key that opens sealed endpoints. Wiped from memory when dropped; `Debug` shows the public key only.
#[derive(Clone)]
pub struct PrivateKey(StaticSecret);

impl PrivateKey {
    /// A new key from the operating system's generator.
    pub fn generate() -> Self {
        Self(blob::new_secret())
    }

    /// A key written as 64 hex digits, with whatever an editor puts around and between them ([`hex_digits`]).
    pub fn from_hex(text: &str) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(hex_digits(text).as_str(), bytes.as_mut_slice()).map_err(|_| CryptoError::KeyFormat)?;
        Ok(Self(StaticSecret::from(*bytes)))
    }

    /// The key that miners seal with.
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519_dalek::PublicKey::from(&self.0))
    }

    /// Reads a key file. One that others may write or everybody may read is refused, with the command that mends it.
    pub fn read_file(path: &Path) -> Result<Self, CryptoError> {
        let digits = read_digits(path, open_secret_file(path)?)?;
        Self::from_hex(&digits).map_err(|_| misfit(path, &digits))
    }

    /// Writes the key into a new file of mode 0600; an existing file is never overwritten.
    pub fn write_file(&self, path: &Path) -> Result<(), CryptoError> {
        let mut digits = Zeroizing::new([0; 64]);
        hex::encode_to_slice(self.0.as_bytes(), digits.as_mut_slice()).expect("32 bytes are 64 digits");
        write_new(path, 0o600, digits.as_slice())
    }

    pub(crate) fn secret(&self) -> &StaticSecret {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(redacted, public {})", self.public())
    }
}

/// The operator's published key; miners seal their endpoints with it. Displayed as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub(crate) x25519_dalek::PublicKey);

impl PublicKey {
    /// A key written as 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Self, CryptoError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| CryptoError::KeyFormat)?;
        Ok(Self(x25519_dalek::PublicKey::from(bytes)))
    }

    /// Reads a key file.
    pub fn read_file(path: &Path) -> Result<Self, CryptoError> {
        let digits = read_digits(path, open_regular(path)?)?;
        Self::from_hex(&digits).map_err(|_| misfit(path, &digits))
    }

    /// Writes the key into a new file that everybody may read; an existing file is never overwritten.
    pub fn write_file(&self, path: &Path) -> Result<(), CryptoError> {
        write_new(path, 0o644, self.to_string().as_bytes())
    }

    /// The key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// What is wrong with digits that make no key.
fn misfit(path: &Path, digits: &str) -> CryptoError {
    let count = digits.chars().count();
    let found = match digits {
        "" => "is empty".to_owned(),
        digits if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => format!("holds {count} hex digits"),
        _ => "holds other characters, too".to_owned(),
    };
    CryptoError::KeyFileFormat { path: shown_path(path).into_owned(), found }
}

fn read_digits(path: &Path, file: File) -> Result<Zeroizing<String>, CryptoError> {
    let misfit = |found: String| CryptoError::KeyFileFormat { path: shown_path(path).into_owned(), found };
    // As large as it can get, so that no copy of the secret is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_LIMIT as usize + 1));
    file.take(KEY_FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(|source| failure("read", path, source))?;
    if bytes.len() as u64 > KEY_FILE_LIMIT {
        return Err(misfit(format!("holds more than {KEY_FILE_LIMIT} bytes")));
    }
    plain_text(&bytes).map(hex_digits).map_err(|found| misfit(found.to_owned()))
}

fn write_new(path: &Path, mode: u32, digits: &[u8]) -> Result<(), CryptoError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(digits)?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().map_err(|source| failure("write", path, source))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_private_key_file_is_for_its_owner_and_at_most_for_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("private.key");
        let key = PrivateKey::generate();
        key.write_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(PrivateKey::read_file(&path).unwrap().public(), key.public());

        // As a volume of Kubernetes has it.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        assert_eq!(PrivateKey::read_file(&path).unwrap().public(), key.public());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = PrivateKey::read_file(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("chmod 600 {}", path.display())) && refused.contains("0644"), "{refused}");
    }

    #[test]
    fn a_key_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        PrivateKey::generate().public().write_file(&path).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(PrivateKey::generate().write_file(&path), Err(CryptoError::KeyFile { action: "write", .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_holds_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for content in [&b""[..], b"abcd", &[b'a'; 65], &[b'g'; 64], &[0xff; 64], &[b'a'; 100_000]] {
            fs::write(&path, content).unwrap();
            let refused = PublicKey::read_file(&path).unwrap_err();
            assert!(matches!(refused, CryptoError::KeyFileFormat { .. }), "{refused}");
        }
        let missing = PublicKey::read_file(&folder.path().join("none")).unwrap_err();
        assert!(matches!(missing, CryptoError::KeyFile { action: "read", .. }), "{missing}");
    }

    #[test]
    fn a_key_file_is_understood_as_editors_write_it_or_its_fault_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let private = PrivateKey::generate();
        private.write_file(&path).unwrap();
        let digits = fs::read_to_string(&path).unwrap().trim().to_owned();
        let two_lines = format!("{}\r\n{}\r\n", &digits[..32], &digits[32..]);
        for written in [
            digits.to_uppercase(),
            format!("\u{feff}{digits}\r\n"),
            two_lines,
            format!("0x{digits}"),
            format!(" \u{feff} 0X{} ", digits.to_uppercase()),
        ] {
            fs::write(&path, &written).unwrap();
            assert_eq!(PrivateKey::read_file(&path).unwrap().public(), private.public(), "{written:?}");
            assert_eq!(PrivateKey::from_hex(&written).unwrap().public(), private.public(), "{written:?}");
            assert_eq!(PublicKey::read_file(&path).unwrap().to_string(), digits, "{written:?}");
        }
        let utf16: Vec<u8> = [0xfe, 0xff].into_iter().chain(digits.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        for (written, fault) in [
            (digits.as_bytes()[1..].to_vec(), "63 hex digits"),
            (format!("{digits}ab").into_bytes(), "66 hex digits"),
            (utf16, "UTF-16"),
            (vec![0xc3; 64], "no text"),
            (b"\xef\xbb\xbf\n".to_vec(), "is empty"),
            (b"bottom drive obey lake curtain".to_vec(), "other characters"),
            (vec![b'a'; 100_000], "more than"),
        ] {
            fs::write(&path, &written).unwrap();
            for refused in [PrivateKey::read_file(&path).unwrap_err(), PublicKey::read_file(&path).unwrap_err()] {
                let said = format!("{refused} {refused:?}");
                assert!(said.contains(fault) && said.contains("kinitro crypto"), "{said}");
                assert!(!said.contains(&digits[8..16]) && !said.contains("curtain"), "{said}");
            }
        }
    }

    #[test]
    fn debug_does_not_show_the_private_key() {
        let key = PrivateKey::from_hex(&"07".repeat(32)).unwrap();
        assert!(!format!("{key:?}").contains("0707"));
    }
}
