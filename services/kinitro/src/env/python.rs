//! What the Python package's experts achieved, recorded by `libs/sim/record/record_experts.py` on the same seeds and libmujoco.

use kinitro_domain::EnvId;

/// A line a task of Meta-World: its name, and 1 or 0 for each seed from 0.
const TABLE: &str = include_str!("../../../../libs/sim/record/experts.txt");

/// Whether the Python expert solved each seed from 0; `None` for an environment that it did not play.
pub fn solved(env_id: &EnvId) -> Option<Vec<bool>> {
    if env_id.family() != "metaworld" {
        return None;
    }
    let mut lines = TABLE.lines().filter_map(|line| line.split_once(' '));
    let (_, seeds) = lines.find(|(task, _)| *task == env_id.name())?;
    Some(seeds.bytes().map(|seed| seed == b'1').collect())
}

#[cfg(test)]
mod tests {
    use kinitro_domain::CATALOGUE;

    use super::*;

    #[test]
    fn every_environment_was_played_on_fifty_seeds() {
        for entry in CATALOGUE {
            assert_eq!(solved(&entry.env_id()).map(|seeds| seeds.len()), Some(50), "{}", entry.id);
        }
        assert!(
            TABLE.lines().all(|line| line.split_once(' ').is_some_and(|(_, s)| s.bytes().all(|b| b"01".contains(&b))))
        );
    }
}
