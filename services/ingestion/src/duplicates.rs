//! Whose an endpoint is, when several registered hotkeys have it committed. Pure.

use std::collections::BTreeMap;

use kinitro_commitment::EndpointIdentity;
use kinitro_domain::{BlockNumber, MinerUid};

/// A miner says that an endpoint is its own.
#[derive(Debug, Clone)]
pub struct Claim {
    pub uid: MinerUid,
    pub endpoint: EndpointIdentity,
    /// When its hotkey first committed the endpoint, whatever the repository and the revision were.
    pub since: BlockNumber,
}

/// For every miner that came too late, the one that was first: of the oldest claim, and among equally old ones of the smallest uid.
pub fn latecomers(claims: &[Claim]) -> BTreeMap<MinerUid, MinerUid> {
    let mut owners: BTreeMap<&EndpointIdentity, (BlockNumber, MinerUid)> = BTreeMap::new();
    for claim in claims {
        let rank = (claim.since, claim.uid);
        let owner = owners.entry(&claim.endpoint).or_insert(rank);
        *owner = rank.min(*owner);
    }
    let owner = |claim: &Claim| owners.get(&claim.endpoint).map(|(_, uid)| *uid);
    claims.iter().filter_map(|claim| Some((claim.uid, owner(claim)?))).filter(|(uid, owner)| uid != owner).collect()
}

#[cfg(test)]
mod tests {
    use kinitro_commitment::Endpoint;

    use super::*;

    fn late(claims: &[(u16, &str, u64)]) -> Vec<(u16, u16)> {
        let claims: Vec<Claim> = claims
            .iter()
            .map(|&(uid, endpoint, since)| Claim {
                uid: MinerUid(uid),
                endpoint: endpoint.parse::<Endpoint>().expect("a URL").identity(),
                since: BlockNumber(since),
            })
            .collect();
        latecomers(&claims).into_iter().map(|(uid, owner)| (uid.0, owner.0)).collect()
    }

    #[test]
    fn an_endpoint_belongs_to_whoever_committed_it_first() {
        assert_eq!(late(&[(0, "http://h:1", 20), (1, "http://h:1", 10), (2, "http://h:2", 30)]), [(0, 1)]);
        assert_eq!(late(&[]), []);
    }

    #[test]
    fn all_copies_lose_to_the_first_and_not_to_each_other() {
        let claims = [(4, "http://h:1", 10), (0, "http://h:1", 30), (2, "http://h:1", 20), (9, "grpc://H:1", 40)];
        assert_eq!(late(&claims), [(0, 4), (2, 4), (9, 4)]);
        assert_eq!(late(&claims[1..]), [(0, 2), (9, 2)], "without the first, the second is the first");
    }

    #[test]
    fn in_one_block_the_smaller_uid_was_first_in_whatever_order_they_are_read() {
        let mut claims = [(3, "http://h:1", 10), (1, "http://h:1", 10), (2, "http://h:1", 10)];
        for _ in 0..3 {
            claims.rotate_left(1);
            assert_eq!(late(&claims), [(2, 1), (3, 1)]);
        }
    }
}
