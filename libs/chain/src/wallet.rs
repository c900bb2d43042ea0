//! Wallets in Bittensor's layout: `<path>/<wallet>/hotkeys/<hotkey>`, with `<hotkey>pub.txt` beside it in newer ones.
//!
//! A key file is a JSON object with `secretPhrase` or `secretSeed`, `ss58Address` and others (facts from opentensor/btwallet,
//! src/keyfile.rs). One that was made from a URI holds neither, but the 64 bytes of the expanded key in `privateKey`. Encrypted
//! files begin with `$NACL`, `$ANSIBLE_VAULT` or, in old ones, `gAAAAA`; they need a password, which a service has nobody to ask
//! for, so they are refused with what to do instead. Coldkeys are never read.

use std::path::{Path, PathBuf};

use kinitro_domain::Hotkey;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    ChainError, Signer,
    account::words_of,
    account_of,
    secret_file::{self, refused},
};

const DEFAULT_PATH: &str = "~/.bittensor/wallets";
const NAME_LIMIT: usize = 128;
const ENCRYPTED: [&[u8]; 3] = [b"$NACL", b"$ANSIBLE_VAULT", b"gAAAAA"];

/// Where a hotkey lies. Nothing is read before it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    /// The folder of all wallets; a leading `~` is the home folder.
    pub path: PathBuf,
    /// The wallet's name.
    pub name: String,
    /// The hotkey's name.
    pub hotkey: String,
}

/// The fields of a key file that are used.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "secretPhrase")]
    phrase: Option<Zeroizing<String>>,
    #[serde(rename = "secretSeed")]
    seed: Option<Zeroizing<String>>,
    #[serde(rename = "privateKey")]
    expanded: Option<Zeroizing<String>>,
    #[serde(rename = "ss58Address")]
    address: Option<String>,
}

impl Wallet {
    /// A hotkey of a wallet under `~/.bittensor/wallets`.
    pub fn new(name: impl Into<String>, hotkey: impl Into<String>) -> Self {
        Self { path: PathBuf::from(DEFAULT_PATH), name: name.into(), hotkey: hotkey.into() }
    }

    /// Whether both names can be names of files, for settings to be checked before anything is read.
    ///
    /// # Errors
    /// [`ChainError::KeyFile`], which says which name is wrong.
    pub fn check(&self) -> Result<(), ChainError> {
        for (what, name) in [("wallet", &self.name), ("hotkey", &self.hotkey)] {
            if !is_name(name) {
                let reason =
                    format!("the {what}'s name must be the name of one file, without slashes or a leading dot");
                return Err(refused(&self.path, reason));
            }
        }
        Ok(())
    }

    /// The hotkey's key pair.
    ///
    /// # Errors
    /// [`ChainError::KeyFile`], which never quotes the file: it is not there, is encrypted, holds no secret, holds another key
    /// than its address says, or may be written by others.
    pub fn signer(&self) -> Result<Signer, ChainError> {
        let path = self.key_path()?;
        refuse_encrypted(&path)?;
        let signer = from_key_file(&path, &secret_file::read(&path)?)?;
        let public = self.public_path()?;
        if public.exists() {
            check_address(&public, &address_in(&public)?, &signer)?;
        }
        Ok(signer)
    }

    /// The hotkey's address: from its public file, or else from the key file's public part. No secret is needed.
    ///
    /// # Errors
    /// As [`signer`](Self::signer).
    pub fn hotkey(&self) -> Result<Hotkey, ChainError> {
        let (public, path) = (self.public_path()?, self.key_path()?);
        if public.exists() {
            return address_in(&public);
        }
        refuse_encrypted(&path)?;
        address_in(&path)
    }

    fn key_path(&self) -> Result<PathBuf, ChainError> {
        self.file(&self.hotkey)
    }

    fn public_path(&self) -> Result<PathBuf, ChainError> {
        self.file(&format!("{}pub.txt", self.hotkey))
    }

    fn file(&self, file: &str) -> Result<PathBuf, ChainError> {
        self.check()?;
        Ok(expanded(&self.path)?.join(&self.name).join("hotkeys").join(file))
    }
}

/// A name of one file that a person would give.
fn is_name(name: &str) -> bool {
    (1..=NAME_LIMIT).contains(&name.len())
        && !name.starts_with('.')
        && !name.chars().any(|character| matches!(character, '/' | '\\') || character.is_control())
}

fn expanded(path: &Path) -> Result<PathBuf, ChainError> {
    let Ok(rest) = path.strip_prefix("~") else { return Ok(path.to_owned()) };
    match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(PathBuf::from(home).join(rest)),
        None => Err(refused(path, "HOME is not set: give the path in full")),
    }
}

pub(crate) fn refuse_encrypted(path: &Path) -> Result<(), ChainError> {
    let bytes = secret_file::read_bytes(path)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if ENCRYPTED.iter().any(|prefix| bytes.starts_with(prefix)) {
        let reason = "it is encrypted, and there is nobody to ask for the password: make an unencrypted hotkey \
                      (btcli wallet regen-hotkey --no-use-password), or give the seed or phrase from a file";
        return Err(refused(path, reason));
    }
    Ok(())
}

/// The JSON reader's own errors quote what they read, so they are never shown.
fn parsed(path: &Path, text: &str) -> Result<KeyFile, ChainError> {
    serde_json::from_str(text)
        .map_err(|_| refused(path, "it is no key file: expected a JSON object of Bittensor's layout"))
}

fn address_in(path: &Path) -> Result<Hotkey, ChainError> {
    let bytes = secret_file::read_bytes(path)?;
    let text = secret_file::text(path, &bytes)?;
    let address = parsed(path, text)?.address.ok_or_else(|| refused(path, "it has no ss58Address"))?;
    let hotkey = Hotkey::try_from(address).ok().filter(|hotkey| account_of(hotkey).is_ok());
    hotkey.ok_or_else(|| refused(path, "its ss58Address is no address of prefix 42 with a valid checksum"))
}

/// A secret that is there and not blank.
fn filled(secret: &Option<Zeroizing<String>>) -> Option<&str> {
    secret.as_ref().map(|secret| secret.as_str()).filter(|secret| !secret.trim().is_empty())
}

/// The key pair of a key file's text.
pub(crate) fn from_key_file(path: &Path, text: &str) -> Result<Signer, ChainError> {
    let file = parsed(path, text)?;
    let signer = match (filled(&file.phrase), filled(&file.seed), filled(&file.expanded)) {
        (Some(phrase), ..) if words_of(phrase).is_empty() => {
            return Err(refused(
                path,
                "its secretPhrase has no words: such a key would be a development key that everybody knows",
            ));
        }
        (Some(phrase), ..) => Signer::from_uri(phrase),
        (None, Some(seed), _) => Signer::from_seed_hex(seed),
        // A key of another kind can look like one of ours; only its address tells.
        (None, None, Some(_)) if file.address.is_none() => {
            return Err(refused(
                path,
                "it holds a privateKey without the ss58Address that would show of what kind it is",
            ));
        }
        (None, None, Some(expanded)) => Signer::from_expanded_hex(expanded),
        (None, None, None) => {
            return Err(refused(
                path,
                "it holds no secretPhrase, secretSeed or privateKey: it is the public half, or of another kind",
            ));
        }
    };
    let signer = signer.map_err(|error| refused(path, error.to_string()))?;
    if file.address.is_some() {
        check_address(path, &address_in(path)?, &signer)?;
    }
    Ok(signer)
}

fn check_address(path: &Path, said: &Hotkey, signer: &Signer) -> Result<(), ChainError> {
    let found = signer.hotkey();
    if *said == found {
        return Ok(());
    }
    Err(refused(
        path,
        format!("it says that the address is {said}, but the secret makes {found} (keys must be sr25519)"),
    ))
}
