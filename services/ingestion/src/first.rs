//! Who committed what first. Two things follow from it: a policy's priority in scoring, and whose an endpoint is.

use std::collections::BTreeMap;

use kinitro_chain::{Commitment, Endpoint, EndpointIdentity};
use kinitro_domain::BlockNumber;

/// A policy of a hotkey: what the priority of a first commitment is tied to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyKey {
    hotkey: String,
    policy: String,
}

impl PolicyKey {
    /// A key that was stored.
    pub fn stored(hotkey: String, policy: String) -> Self {
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

    /// The endpoint in it. An older rule may have let through what is none by today's.
    fn endpoint(&self) -> Option<EndpointIdentity> {
        let (_, endpoint) = self.policy.rsplit_once(' ')?;
        endpoint.parse().ok().map(|endpoint: Endpoint| endpoint.identity())
    }
}

/// The block of the first commitment of every policy, and of every endpoint in whatever policy.
#[derive(Debug, Default)]
pub struct FirstCommitments {
    policies: BTreeMap<PolicyKey, BlockNumber>,
    endpoints: BTreeMap<String, BTreeMap<EndpointIdentity, BlockNumber>>,
}

impl FirstCommitments {
    /// When a hotkey first committed a policy.
    pub fn of_policy(&self, key: &PolicyKey) -> Option<BlockNumber> {
        self.policies.get(key).copied()
    }

    /// When a hotkey first committed an endpoint, whatever the repository and the revision were.
    pub fn of_endpoint(&self, hotkey: &str, endpoint: &EndpointIdentity) -> Option<BlockNumber> {
        self.endpoints.get(hotkey)?.get(endpoint).copied()
    }

    /// Adds what was not known. What was known stays as it is.
    pub fn learn(&mut self, policies: impl IntoIterator<Item = (PolicyKey, BlockNumber)>) {
        for (key, block) in policies {
            if let Some(endpoint) = key.endpoint() {
                let of_hotkey = self.endpoints.entry(key.hotkey.clone()).or_default();
                let first = of_hotkey.entry(endpoint).or_insert(block);
                *first = block.min(*first);
            }
            self.policies.entry(key).or_insert(block);
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
        first.learn([(key("alice", "a/b v2 http://h:1"), BlockNumber(3))]);
        assert_eq!(first.of_policy(&key("alice", "a/b v2 http://h:1")), Some(BlockNumber(20)), "rows never change");
    }
}
