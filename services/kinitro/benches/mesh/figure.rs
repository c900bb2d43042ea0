//! A figure: its name, its unit, and the median of its rounds.

use std::time::Duration;

use serde::Serialize;

/// One line of the table and one object of `bench.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Dotted, e.g. `queue.create_20k`.
    pub name: &'static str,
    /// `s`, `tasks/s`, …; what is counted per something is better when it is higher, all else when it is lower.
    pub unit: &'static str,
    /// The median of our rounds.
    pub ours: f64,
    /// What a user would otherwise use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<f64>,
    /// What the machine allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The spread, and what else a reader needs to judge the figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Figure {
    /// How many times better ours is than `other`; below 1 it is worse.
    pub fn times_better_than(&self, other: f64) -> f64 {
        if self.unit.contains('/') { self.ours / other } else { other / self.ours }
    }
}

/// What was measured, round by round.
#[derive(Debug, Clone, Default)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// Adds a round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle one; of an even number the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        quantile(&self.0, 0.5)
    }

    /// The least and the most.
    pub fn spread(&self, decimals: usize) -> String {
        let (least, most) = (quantile(&self.0, 0.0), quantile(&self.0, 1.0));
        format!("{least:.decimals$} to {most:.decimals$} in {} rounds", self.0.len())
    }
}

/// How long calls took.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<f64>);

impl Latencies {
    /// Adds a call.
    pub fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1e3);
    }

    /// Adds the calls of another client.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// `p50 1.2 ms, p99 3.4 ms`.
    pub fn summary(&self) -> String {
        format!("p50 {:.1} ms, p99 {:.1} ms", quantile(&self.0, 0.5), quantile(&self.0, 0.99))
    }
}

/// Between two values the line through them. NaN when nothing was measured, so that it cannot pass for a figure.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = part * sorted.len().saturating_sub(1) as f64;
    let around = (sorted.get(at.floor() as usize), sorted.get(at.ceil() as usize));
    let (Some(below), Some(above)) = around else { return f64::NAN };
    below + (above - below) * at.fract()
}
