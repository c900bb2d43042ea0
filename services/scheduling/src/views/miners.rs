use std::collections::{BTreeMap, HashMap};

use kinitro_database::{timestamp, unsigned, unsigned32};
use kinitro_domain::same_revision;
use kinitro_proto::{
    ingestion::v1 as ingestion,
    scheduling::v1::{ListMinersResponse, Miner},
};

use crate::{cycles::Cycles, error::CycleError};

/// What the last cycle of a hotkey says about it.
struct Evaluated {
    at: i64,
    /// The policy that was evaluated: repository, revision, endpoint.
    policy: [String; 3],
    episodes: u64,
    /// Cause to episodes, of the causes that lie with the policy.
    faults: BTreeMap<String, u32>,
    block: Option<u64>,
    success_rate: f64,
    environments: Vec<String>,
    /// To these causes what was seen, as far as it was given for the public.
    messages: BTreeMap<String, String>,
}

impl Cycles {
    /// The miners as the public may see them: a sealed endpoint is left out.
    pub async fn list_miners(&self) -> Result<ListMinersResponse, CycleError> {
        let list = self.ingestion.list().await?;
        let mut evaluated: HashMap<String, Evaluated> = sqlx::query!(
            r#"SELECT hotkey, (extract(epoch FROM last_evaluated) * 1000000)::bigint AS "last_us!",
                      last_episodes, last_faults, last_fault_messages, last_block, last_success_rate, last_env_ids, repo, revision, endpoint
                 FROM scheduling.evaluated_miners e
                 JOIN scheduling.cycle_miners m USING (hotkey)
                WHERE m.cycle_id = e.last_cycle_id"#
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(|row| {
            let policy = [row.repo, row.revision, row.endpoint];
            let episodes = unsigned(row.last_episodes);
            let messages = messages(&row.last_fault_messages, &policy[2]);
            let evaluated = Evaluated {
                at: row.last_us,
                policy,
                episodes,
                faults: faults(&row.last_faults),
                messages,
                block: row.last_block.map(unsigned),
                success_rate: row.last_success_rate.unwrap_or_default(),
                environments: row.last_env_ids,
            };
            (row.hotkey, evaluated)
        })
        .collect();
        let miners = list.miners.iter().map(|miner| shown(miner, evaluated.remove(&miner.hotkey))).collect();
        Ok(ListMinersResponse { miners })
    }
}

fn faults(stored: &serde_json::Value) -> BTreeMap<String, u32> {
    let counts = stored.as_object().into_iter().flatten();
    counts.filter_map(|(cause, count)| Some((cause.clone(), unsigned32(count.as_i64()?)))).collect()
}

/// Without those that name the endpoint: what was written for the public may still have been copied from somewhere.
fn messages(stored: &serde_json::Value, endpoint: &str) -> BTreeMap<String, String> {
    let names = telling_names(endpoint);
    let names_endpoint = |message: &str| {
        let message = message.to_ascii_lowercase();
        names.iter().any(|name| message.contains(name))
    };
    let messages = stored.as_object().into_iter().flatten();
    messages
        .filter_map(|(cause, message)| Some((cause.clone(), message.as_str()?.to_owned())))
        .filter(|(_, message)| !names_endpoint(message))
        .collect()
}

/// The host of an endpoint, and its first label when that is long enough to tell a deployment.
fn telling_names(endpoint: &str) -> Vec<String> {
    let authority = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let label = host.split_once('.').map(|(label, _)| label).filter(|label| label.len() >= 16);
    [Some(host), label].into_iter().flatten().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn shown(miner: &ingestion::Miner, evaluated: Option<Evaluated>) -> Miner {
    let public = !miner.endpoint_encrypted && !miner.endpoint.is_empty();
    let reason = match &evaluated {
        Some(evaluated) if miner.status_reason.is_empty() => unplayable(miner, evaluated),
        _ => Some(miner.status_reason.clone()).filter(|reason| !reason.is_empty()),
    };
    let (success_rate, block) = evaluated.as_ref().map(|it| (it.success_rate, it.block)).unwrap_or_default();
    let last_evaluated = evaluated.as_ref().map(|evaluated| timestamp(evaluated.at));
    let (faults, messages, environments) =
        evaluated.map(|it| (it.faults, it.messages, it.environments)).unwrap_or_default();
    Miner {
        uid: miner.uid,
        hotkey: miner.hotkey.clone(),
        endpoint: public.then(|| miner.endpoint.clone()),
        last_evaluated,
        status: miner.status.clone(),
        status_reason: reason,
        repo: miner.repo.clone(),
        revision: miner.revision.clone(),
        endpoint_encrypted: miner.endpoint_encrypted,
        first_commit_block: miner.first_commit_block,
        last_faults: faults,
        last_evaluated_block: block,
        avg_success_rate: success_rate,
        environments_evaluated: environments,
        last_fault_messages: messages,
    }
}

/// Why not one episode of the policy that is committed now could be played to its end. Causes only: what a policy answered, or where
/// it was looked for, may hold its endpoint.
fn unplayable(miner: &ingestion::Miner, evaluated: &Evaluated) -> Option<String> {
    let [repo, revision, endpoint] = &evaluated.policy;
    let same = *repo == miner.repo && same_revision(revision, &miner.revision) && *endpoint == miner.endpoint;
    let faulty: u64 = evaluated.faults.values().copied().map(u64::from).sum();
    if !same || faulty == 0 || faulty < evaluated.episodes {
        return None;
    }
    let causes: Vec<_> = evaluated.faults.iter().map(|(cause, count)| format!("{cause} ({count})")).collect();
    Some(format!("no episode of the last cycle could be played to its end: {}", causes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miner() -> ingestion::Miner {
        ingestion::Miner {
            hotkey: "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".to_owned(),
            status: "active".to_owned(),
            repo: "user/policy".to_owned(),
            revision: "v1".to_owned(),
            endpoint: "http://169.254.169.254".to_owned(),
            ..ingestion::Miner::default()
        }
    }

    fn evaluated(revision: &str, faults: &[(&str, u32)]) -> Evaluated {
        Evaluated {
            at: 0,
            policy: ["user/policy", revision, "http://169.254.169.254"].map(str::to_owned),
            episodes: 6,
            faults: faults.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect(),
            block: Some(7),
            success_rate: 0.0,
            environments: Vec::new(),
            messages: BTreeMap::new(),
        }
    }

    #[test]
    fn a_policy_that_could_never_be_played_says_why_until_another_one_is_committed() {
        let all = [("endpoint_refused", 4), ("action_timeout", 2)];
        let reason = shown(&miner(), Some(evaluated("v1", &all))).status_reason;
        let expected =
            "no episode of the last cycle could be played to its end: action_timeout (2), endpoint_refused (4)";
        assert_eq!(reason.as_deref(), Some(expected));
        assert_eq!(shown(&miner(), Some(evaluated("v0", &all))).status_reason, None, "another policy since");
        let short = ingestion::Miner { revision: "0a1b2c3d".to_owned(), ..miner() };
        let reason = shown(&short, Some(evaluated("0a1b2c3d4e5f60718293a4b5c6d7e8f901234567", &all))).status_reason;
        assert_eq!(reason.as_deref(), Some(expected), "the same revision, written in full");
        let some = shown(&miner(), Some(evaluated("v1", &[("action_timeout", 5)])));
        assert_eq!((some.status_reason, some.last_faults["action_timeout"]), (None, 5));
    }

    #[test]
    fn a_message_that_names_the_endpoint_is_withheld() {
        let id = "0f8b6a52-8f5d-4e86-9f5a-1c2d3e4f5a6b";
        let shown = |message: &str, endpoint: &str| {
            messages(&serde_json::json!({ "http_status": message }), endpoint).contains_key("http_status")
        };
        let sealed = format!("https://{id}.deployments.example:8443/v1");
        assert!(shown("/reset answered 422 Unprocessable Entity: {}", &sealed));
        for leak in [id.to_uppercase(), format!("502 from {id}.deployments.example")] {
            assert!(!shown(&leak, &sealed), "{leak}");
        }
        assert!(!shown("at 192.0.2.1", "grpc://192.0.2.1:50051"));
        assert!(!shown("at [2001:db8::1]", "http://[2001:DB8::1]:80"));
        assert!(shown("anything", ""));
    }

    #[test]
    fn what_ingestion_says_comes_first() {
        let invalid = ingestion::Miner { status: "invalid".to_owned(), status_reason: "why".to_owned(), ..miner() };
        assert_eq!(
            shown(&invalid, Some(evaluated("v1", &[("endpoint_refused", 6)]))).status_reason.as_deref(),
            Some("why")
        );
    }
}
