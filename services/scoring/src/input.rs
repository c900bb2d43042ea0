//! Checking a request and giving it one canonical form.
//!
//! The canonical request has miners and tallies in ascending order (uid, then the order of `env_ids`), so that two
//! requests that say the same are the same bytes. It is stored as the input of the cycle. Its fingerprint covers what
//! happened: the cycle's id and block, miners, environments and tallies; not the cycle's times and status, nor what had to be
//! played, which a retry after an upgrade may state anew. The secret of a cycle is taken out and not stored.

use std::collections::{BTreeMap, BTreeSet};

use kinitro_domain::{BlockNumber, CycleSecret, EnvId, Hotkey, MinerUid, Outcomes, Required};
use kinitro_pareto::{Error as ScoreError, MAX_ENVIRONMENTS, MAX_EPISODES, MAX_MINERS, Miner, Tallies, Tally};
use kinitro_proto::scoring::v1 as proto;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

/// The last second of the year 2254: until then microseconds since 1970 are exact in a double, as which Postgres
/// multiplies them.
const MAX_SECONDS: i64 = 8_993_721_599;

/// A request that was checked.
pub(crate) struct Input {
    /// In canonical order.
    pub request: proto::ScoreCycleRequest,
    pub cycle: proto::Cycle,
    pub tallies: Tallies,
    pub hotkeys: BTreeMap<MinerUid, Hotkey>,
    /// What had to be played; absent in requests of before that was asked.
    pub required: Option<Required>,
    /// Slow miners: the cycle may be judged without their unplayed episodes.
    pub slow: BTreeSet<MinerUid>,
    /// What proves that the caller issued the cycle.
    pub secret: Option<CycleSecret>,
    pub fingerprint: [u8; 32],
}

/// What is wrong with a request.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
pub(crate) struct Invalid {
    pub field: String,
    problem: String,
}

impl Invalid {
    pub fn new(field: impl Into<String>, problem: impl ToString) -> Self {
        Self { field: field.into(), problem: problem.to_string() }
    }
}

impl From<ScoreError> for Invalid {
    fn from(error: ScoreError) -> Self {
        let field = match &error {
            ScoreError::NoMiners | ScoreError::TooManyMiners { .. } | ScoreError::DuplicateMiner { .. } => "miners",
            ScoreError::NoEnvironments
            | ScoreError::TooManyEnvironments { .. }
            | ScoreError::DuplicateEnvironment { .. } => "env_ids",
            _ => "tallies",
        };
        Self::new(field, error)
    }
}

impl Input {
    pub fn parse(mut request: proto::ScoreCycleRequest) -> Result<Self, Invalid> {
        let cycle = request.cycle.clone().ok_or_else(|| Invalid::new("cycle", "missing"))?;
        check_cycle(&cycle)?;
        if request.miners.len() > MAX_MINERS {
            return Err(ScoreError::TooManyMiners { count: request.miners.len(), limit: MAX_MINERS }.into());
        }
        if request.env_ids.len() > MAX_ENVIRONMENTS {
            return Err(
                ScoreError::TooManyEnvironments { count: request.env_ids.len(), limit: MAX_ENVIRONMENTS }.into()
            );
        }
        let pairs = request.miners.len() * request.env_ids.len();
        if request.tallies.len() > pairs {
            let problem = format!("{} are more than one for each miner in each environment", request.tallies.len());
            return Err(Invalid::new("tallies", problem));
        }

        let required = request.evidence.as_ref().map(required).transpose()?;
        let slow = request.evidence.as_ref().map(slow).transpose()?.unwrap_or_default();
        let secret = secret(&std::mem::take(&mut request.secret))?;
        let miners = enumerated(&request.miners, "miners", miner)?;
        let hotkeys = hotkeys(&miners)?;
        let miners = miners.into_iter().map(|(miner, _)| miner).collect();
        let environments: Vec<EnvId> =
            enumerated(&request.env_ids, "env_ids", |env_id| env_id.parse().map_err(|error| Invalid::new("", error)))?;
        let tallies = enumerated(&request.tallies, "tallies", tally)?;
        let tallies = Tallies::new(miners, environments, tallies)?;

        let positions: BTreeMap<String, usize> =
            request.env_ids.iter().enumerate().map(|(position, env_id)| (env_id.clone(), position)).collect();
        request.miners.sort_by_key(|miner| miner.uid);
        request.tallies.sort_by_key(|tally| (tally.uid, positions.get(&tally.env_id).copied()));
        let fingerprint = fingerprint(&request, &cycle);
        Ok(Self { request, cycle, tallies, hotkeys, required, slow, secret, fingerprint })
    }
}

fn required(evidence: &proto::Evidence) -> Result<Required, Invalid> {
    let required = Required { in_all: evidence.min_played_share, of_miner: evidence.min_miner_share };
    if required.is_valid() {
        Ok(required)
    } else {
        Err(Invalid::new("evidence", "shares must be above 0 and at most 1"))
    }
}

fn slow(evidence: &proto::Evidence) -> Result<BTreeSet<MinerUid>, Invalid> {
    let uids = enumerated(&evidence.slow_uids, "evidence.slow_uids", |slow| {
        uid(*slow).map_err(|Invalid { problem, .. }| Invalid::new("", problem))
    })?;
    Ok(uids.into_iter().collect())
}

/// Absent in a stored request.
fn secret(text: &str) -> Result<Option<CycleSecret>, Invalid> {
    let read = (!text.is_empty()).then(|| CycleSecret::from_hex(text)).transpose();
    read.map_err(|error| Invalid::new("secret", error))
}

/// Two places of one miner would be paid twice, and validators refuse such weights.
fn hotkeys(miners: &[(Miner, Hotkey)]) -> Result<BTreeMap<MinerUid, Hotkey>, Invalid> {
    let mut seen = BTreeSet::new();
    if let Some((_, twice)) = miners.iter().find(|(_, hotkey)| !seen.insert(hotkey)) {
        return Err(Invalid::new("miners", format!("hotkey {twice} is listed twice: list each miner once")));
    }
    Ok(miners.iter().map(|(miner, hotkey)| (miner.uid, hotkey.clone())).collect())
}

fn check_cycle(cycle: &proto::Cycle) -> Result<(), Invalid> {
    let stored = |value: u64| i64::try_from(value).is_ok();
    if cycle.id == 0 || !stored(cycle.id) {
        return Err(Invalid::new("cycle.id", "must be from 1 to 2^63 - 1"));
    }
    if !stored(cycle.block_number) {
        return Err(Invalid::new("cycle.block_number", "must be at most 2^63 - 1"));
    }
    if !matches!(cycle.status.as_str(), "completed" | "timed_out") {
        return Err(Invalid::new("cycle.status", "must be `completed` or `timed_out`"));
    }
    if !cycle.duration_seconds.is_finite() || cycle.duration_seconds < 0.0 {
        return Err(Invalid::new("cycle.duration_seconds", "must be finite and not negative"));
    }
    for (field, time) in [("cycle.started_at", &cycle.started_at), ("cycle.completed_at", &cycle.completed_at)] {
        let valid = time
            .as_ref()
            .is_none_or(|time| (0..=MAX_SECONDS).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos));
        if !valid {
            return Err(Invalid::new(field, "must be a time from 1970 to 2254"));
        }
    }
    Ok(())
}

/// Converts each element; an error names the element.
fn enumerated<T, U>(elements: &[T], name: &str, convert: impl Fn(&T) -> Result<U, Invalid>) -> Result<Vec<U>, Invalid> {
    let convert = |(index, element)| {
        convert(element).map_err(|Invalid { field, problem }| {
            let dot = if field.is_empty() { "" } else { "." };
            Invalid { field: format!("{name}[{index}]{dot}{field}"), problem }
        })
    };
    elements.iter().enumerate().map(convert).collect()
}

fn uid(uid: u32) -> Result<MinerUid, Invalid> {
    u16::try_from(uid).map(MinerUid).map_err(|_| Invalid::new("uid", format!("{uid} is above 65535")))
}

fn miner(miner: &proto::MinerIdentity) -> Result<(Miner, Hotkey), Invalid> {
    let hotkey = Hotkey::try_from(miner.hotkey.clone()).map_err(|error| Invalid::new("hotkey", error))?;
    if i64::try_from(miner.first_commit_block).is_err() {
        return Err(Invalid::new("first_commit_block", "must be at most 2^63 - 1"));
    }
    Ok((Miner { uid: uid(miner.uid)?, first_commit_block: BlockNumber(miner.first_commit_block) }, hotkey))
}

fn tally(tally: &proto::Tally) -> Result<Tally, Invalid> {
    let uid = uid(tally.uid)?;
    let env_id: EnvId = tally.env_id.parse().map_err(|error| Invalid::new("env_id", error))?;
    if tally.outcomes.is_empty() {
        return Err(Invalid::new(
            "outcomes",
            "empty: write one character for each episode, `-` for what was not played",
        ));
    }
    if tally.outcomes.len() > MAX_EPISODES {
        let error = ScoreError::TooManyEpisodes { uid, env_id, count: tally.outcomes.len(), limit: MAX_EPISODES };
        return Err(Invalid::new("outcomes", error));
    }
    let outcomes: Outcomes = tally.outcomes.parse().map_err(|error| Invalid::new("outcomes", error))?;
    if !tally.mean_reward.is_finite() {
        let error = ScoreError::NotFinite { uid, env_id, value: tally.mean_reward };
        return Err(Invalid::new("mean_reward", error));
    }
    Ok(Tally { uid, env_id, outcomes, mean_reward: tally.mean_reward })
}

/// SHA-256 of a canonical request with only the id and the block of its cycle, and without what had to be played.
fn fingerprint(request: &proto::ScoreCycleRequest, cycle: &proto::Cycle) -> [u8; 32] {
    let cycle = proto::Cycle { id: cycle.id, block_number: cycle.block_number, ..proto::Cycle::default() };
    let decisive = proto::ScoreCycleRequest { cycle: Some(cycle), evidence: None, ..request.clone() };
    Sha256::digest(decisive.encode_to_vec()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOTKEY: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    fn request() -> proto::ScoreCycleRequest {
        let miner = |uid| proto::MinerIdentity { uid, hotkey: format!("{HOTKEY}{uid}"), first_commit_block: 5 };
        let tally = |uid, env_id: &str| proto::Tally {
            uid,
            env_id: env_id.to_owned(),
            outcomes: "10-".to_owned(),
            mean_reward: 1.5,
        };
        proto::ScoreCycleRequest {
            cycle: Some(proto::Cycle {
                id: 1,
                block_number: 100,
                status: "completed".to_owned(),
                ..proto::Cycle::default()
            }),
            miners: vec![miner(1), miner(2)],
            env_ids: vec!["test/b".to_owned(), "test/a".to_owned()],
            tallies: vec![tally(1, "test/b"), tally(1, "test/a"), tally(2, "test/b")],
            evidence: Some(proto::Evidence { min_played_share: 0.9, min_miner_share: 0.5, slow_uids: vec![2] }),
            secret: "07".repeat(32),
        }
    }

    /// The error after a change to a valid request.
    fn refused(change: impl FnOnce(&mut proto::ScoreCycleRequest)) -> String {
        let mut request = request();
        change(&mut request);
        Input::parse(request).err().map(|invalid| invalid.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_order_of_a_request_and_the_times_of_its_cycle_do_not_change_its_fingerprint() {
        let first = Input::parse(request()).expect("valid");
        let mut other = request();
        other.miners.reverse();
        other.tallies.reverse();
        if let Some(cycle) = &mut other.cycle {
            cycle.status = "timed_out".to_owned();
            cycle.duration_seconds = 3.0;
        }
        let other = Input::parse(other).expect("valid");
        assert_eq!(first.fingerprint, other.fingerprint);
        assert_eq!((&first.request.miners, &first.request.tallies), (&other.request.miners, &other.request.tallies));

        for change in [
            |request: &mut proto::ScoreCycleRequest| request.tallies[0].outcomes = "11-".to_owned(),
            |request: &mut proto::ScoreCycleRequest| request.tallies[0].mean_reward = 1.6,
            |request: &mut proto::ScoreCycleRequest| request.miners[0].first_commit_block = 6,
            |request: &mut proto::ScoreCycleRequest| request.env_ids.reverse(),
            |request: &mut proto::ScoreCycleRequest| request.tallies.truncate(2),
        ] {
            let mut changed = request();
            change(&mut changed);
            assert_ne!(Input::parse(changed).expect("valid").fingerprint, first.fingerprint);
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        let cycle =
            |change: fn(&mut proto::Cycle)| refused(|request| request.cycle.as_mut().into_iter().for_each(change));
        assert_eq!(refused(|request| request.cycle = None), "cycle: missing");
        assert!(cycle(|cycle| cycle.id = 0).starts_with("cycle.id: "));
        assert!(cycle(|cycle| cycle.id = 1 << 63).starts_with("cycle.id: "));
        assert!(cycle(|cycle| cycle.block_number = u64::MAX).starts_with("cycle.block_number: "));
        assert!(cycle(|cycle| cycle.status = "running".to_owned()).starts_with("cycle.status: "));
        assert!(cycle(|cycle| cycle.duration_seconds = f64::NAN).starts_with("cycle.duration_seconds: "));
        assert!(
            cycle(|cycle| cycle.started_at = Some(prost_types::Timestamp { seconds: -1, nanos: 0 }))
                .starts_with("cycle.started_at: ")
        );
        assert!(refused(|request| request.miners.clear()).starts_with("tallies: 3 are more than"));
        assert!(refused(|request| (request.miners, request.tallies) = (vec![], vec![])).starts_with("miners: "));
        assert!(refused(|request| request.miners[1].uid = 1).starts_with("miners: miner 1 is listed twice"));
        assert!(refused(|request| request.miners[1].uid = 65536).starts_with("miners[1].uid: 65536"));
        assert!(
            refused(|request| request
                .evidence
                .as_mut()
                .into_iter()
                .for_each(|evidence| evidence.slow_uids = vec![1, 65536]))
            .starts_with("evidence.slow_uids[1]: 65536")
        );
        assert!(refused(|request| request.miners[1].hotkey = "x".to_owned()).starts_with("miners[1].hotkey: "));
        assert!(
            refused(|request| request.miners[0].first_commit_block = u64::MAX)
                .starts_with("miners[0].first_commit_block: ")
        );
        assert!(refused(|request| request.env_ids[1] = "A b".to_owned()).starts_with("env_ids[1]: "));
        assert!(refused(|request| request.env_ids[1] = "test/b".to_owned()).starts_with("env_ids: "));
        assert!(refused(|request| request.env_ids = vec!["test/x".to_owned(); 65]).starts_with("env_ids: 65"));
        assert!(refused(|request| request.tallies[2].uid = 3).starts_with("tallies: there is a tally of miner 3"));
        assert!(
            refused(|request| request.tallies[2].env_id = "test/c".to_owned())
                .starts_with("tallies: there is a tally of miner 2 in test/c")
        );
        assert!(refused(|request| request.tallies[2].uid = 1).starts_with("tallies: there are two tallies"));
        assert!(refused(|request| request.tallies[2].outcomes = "1".to_owned()).starts_with("tallies: miner 2 has 1"));
        assert!(refused(|request| request.tallies[2].outcomes = "1x0".to_owned()).starts_with("tallies[2].outcomes: "));
        assert!(
            refused(|request| request.tallies[0].outcomes = "1".repeat(10_001)).starts_with("tallies[0].outcomes: ")
        );
        assert_eq!(
            refused(|request| request.tallies[1].mean_reward = f64::INFINITY),
            "tallies[1].mean_reward: the mean reward of miner 1 in test/a is not finite (inf)"
        );
    }
}
