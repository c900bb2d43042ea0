//! Who committed what first. Two things follow from it: a policy's priority in scoring, and whose an endpoint is.

use std::collections::BTreeMap;

use kinitro_commitment::{Commitment, Endpoint, EndpointIdentity};
use kinitro_domain::{BlockNumber, same_revision};

/// A policy of a hotkey: what the priority of a first commitment is tied to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyKey {
    hotkey: String,
    policy: String,
}

impl PolicyKey {
    /// A key that was stored, perhaps when endpoints were spelt by another rule: it is what it would be today.
    pub fn stored(hotkey: String, policy: String) -> Self {
        let parts = policy.rsplit_once(' ').and_then(|(of, endpoint)| Some((of, endpoint.parse::<Endpoint>().ok()?)));
        let policy = parts.map(|(of, endpoint)| format!("{of} {}", endpoint.url())).unwrap_or(policy);
        Self { hotkey, policy }
    }

    /// Repository, revision and endpoint; none of them can contain a space.
    pub fn of(hotkey: &str, commitment: &Commitment) -> Self {
        let policy = format!("{} {} {}", commitment.repo, commitment.revision, commitment.endpoint.url());
        Self { hotkey: hotkey.to_owned(), policy }
    }

    pub fn hotkey(&self) -> &str {
        &self.hotkey
    }

    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// Repository, revision and endpoint.
    fn parts(&self) -> Option<(&str, &str, &str)> {
        let (repo, rest) = self.policy.split_once(' ')?;
        let (revision, endpoint) = rest.rsplit_once(' ')?;
        Some((repo, revision, endpoint))
    }

    /// The endpoint in it. An older rule may have let through what is none by today's.
    fn endpoint(&self) -> Option<EndpointIdentity> {
        let (_, endpoint) = self.policy.rsplit_once(' ')?;
        endpoint.parse().ok().map(|endpoint: Endpoint| endpoint.identity())
    }
}

/// The block of the first commitment of every policy, and of every endpoint in whatever policy.
#[derive(Debug, Clone, Default)]
pub struct FirstCommitments {
    rows: usize,
    policies: BTreeMap<PolicyKey, BlockNumber>,
    endpoints: BTreeMap<String, BTreeMap<EndpointIdentity, BlockNumber>>,
}

impl FirstCommitments {
    /// All that is stored.
    pub fn stored(rows: Vec<(PolicyKey, BlockNumber)>) -> Self {
        let mut first = Self::default();
        first.saved(rows);
        first
    }

    /// Adds rows that are stored now.
    pub fn saved(&mut self, rows: Vec<(PolicyKey, BlockNumber)>) {
        self.rows += rows.len();
        self.learn(rows);
    }

    /// How many stored rows are in here: when there are more in the table, somebody else knows more. Rows are never changed, and
    /// never taken away.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// When a hotkey first committed a policy, by whatever beginning of its revision ([`same_revision`]): of those that were seen, the
    /// oldest.
    pub fn of_policy(&self, key: &PolicyKey) -> Option<BlockNumber> {
        let same = self.policies.get(key).copied();
        let Some((repo, revision, endpoint)) = key.parts() else { return same };
        let of_repo = PolicyKey { hotkey: key.hotkey.clone(), policy: format!("{repo} ") };
        let known = self
            .policies
            .range(&of_repo..)
            .take_while(|(known, _)| known.hotkey == of_repo.hotkey && known.policy.starts_with(&of_repo.policy));
        let begins_alike = known.filter(|(known, _)| {
            known.parts().is_some_and(|(_, its, at)| at == endpoint && same_revision(its, revision))
        });
        begins_alike.map(|(_, block)| *block).chain(same).min()
    }

    /// When a hotkey first committed an endpoint, whatever the repository and the revision were.
    pub fn of_endpoint(&self, hotkey: &str, endpoint: &EndpointIdentity) -> Option<BlockNumber> {
        self.endpoints.get(hotkey)?.get(endpoint).copied()
    }

    /// Adds what was not known, or was not known to be so old.
    pub fn learn(&mut self, policies: impl IntoIterator<Item = (PolicyKey, BlockNumber)>) {
        for (key, block) in policies {
            if let Some(endpoint) = key.endpoint() {
                let of_hotkey = self.endpoints.entry(key.hotkey.clone()).or_default();
                let first = of_hotkey.entry(endpoint).or_insert(block);
                *first = block.min(*first);
            }
            let first = self.policies.entry(key).or_insert(block);
            *first = block.min(*first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_as_old_as_the_oldest_policy_that_names_it() {
        let key = |hotkey: &str, policy: &str| PolicyKey::stored(hotkey.to_owned(), policy.to_owned());
        let mut first = FirstCommitments::default();
        first.learn([
            (key("alice", "a/b v2 http://h:1"), BlockNumber(20)),
            (key("alice", "a/b v1 http://H.:1/"), BlockNumber(10)),
            (key("alice", "a/b v3 http://h:1"), BlockNumber(30)),
            (key("bob", "a/b v1 http://h:1"), BlockNumber(5)),
            (key("bob", "a/b v1 gopher://h:1"), BlockNumber(1)),
            (key("bob", ""), BlockNumber(1)),
        ]);
        let endpoint = "http://h:1".parse::<Endpoint>().expect("a URL").identity();
        assert_eq!(first.of_endpoint("alice", &endpoint), Some(BlockNumber(10)));
        assert_eq!(first.of_endpoint("bob", &endpoint), Some(BlockNumber(5)));
        assert_eq!(first.of_endpoint("carol", &endpoint), None);
        assert_eq!(first.of_policy(&key("alice", "a/b v2 http://h:1")), Some(BlockNumber(20)));
    }

    #[test]
    fn what_was_stored_by_an_older_rule_is_the_policy_that_it_would_be_today() {
        let key = |policy: &str| PolicyKey::stored("alice".to_owned(), policy.to_owned());
        let first = FirstCommitments::stored(vec![
            (key("a/b v1 grpc://Policy.Example:50051"), BlockNumber(5)),
            (key("a/b v1 grpc://h:80"), BlockNumber(20)),
            (key("a/b v1 grpc://h"), BlockNumber(10)),
            (key("a/b v2 grpc://h"), BlockNumber(30)),
            (key("a/b v2 grpc://h:80"), BlockNumber(40)),
            (key("a/b v1 gopher://h"), BlockNumber(50)),
        ]);
        let now = |revision: &str, endpoint: &str| {
            let endpoint = endpoint.parse().expect("a URL");
            let (repo, revision) = ("a/b".to_owned(), revision.to_owned());
            first.of_policy(&PolicyKey::of("alice", &Commitment { repo, revision, endpoint, opened: None }))
        };
        assert_eq!(now("v1", "grpc://policy.example:50051"), Some(BlockNumber(5)));
        assert_eq!((now("v1", "grpc://h"), now("v1", "grpc://h:80")), (Some(BlockNumber(10)), Some(BlockNumber(10))));
        assert_eq!(now("v2", "grpc://H"), Some(BlockNumber(30)));
        assert_eq!(first.of_policy(&key("a/b v1 gopher://h")), Some(BlockNumber(50)), "what cannot be read stays");
        assert_eq!(first.rows(), 6, "each is a row of the table");
    }
}
