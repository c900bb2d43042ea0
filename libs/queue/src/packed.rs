//! Tasks on their way to a script: for each environment all in one string, 16 bytes an id, or 18 an entry: the id, and the uid of the
//! miner big-endian.

use std::collections::BTreeMap;

use kinitro_domain::{EnvId, MinerUid, TaskId};
use uuid::Uuid;

use crate::work::Entry;

/// How many ids one script call gets: Lua's `unpack` is bounded, and so is the time for which a script holds up the server.
pub(crate) const CHUNK: usize = 1000;

const ID_BYTES: usize = 16;
const ENTRY_BYTES: usize = 18;

/// One environment's tasks of a chunk, and where each of them was in the caller's slice.
pub(crate) struct Group<'a> {
    pub(crate) env_id: &'a EnvId,
    pub(crate) packed: Vec<u8>,
    pub(crate) positions: Vec<usize>,
    width: usize,
}

impl Group<'_> {
    /// In pieces for one script call each.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.packed.chunks(CHUNK * self.width)
    }
}

/// Groups ids by environment and keeps the order within each.
pub(crate) fn by_environment(tasks: &[(TaskId, EnvId)]) -> Vec<Group<'_>> {
    grouped(tasks.iter().map(|(task_id, env_id)| (env_id, *task_id.0.as_bytes())))
}

/// Groups entries by environment and keeps the order within each.
pub(crate) fn entries_by_environment(entries: &[Entry]) -> Vec<Group<'_>> {
    grouped(entries.iter().map(|entry| {
        let mut packed = [0; ENTRY_BYTES];
        packed[..ID_BYTES].copy_from_slice(entry.task_id.0.as_bytes());
        packed[ID_BYTES..].copy_from_slice(&entry.uid.0.to_be_bytes());
        (&entry.env_id, packed)
    }))
}

fn grouped<'a, const WIDTH: usize>(tasks: impl Iterator<Item = (&'a EnvId, [u8; WIDTH])>) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<&EnvId, Group<'a>> = BTreeMap::new();
    for (position, (env_id, bytes)) in tasks.enumerate() {
        let group = groups.entry(env_id).or_insert_with(|| Group {
            env_id,
            packed: Vec::new(),
            positions: Vec::new(),
            width: WIDTH,
        });
        group.packed.extend_from_slice(&bytes);
        group.positions.push(position);
    }
    groups.into_values().collect()
}

/// The ids in a string that a script gave back; none when it is no whole number of them.
pub(crate) fn unpack(ids: &[u8]) -> Option<Vec<TaskId>> {
    let (chunks, rest) = ids.as_chunks::<ID_BYTES>();
    rest.is_empty().then(|| chunks.iter().map(|bytes| TaskId(Uuid::from_bytes(*bytes))).collect())
}

/// The tasks and their miners in a string that a script gave back; none when it is no whole number of them.
pub(crate) fn unpack_entries(entries: &[u8]) -> Option<Vec<(TaskId, MinerUid)>> {
    let (chunks, rest) = entries.as_chunks::<ENTRY_BYTES>();
    rest.is_empty().then(|| {
        chunks
            .iter()
            .map(|[id @ .., high, low]| (TaskId(Uuid::from_bytes(*id)), MinerUid(u16::from_be_bytes([*high, *low]))))
            .collect()
    })
}

/// Uids in one string, 2 bytes each.
pub(crate) fn uids(uids: &[MinerUid]) -> Vec<u8> {
    uids.iter().flat_map(|uid| uid.0.to_be_bytes()).collect()
}
