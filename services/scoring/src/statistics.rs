//! What is published for people beside the scores, as the message `Statistics` of `scoring.proto`. It is computed once,
//! with the scores, and kept with them.

use kinitro_pareto::{Paired, Scores, Tallies, comparisons, dominance};
use kinitro_proto::scoring::v1 as proto;

/// Up to so many pairs of miner and environment, neighbours are compared by environment too. The answer must stay
/// within what gRPC carries.
const MAX_PAIRS: usize = 16_384;

/// The statistics of a cycle with its scores.
pub(crate) fn of(tallies: &Tallies, scores: &Scores) -> proto::Statistics {
    let env_ids = tallies.environments();
    let by_environment = tallies.miners().len() * env_ids.len() <= MAX_PAIRS;
    let comparisons = comparisons(tallies, scores).into_iter().map(|comparison| proto::Comparison {
        ahead: comparison.ahead.0.into(),
        behind: comparison.behind.0.into(),
        neighbours_in_rank: comparison.neighbours_in_rank,
        neighbours_in_commit_order: comparison.neighbours_in_commit_order,
        overall: Some(difference("", comparison.overall())),
        environments: (env_ids.iter().zip(comparison.environments))
            .filter(|_| by_environment)
            .map(|(env_id, paired)| difference(env_id.as_str(), paired))
            .collect(),
    });
    let dominance = dominance(tallies).into_iter().zip(tallies.miners()).map(|(dominated, miner)| proto::Dominance {
        uid: miner.uid.0.into(),
        dominates: dominated.into_iter().map(|miner| tallies.miners()[miner].uid.0.into()).collect(),
    });
    proto::Statistics {
        comparisons: comparisons.collect(),
        dominance: dominance.filter(|line| !line.dominates.is_empty()).collect(),
    }
}

fn difference(env_id: &str, paired: Paired) -> proto::PairedDifference {
    proto::PairedDifference {
        env_id: env_id.to_owned(),
        episodes: paired.episodes,
        only_ahead: paired.only_first,
        only_behind: paired.only_second,
        difference: paired.difference(),
        p_value: paired.p_value(),
        more_episodes: paired.more_episodes(),
    }
}
