//! Ingestion's list of miners, and which of them a cycle can evaluate.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kinitro_chassis::MeshChannel;
use kinitro_commitment::ENDPOINT_LIMIT;
use kinitro_domain::{Hotkey, MinerUid};
use kinitro_proto::ingestion::v1::{
    ListMinersRequest, ListMinersResponse, Miner, ingestion_service_client::IngestionServiceClient,
};
use tokio::{
    sync::{Mutex, RwLock},
    time::{Instant, timeout},
};
use tonic::Request;

use crate::error::CycleError;

/// The most miners that a cycle evaluates; a subnet has 256 places today.
pub const MAX_MINERS: usize = 1024;
/// How long a list answers public questions before it is asked for again.
const FRESH: Duration = Duration::from_secs(1);
/// How long ingestion may take when somebody waits for a view, and when a cycle is to be started.
const VIEW_LIMIT: Duration = Duration::from_secs(2);
const START_LIMIT: Duration = Duration::from_secs(10);
const MAX_NAME_BYTES: usize = 256;

/// How many miners the newest list that was ever read had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MinerCounts {
    /// All on the subnet.
    pub registered: u32,
    /// Those that can be evaluated.
    pub active: u32,
}

type Answer = Result<Arc<ListMinersResponse>, String>;

/// The client of ingestion. Remembers the last answer for a second, so that public questions cost ingestion nothing.
pub struct Ingestion {
    channel: MeshChannel,
    address: String,
    last: Mutex<Option<(Instant, Answer)>>,
    counts: RwLock<Option<MinerCounts>>,
}

impl Ingestion {
    pub fn new(channel: MeshChannel, address: String) -> Self {
        Self { channel, address, last: Mutex::new(None), counts: RwLock::new(None) }
    }

    /// The list as it is now, to evaluate by: one that ingestion only remembers is refused.
    pub async fn list_now(&self) -> Result<Arc<ListMinersResponse>, CycleError> {
        let answer = self.ask(START_LIMIT).await;
        *self.last.lock().await = Some((Instant::now(), answer.clone()));
        match answer {
            Ok(list) if list.stale => {
                Err(CycleError::IngestionUnavailable("it has not reached the chain since it was started".to_owned()))
            }
            answer => answer.map_err(CycleError::IngestionUnavailable),
        }
    }

    /// The list as it was at most a second ago.
    pub async fn list(&self) -> Result<Arc<ListMinersResponse>, CycleError> {
        // Held while asking: those who come meanwhile share the answer.
        let mut last = self.last.lock().await;
        let answer = match &*last {
            Some((at, answer)) if at.elapsed() < FRESH => answer.clone(),
            _ => {
                let answer = self.ask(VIEW_LIMIT).await;
                *last = Some((Instant::now(), answer.clone()));
                answer
            }
        };
        answer.map_err(CycleError::IngestionUnavailable)
    }

    /// Counts of the newest list that this process read; absent when it never read one.
    pub async fn counts(&self) -> Option<MinerCounts> {
        *self.counts.read().await
    }

    async fn ask(&self, limit: Duration) -> Answer {
        let mut client = IngestionServiceClient::with_interceptor(self.channel.clone(), kinitro_chassis::propagate)
            .max_decoding_message_size(kinitro_chassis::MAX_MESSAGE_BYTES);
        let mut request = Request::new(ListMinersRequest {});
        request.set_timeout(limit);
        let list = timeout(limit, client.list_miners(request))
            .await
            .map_err(|_| format!("no answer from {} within {} s", self.address, limit.as_secs()))?
            .map_err(|status| format!("{:?}: {}", status.code(), status.message()))?
            .into_inner();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let active = list.miners.iter().filter(|miner| miner.status == "active").count();
        metrics::gauge!("kinitro_miners_evaluable").set(active as f64);
        *self.counts.write().await = Some(MinerCounts { registered: count(list.miners.len()), active: count(active) });
        Ok(Arc::new(list))
    }
}

/// A miner that a cycle evaluates, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluable {
    pub uid: MinerUid,
    pub hotkey: Hotkey,
    pub endpoint: String,
    pub repo: String,
    pub revision: String,
    pub first_commit_block: i64,
}

/// The active miners of a list in order of uid. One that cannot be stored or called is left out with a log line; a list that
/// contradicts itself is refused as a whole, because nobody can tell which of its entries is right.
pub fn evaluable(list: &ListMinersResponse) -> Result<Vec<Evaluable>, CycleError> {
    let active: Vec<&Miner> = list.miners.iter().filter(|miner| miner.status == "active").collect();
    if active.len() > MAX_MINERS {
        let problem = format!("{} miners are active, at most {MAX_MINERS} can be evaluated", active.len());
        return Err(CycleError::MinersInconsistent(problem));
    }
    let (mut uids, mut hotkeys) = (BTreeSet::new(), BTreeSet::new());
    let mut miners = Vec::with_capacity(active.len());
    for miner in active {
        if !uids.insert(miner.uid) {
            return Err(CycleError::MinersInconsistent(format!("uid {} is listed twice", miner.uid)));
        }
        if !hotkeys.insert(&miner.hotkey) {
            let problem = format!("the hotkey of uid {} is listed twice", miner.uid);
            return Err(CycleError::MinersInconsistent(problem));
        }
        match check(miner) {
            Ok(miner) => miners.push(miner),
            Err(problem) => tracing::warn!(uid = miner.uid, problem, "an active miner is left out of the cycle"),
        }
    }
    miners.sort_by_key(|miner| miner.uid);
    Ok(miners)
}

fn check(miner: &Miner) -> Result<Evaluable, &'static str> {
    let text = |text: &str, most: usize| text.len() <= most && !text.chars().any(char::is_control);
    if miner.endpoint.is_empty() || !text(&miner.endpoint, ENDPOINT_LIMIT) {
        return Err("its endpoint is empty, too long or not printable");
    }
    if !text(&miner.repo, MAX_NAME_BYTES) || !text(&miner.revision, MAX_NAME_BYTES) {
        return Err("its repo or revision is too long or not printable");
    }
    Ok(Evaluable {
        uid: MinerUid(u16::try_from(miner.uid).map_err(|_| "its uid is larger than 65535")?),
        hotkey: Hotkey::try_from(miner.hotkey.clone()).map_err(|_| "its hotkey is no SS58 address")?,
        endpoint: miner.endpoint.clone(),
        repo: miner.repo.clone(),
        revision: miner.revision.clone(),
        first_commit_block: i64::try_from(miner.first_commit_block)
            .map_err(|_| "its first_commit_block is no block number")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOTKEYS: [&str; 2] =
        ["5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"];

    fn miner(uid: u32) -> Miner {
        Miner {
            uid,
            hotkey: HOTKEYS[uid as usize % 2].to_owned(),
            status: "active".to_owned(),
            endpoint: "http://policy.example".to_owned(),
            repo: "user/policy".to_owned(),
            revision: "abcdef12".to_owned(),
            ..Miner::default()
        }
    }

    fn uids(miners: Vec<Miner>) -> Vec<u16> {
        let list = ListMinersResponse { miners, ..ListMinersResponse::default() };
        evaluable(&list).expect("a consistent list").into_iter().map(|miner| miner.uid.0).collect()
    }

    #[test]
    fn only_active_and_usable_miners_are_evaluated_in_order_of_uid() {
        let inactive = Miner { status: "invalid".to_owned(), ..miner(7) };
        assert_eq!(uids(vec![miner(5), inactive, miner(2)]), [2, 5]);
        for unusable in [
            Miner { uid: 70_000, ..miner(1) },
            Miner { hotkey: "nobody".to_owned(), ..miner(1) },
            Miner { endpoint: String::new(), ..miner(1) },
            Miner { endpoint: "x".repeat(ENDPOINT_LIMIT + 1), ..miner(1) },
            Miner { repo: "a\0b".to_owned(), ..miner(1) },
            Miner { first_commit_block: u64::MAX, ..miner(1) },
        ] {
            assert_eq!(uids(vec![unusable, miner(2)]), [2]);
        }
    }

    #[test]
    fn a_list_that_contradicts_itself_is_refused() {
        let refused = |miners| evaluable(&ListMinersResponse { miners, ..ListMinersResponse::default() }).is_err();
        assert!(refused(vec![miner(1), Miner { hotkey: HOTKEYS[0].to_owned(), ..miner(1) }]));
        assert!(refused(vec![miner(1), miner(3)]));
        assert!(refused(vec![miner(1); MAX_MINERS + 1]));
    }
}
