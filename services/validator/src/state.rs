//! What a restart must know, in one file that is either the old or the new one.
//!
//! - Which weights were accepted last, so that a backend cannot take us back, and what they are, so that they can be set again while the
//!   backend is away.
//! - The transaction that is on its way. Its ticket is on disk before the first byte leaves, so that whatever happens then, the next
//!   start asks what became of it before it sends another.
//! - What was set last, and what was committed hidden and not shown by the chain yet.
//!
//! The file is written beside itself, flushed, and renamed. A file that cannot be read is never replaced: it may know of a transaction
//! that is on its way. A lock beside it keeps a second process with the same hotkey away; it ends with the process, however that ends.
//! What is known of one chain says nothing about another, so everything is kept by genesis hash.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use kinitro_domain::Hotkey;
use serde::{Deserialize, Serialize};

use crate::{Error, check::Published, memory::Memory};

const VERSION: u32 = 1;
/// Some vectors of a thousand uids, many times over.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// Who sets weights where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The signing hotkey.
    pub hotkey: Hotkey,
    /// The subnet.
    pub netuid: u16,
    /// Its mechanism.
    pub mechanism: u8,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    scope: Scope,
    /// By genesis hash.
    chains: BTreeMap<String, Memory>,
    /// The newest weights that were accepted, of one chain only: they are much larger than the rest.
    #[serde(default)]
    weights: Option<Weights>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    genesis: String,
    published: Published,
}

/// The file, and the lock on it.
pub struct Store {
    path: PathBuf,
    contents: Contents,
    _lock: File,
}

impl Store {
    /// Locks and reads the memory of a scope; an absent file is an empty memory.
    pub fn open(folder: &Path, scope: Scope) -> Result<Self, Error> {
        create_private(folder)?;
        let name = format!("subnet-{}-{}-{}", scope.netuid, scope.mechanism, scope.hotkey);
        let lock = lock(&folder.join(format!("{name}.lock")))?;
        let path = folder.join(format!("{name}.json"));
        let contents = match read(&path)? {
            Some(contents) if contents.scope != scope => {
                return Err(unreadable(&path, "it is of another hotkey or subnet, so it was copied or renamed"));
            }
            Some(contents) => contents,
            None => Contents { version: VERSION, scope, chains: BTreeMap::new(), weights: None },
        };
        Ok(Self { path, contents, _lock: lock })
    }

    /// What is known of a chain.
    pub fn memory(&self, genesis: &str) -> Memory {
        self.contents.chains.get(genesis).cloned().unwrap_or_default()
    }

    /// The weights that were accepted last on a chain, when they are still there and are those that the memory means.
    pub fn accepted_weights(&self, genesis: &str) -> Option<Published> {
        let known = self.memory(genesis).accepted?;
        let weights = self.contents.weights.as_ref().filter(|weights| weights.genesis == genesis)?;
        Some(weights.published.clone()).filter(|published| published.accepted() == known)
    }

    /// Changes what is known of a chain, on disk first.
    pub fn update(&mut self, genesis: &str, change: impl FnOnce(&mut Memory)) -> Result<(), Error> {
        self.write_with(|contents| change(contents.chains.entry(genesis.to_owned()).or_default()))
    }

    /// Weights were accepted on a chain; on disk first.
    pub fn accept(&mut self, genesis: &str, published: &Published) -> Result<(), Error> {
        self.write_with(|contents| {
            contents.chains.entry(genesis.to_owned()).or_default().accepted = Some(published.accepted());
            contents.weights = Some(Weights { genesis: genesis.to_owned(), published: published.clone() });
        })
    }

    fn write_with(&mut self, change: impl FnOnce(&mut Contents)) -> Result<(), Error> {
        let before = self.contents.clone();
        change(&mut self.contents);
        self.write().inspect_err(|_| self.contents = before)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(&self.contents).map_err(|error| unwritable(&self.path, &error))?;
        if text.len() as u64 > FILE_LIMIT {
            return Err(unwritable(&self.path, &"it would be too large to be read again"));
        }
        let beside = self.path.with_extension("json.new");
        let written = (|| {
            let mut file = File::create(&beside)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all()
        })();
        written.map_err(|error| unwritable(&self.path, &error))
    }
}

fn create_private(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created.map_err(|error| unwritable(folder, &error))?;
    let mode = fs::metadata(folder).map_err(|error| unwritable(folder, &error))?.permissions().mode();
    if mode & 0o022 != 0 {
        let (folder, mode) = (folder.display(), mode & 0o777);
        tracing::warn!(%folder, mode = format!("{mode:o}"), "others may change the memory, and so what is set: chmod 700 it");
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, Error> {
    let refuse = |reason: String| Error::State { path: path.to_owned(), task: "locked", reason };
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| refuse(format!("{error}; set state_dir to a folder that can be written")))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(refuse(
            "another validator with this hotkey runs: stop it first, two would set weights twice".to_owned(),
        )),
        Err(TryLockError::Error(error)) => Err(refuse(format!("{error}; set state_dir to a local folder"))),
    }
}

fn read(path: &Path) -> Result<Option<Contents>, Error> {
    let length = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error.to_string())),
    };
    if length > FILE_LIMIT {
        return Err(unreadable(path, "it is far too large"));
    }
    let text = fs::read(path).map_err(|error| unreadable(path, &error.to_string()))?;
    let contents: Contents = serde_json::from_slice(&text).map_err(|error| unreadable(path, &error.to_string()))?;
    if contents.version != VERSION {
        let found = contents.version;
        return Err(unreadable(path, &format!("it is of version {found}, this validator writes version {VERSION}")));
    }
    Ok(Some(contents))
}

fn unreadable(path: &Path, what: &str) -> Error {
    const REMEDY: &str = "it may know of a transaction on its way, so nothing is set without it: restore it, or make sure that no \
        validator with this hotkey ran in the last hour, then move it away";
    Error::State { path: path.to_owned(), task: "read", reason: format!("{what}; {REMEDY}") }
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    let reason = format!("{error}; set state_dir to a folder that can be written and has room");
    Error::State { path: path.to_owned(), task: "written", reason }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kinitro_domain::{BlockNumber, CycleId};

    use super::*;
    use crate::check::Accepted;

    fn scope() -> Scope {
        let hotkey = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".to_owned().try_into().unwrap();
        Scope { hotkey, netuid: 7, mechanism: 0 }
    }

    fn accepted(block: u64) -> Accepted {
        Accepted { block: BlockNumber(block), cycle_id: CycleId(1), digest: "00".to_owned() }
    }

    #[test]
    fn what_is_known_of_one_chain_says_nothing_about_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), scope()).unwrap();
        store.update("0x01", |memory| memory.accepted = Some(accepted(5))).unwrap();
        store.update("0x02", |memory| memory.accepted = Some(accepted(6))).unwrap();
        drop(store);
        let store = Store::open(folder.path(), scope()).unwrap();
        assert_eq!(store.memory("0x01").accepted, Some(accepted(5)));
        assert_eq!(store.memory("0x02").accepted, Some(accepted(6)));
        assert_eq!(store.memory("0x03"), Memory::default());
    }

    #[test]
    fn a_memory_that_cannot_be_written_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), scope()).unwrap();
        store.update("0x01", |memory| memory.accepted = Some(accepted(5))).unwrap();
        // A folder is where the new file would be.
        let beside = store.path().with_extension("json.new");
        fs::create_dir(&beside).unwrap();
        let refused = store.update("0x01", |memory| memory.accepted = Some(accepted(6))).unwrap_err();
        assert!(matches!(refused, Error::State { task: "written", .. }), "{refused}");
        assert_eq!(store.memory("0x01").accepted, Some(accepted(5)));
        fs::remove_dir(&beside).unwrap();
        drop(store);
        assert_eq!(Store::open(folder.path(), scope()).unwrap().memory("0x01").accepted, Some(accepted(5)));
    }

    #[test]
    fn the_accepted_weights_come_back_as_they_were_and_on_their_chain_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), scope()).unwrap();
        let published = crate::check::tests::published();
        store.accept("0x01", &published).unwrap();
        drop(store);
        let mut store = Store::open(folder.path(), scope()).unwrap();
        assert_eq!(store.accepted_weights("0x01"), Some(published.clone()));
        assert_eq!(store.accepted_weights("0x02"), None);
        // Other weights than the ones that the memory means, as after an edit by hand.
        store.update("0x01", |memory| memory.accepted = Some(accepted(5))).unwrap();
        assert_eq!(store.accepted_weights("0x01"), None);
        store.accept("0x02", &published).unwrap();
        assert_eq!(store.memory("0x01").accepted, Some(accepted(5)));
    }

    #[test]
    fn the_lock_is_of_one_hotkey_and_subnet() {
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path(), scope()).unwrap();
        let refused = Store::open(folder.path(), scope()).err().unwrap();
        assert!(matches!(refused, Error::State { task: "locked", .. }), "{refused}");
        Store::open(folder.path(), Scope { netuid: 8, ..scope() }).unwrap();
        Store::open(folder.path(), Scope { mechanism: 1, ..scope() }).unwrap();
        drop(first);
        Store::open(folder.path(), scope()).unwrap();
    }
}
