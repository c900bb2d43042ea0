//! Task ids on their way to a script: for each environment all ids in one string, 16 bytes each.

use std::collections::BTreeMap;

use kinitro_domain::{EnvId, TaskId};
use uuid::Uuid;

/// How many ids one script call gets: Lua's `unpack` is bounded, and so is the time for which a script holds up the server.
pub(crate) const CHUNK: usize = 1000;

const ID_BYTES: usize = 16;

/// One environment's ids of a chunk, and where each of them was in the caller's slice.
pub(crate) struct Group<'a> {
    pub(crate) env_id: &'a EnvId,
    pub(crate) ids: Vec<u8>,
    pub(crate) positions: Vec<usize>,
}

/// Groups by environment and keeps the order within each.
pub(crate) fn by_environment(tasks: &[(TaskId, EnvId)]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<&EnvId, Group<'_>> = BTreeMap::new();
    for (position, (task_id, env_id)) in tasks.iter().enumerate() {
        let group = groups.entry(env_id).or_insert_with(|| Group { env_id, ids: Vec::new(), positions: Vec::new() });
        group.ids.extend_from_slice(task_id.0.as_bytes());
        group.positions.push(position);
    }
    groups.into_values().collect()
}

/// The ids in a string that a script gave back; none when it is no whole number of them.
pub(crate) fn unpack(ids: &[u8]) -> Option<Vec<TaskId>> {
    let (chunks, rest) = ids.as_chunks::<ID_BYTES>();
    rest.is_empty().then(|| chunks.iter().map(|bytes| TaskId(Uuid::from_bytes(*bytes))).collect())
}

/// Ids in chunks for one script call each.
pub(crate) fn chunks(ids: &[u8]) -> impl Iterator<Item = &[u8]> {
    ids.chunks(CHUNK * ID_BYTES)
}
