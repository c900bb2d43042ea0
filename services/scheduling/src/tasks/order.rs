//! The order in which tasks are served.

use std::collections::HashMap;

use kinitro_domain::{EnvId, MinerUid};

use super::NewTask;

/// Interleaves tasks over miners and environments: first the first episode of every miner in every environment, then the
/// second, and so on. At any point, within an environment no miner is more than one episode ahead of another one that still
/// has some, and no environment of a miner is more than one ahead of another; so a slow miner cannot hold the others.
pub fn fair_order(tasks: &mut [NewTask]) {
    tasks.sort_by_key(|task| task.episode);
    let mut ranks: HashMap<(MinerUid, EnvId), u32> = HashMap::new();
    let mut environments: HashMap<EnvId, u32> = HashMap::new();
    let mut keys: Vec<(u32, u32, MinerUid, usize)> = Vec::with_capacity(tasks.len());
    for (position, task) in tasks.iter().enumerate() {
        let rank = ranks.entry((task.uid, task.env_id.clone())).or_default();
        let seen = u32::try_from(environments.len()).unwrap_or(u32::MAX);
        let environment = *environments.entry(task.env_id.clone()).or_insert(seen);
        keys.push((*rank, environment, task.uid, position));
        *rank += 1;
    }
    keys.sort_unstable();
    let ordered: Vec<NewTask> = keys.into_iter().map(|(.., position)| tasks[position].clone()).collect();
    tasks.clone_from_slice(&ordered);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kinitro_domain::{EpisodeSeed, TaskId};
    use proptest::prelude::*;

    use super::*;

    fn any_tasks() -> impl Strategy<Value = Vec<NewTask>> {
        prop::collection::vec((0_u16..5, 0_u8..4, 0_u32..20), 0..120).prop_map(|specs| {
            specs
                .into_iter()
                .map(|(uid, env, episode)| NewTask {
                    id: TaskId::new(),
                    uid: MinerUid(uid),
                    env_id: format!("metaworld/e{env}").parse().expect("a valid id"),
                    episode,
                    seed: EpisodeSeed(episode),
                })
                .collect()
        })
    }

    /// At no point is one key more than one ahead of another one that still has tasks.
    fn is_even<K: Ord + Clone + std::fmt::Debug>(sequence: &[K]) -> Result<(), TestCaseError> {
        let mut left: BTreeMap<K, usize> = BTreeMap::new();
        sequence.iter().for_each(|key| *left.entry(key.clone()).or_default() += 1);
        let mut served: BTreeMap<K, usize> = left.keys().map(|key| (key.clone(), 0)).collect();
        for key in sequence {
            *served.entry(key.clone()).or_default() += 1;
            *left.entry(key.clone()).or_default() -= 1;
            for (other, count) in &served {
                prop_assert!(left[other] == 0 || served[key] <= count + 1, "{:?} before {:?}", key, other);
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn no_miner_gets_ahead_in_an_environment_and_no_environment_of_a_miner(tasks in any_tasks()) {
            let mut ordered = tasks.clone();
            fair_order(&mut ordered);
            for env in 0..4 {
                let name = format!("metaworld/e{env}");
                let uids: Vec<_> = ordered.iter().filter(|task| task.env_id.as_str() == name).map(|task| task.uid).collect();
                is_even(&uids)?;
            }
            for uid in 0..5 {
                let envs: Vec<_> = ordered.iter().filter(|task| task.uid.0 == uid).map(|task| task.env_id.clone()).collect();
                is_even(&envs)?;
            }
        }

        #[test]
        fn nothing_is_lost_or_added_and_episodes_keep_their_order(tasks in any_tasks()) {
            let mut ordered = tasks.clone();
            fair_order(&mut ordered);
            let ids = |tasks: &[NewTask]| { let mut ids: Vec<_> = tasks.iter().map(|task| task.id).collect(); ids.sort(); ids };
            prop_assert_eq!(ids(&ordered), ids(&tasks));
            for (i, task) in ordered.iter().enumerate() {
                let later = ordered[i..].iter().filter(|later| later.uid == task.uid && later.env_id == task.env_id);
                prop_assert!(later.clone().all(|later| later.episode >= task.episode));
            }
        }

        #[test]
        fn miners_with_the_same_work_are_served_by_turns(miners in 1_u16..6, envs in 1_u8..4, episodes in 1_u32..5) {
            let mut tasks = Vec::new();
            for uid in 0..miners { for env in 0..envs { for episode in 0..episodes {
                tasks.push(NewTask {
                    id: TaskId::new(),
                    uid: MinerUid(uid),
                    env_id: format!("metaworld/e{env}").parse().expect("a valid id"),
                    episode,
                    seed: EpisodeSeed(0),
                });
            }}}
            fair_order(&mut tasks);
            for (i, task) in tasks.iter().enumerate() {
                prop_assert_eq!(task.uid.0, u16::try_from(i).expect("few") % miners);
            }
        }
    }
}
