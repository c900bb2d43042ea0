//! The operator's private key, from a file or from the scheduler's variables.

use std::{env, ffi::OsString, path::Path};

use anyhow::{Context as _, Result, bail};
use kinitro_crypto::PrivateKey;
use zeroize::Zeroizing;

use crate::cli::PrivateKeyArgs;

const KEY: &str = "KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY";
const KEY_FILE: &str = "KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY_FILE";

/// The key; a flag goes before the variables, of which one at most may be set.
pub fn private(args: &PrivateKeyArgs) -> Result<PrivateKey> {
    if let Some(path) = &args.private_key_file {
        return from_file(path);
    }
    match (variable(KEY), variable(KEY_FILE)) {
        (Some(_), Some(_)) => bail!("{KEY} and {KEY_FILE} are both set: keep one of them"),
        (Some(key), None) => {
            // What is no text must not be quoted either.
            let Ok(key) = key.into_string().map(Zeroizing::new) else { bail!("{KEY} must be 64 hex digits") };
            PrivateKey::from_hex(key.trim()).with_context(|| format!("{KEY} cannot be used"))
        }
        (None, Some(path)) => from_file(Path::new(&path)),
        (None, None) => bail!("no private key was given: add --private-key-file, or set {KEY_FILE} or {KEY}"),
    }
}

/// The key of a file, with what to do when there is none.
pub fn from_file(path: &Path) -> Result<PrivateKey> {
    PrivateKey::read_file(path).context("`kinitro crypto generate-keypair` makes key files")
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
