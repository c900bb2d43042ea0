//! What was published of a cycle, as it is stored and as it comes out again, for a comparison to the bit.

use sqlx::PgConnection;

use super::Difference;
use crate::{Error, input::Input, publish::Publication};

/// Each list in the order of the tables' keys. Doubles are their bits.
pub(super) struct Published {
    pub points: Vec<(i32, Points)>,
    weights: Vec<(i32, Weight)>,
    /// By miner and position of the environment.
    results: Vec<((i32, i32), Results)>,
}

#[derive(PartialEq)]
pub(super) struct Points {
    points: String,
    standard_error: Option<u64>,
    on_frontier: bool,
}

#[derive(PartialEq)]
struct Weight {
    weight: u64,
    /// As the chain takes it.
    scaled: i32,
    /// In how many cycles in a row the miner was not evaluated.
    not_evaluated: Option<i32>,
}

/// A miner's, in one environment.
#[derive(PartialEq)]
struct Results {
    rate: u64,
    mean_reward: u64,
    counted: i32,
    missing: i32,
}

impl Published {
    pub async fn read(connection: &mut PgConnection, cycle_id: i64) -> Result<Self, Error> {
        let points = sqlx::query!(
            r#"SELECT uid, points::text AS "points!", points_standard_error, on_frontier
               FROM scoring.scores WHERE cycle_id = $1 ORDER BY uid"#,
            cycle_id
        );
        let weights = sqlx::query!(
            "SELECT uid, weight, scaled, not_evaluated FROM scoring.weights WHERE cycle_id = $1 ORDER BY uid",
            cycle_id
        );
        let results = sqlx::query!(
            "SELECT uid, position, success_rate, mean_reward, episodes_completed, episodes_failed
             FROM scoring.details WHERE cycle_id = $1 ORDER BY uid, position",
            cycle_id
        );
        let points = points.fetch_all(&mut *connection).await?.into_iter().map(|row| {
            let standard_error = row.points_standard_error.map(f64::to_bits);
            (row.uid, Points { points: row.points, standard_error, on_frontier: row.on_frontier })
        });
        let weights = weights.fetch_all(&mut *connection).await?.into_iter().map(|row| {
            let (weight, scaled, not_evaluated) = (row.weight.to_bits(), row.scaled, row.not_evaluated);
            (row.uid, Weight { weight, scaled, not_evaluated })
        });
        let results = results.fetch_all(&mut *connection).await?.into_iter().map(|row| {
            let results = Results {
                rate: row.success_rate.to_bits(),
                mean_reward: row.mean_reward.to_bits(),
                counted: row.episodes_completed,
                missing: row.episodes_failed,
            };
            ((row.uid, row.position), results)
        });
        Ok(Self { points: points.collect(), weights: weights.collect(), results: results.collect() })
    }

    pub fn recomputed(input: &Input, publication: &Publication) -> Self {
        let (tallies, scores) = (&input.tallies, &publication.scores);
        let cycles = |uid| publication.not_evaluated.get(&uid).map(|cycles| number(*cycles));
        let scaled = scores.weights_u16();
        let scaled = |uid| scaled.iter().find(|(its, _)| *its == uid).map_or(0, |(_, value)| i32::from(*value));
        let points = scores.miners.iter().map(|miner| {
            let points = Points {
                points: miner.points.to_string(),
                standard_error: miner.standard_error.map(f64::to_bits),
                on_frontier: scores.pareto_frontier.binary_search(&miner.uid).is_ok(),
            };
            (i32::from(miner.uid.0), points)
        });
        let results = tallies.miners().iter().enumerate().flat_map(|(index, miner)| {
            (0..tallies.environments().len()).zip(0..).map(move |(column, position)| {
                let outcomes = tallies.outcomes(index, column);
                let results = Results {
                    rate: tallies.rate(index, column).to_bits(),
                    mean_reward: tallies.mean_reward(index, column).to_bits(),
                    counted: number(outcomes.counted()),
                    missing: number(outcomes.missing()),
                };
                ((i32::from(miner.uid.0), position), results)
            })
        });
        Self {
            points: points.collect(),
            weights: (scores.weights().into_iter())
                .filter(|_| publication.kept.is_none())
                .map(|(uid, weight)| {
                    let (weight, scaled, not_evaluated) = (weight.to_bits(), scaled(uid), cycles(uid));
                    (i32::from(uid.0), Weight { weight, scaled, not_evaluated })
                })
                .collect(),
            results: results.collect(),
        }
    }

    /// Where what is stored is not what comes out.
    pub fn first_difference(&self, recomputed: &Self) -> Option<Difference> {
        let points = || {
            let show = |it: &Points| {
                let standard_error = it.standard_error.map_or(String::new(), |bits| format!(" ± {}", double(bits)));
                format!("{}{standard_error}, {} the frontier", it.points, if it.on_frontier { "on" } else { "off" })
            };
            first(&self.points, &recomputed.points, |uid| format!("the points of miner {uid}"), show)
        };
        let weights = || {
            let show = |it: &Weight| {
                let cycles = it.not_evaluated;
                let evaluated = cycles.map_or(String::new(), |cycles| format!(", not evaluated in {cycles} cycles"));
                format!("{}, {} on the chain{evaluated}", double(it.weight), it.scaled)
            };
            first(&self.weights, &recomputed.weights, |uid| format!("the weight of uid {uid}"), show)
        };
        let results = || {
            let what = |(uid, position): &(i32, i32)| format!("the results of miner {uid} in environment {position}");
            let show = |it: &Results| {
                let (rate, reward) = (double(it.rate), double(it.mean_reward));
                format!("rate {rate}, mean reward {reward}, {} + {} episodes", it.counted, it.missing)
            };
            first(&self.results, &recomputed.results, what, show)
        };
        points().or_else(weights).or_else(results)
    }
}

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A double with all its digits and its bits.
fn double(bits: u64) -> String {
    format!("{} ({bits:016x})", f64::from_bits(bits))
}

/// The first row that is not the same, or is missing on one side.
fn first<K: PartialEq, V: PartialEq>(
    stored: &[(K, V)],
    recomputed: &[(K, V)],
    what: impl Fn(&K) -> String,
    show: impl Fn(&V) -> String,
) -> Option<Difference> {
    let absent = "absent";
    for index in 0..stored.len().max(recomputed.len()) {
        match (stored.get(index), recomputed.get(index)) {
            (Some(stored), Some(recomputed)) if stored == recomputed => {}
            (Some((key, stored)), Some((its, recomputed))) if key == its => {
                return Some(Difference::new(what(key), show(stored), show(recomputed)));
            }
            (Some((key, stored)), _) => return Some(Difference::new(what(key), show(stored), absent)),
            (None, Some((key, recomputed))) => return Some(Difference::new(what(key), absent, show(recomputed))),
            (None, None) => {}
        }
    }
    None
}
