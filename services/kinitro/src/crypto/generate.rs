//! `kinitro crypto generate-keypair`: both files or neither, and never in place of one that exists.

use std::{
    env,
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt as _,
    path::{self, Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use kinitro_crypto::{CryptoError, PrivateKey};
use serde_json::json;

use crate::cli::GenerateKeypairArgs;

/// Runs it.
pub fn run(args: &GenerateKeypairArgs) -> Result<()> {
    let name = &args.name;
    let folder = match &args.output {
        // What is shown is put into settings, and used in another folder.
        Some(folder) => path::absolute(folder).context("--output cannot be used")?,
        None => default_folder()?,
    };
    let private_path = folder.join(name);
    let public_path = folder.join(format!("{name}.pub"));
    if args.force {
        make_room(&private_path, &public_path, &folder.join(format!("{name}.previous")))?;
    }
    for path in [&private_path, &public_path] {
        if fs::symlink_metadata(path).is_ok() {
            return Err(taken(path));
        }
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot make the folder {}: give another --output", folder.display()))?;

    let key = PrivateKey::generate();
    let public = key.public();
    write(&private_path, |path| key.write_file(path))?;
    if let Err(error) = write(&public_path, |path| public.write_file(path)) {
        // The private key is ours and nobody has seen it yet.
        fs::remove_file(&private_path)
            .with_context(|| format!("{error:#}; and {} could not be removed again", private_path.display()))?;
        return Err(error);
    }
    if args.json {
        let shown = json!({ "private_key_file": private_path, "public_key_file": public_path, "public_key": public.to_string() });
        println!("{shown:#}");
        return Ok(());
    }
    println!("private key  {}  (keep it secret, keep a copy)", private_path.display());
    println!("public key   {}", public_path.display());
    println!("             {public}");
    eprintln!(
        "\nnext: publish it, so that miners find it by your hotkey\n  \
         kinitro crypto publish-public-key --public-key-file {} --netuid <NETUID> --wallet-name <WALLET> --hotkey-name <HOTKEY>\n\
         and let ingestion open what they seal\n  \
         export KINITRO_SCHEDULER_BACKEND_PRIVATE_KEY_FILE={}",
        public_path.display(),
        private_path.display()
    );
    Ok(())
}

/// Moves an old private key out of the way, as what is sealed for it still has to be opened, and removes its public key.
fn make_room(private: &Path, public: &Path, previous: &Path) -> Result<()> {
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    for path in [private, public] {
        if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            bail!("{} is no regular file and is not replaced: choose another --name or --output", path.display());
        }
    }
    if is_there(private) {
        if is_there(previous) {
            bail!("{} exists already: move it away, as --force keeps the old private key there", previous.display());
        }
        fs::rename(private, previous)
            .with_context(|| format!("cannot keep {} as {}", private.display(), previous.display()))?;
        eprintln!(
            "the old private key is {}: set KINITRO_SCHEDULER_BACKEND_PREVIOUS_PRIVATE_KEY_FILE to it until the miners have committed again",
            previous.display()
        );
    }
    if is_there(public) {
        fs::remove_file(public).with_context(|| format!("cannot remove {}", public.display()))?;
    }
    Ok(())
}

fn default_folder() -> Result<PathBuf> {
    // As the specification of these folders says, a relative one counts for nothing.
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    Ok(config
        .context("neither XDG_CONFIG_HOME nor HOME says where to put the keys: give --output")?
        .join("kinitro/keys"))
}

/// Writes a new file, and leaves no half of it.
fn write(path: &Path, write: impl FnOnce(&Path) -> Result<(), CryptoError>) -> Result<()> {
    match write(path) {
        Ok(()) => Ok(()),
        Err(CryptoError::KeyFile { source, .. }) if source.kind() == ErrorKind::AlreadyExists => Err(taken(path)),
        Err(error) => {
            // It may not have been made at all.
            fs::remove_file(path).ok();
            Err(error.into())
        }
    }
}

fn taken(path: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "{} exists already and is not overwritten: choose another --name or --output, or add --force; what was sealed for a key that is lost \
         stays sealed",
        path.display()
    )
}
