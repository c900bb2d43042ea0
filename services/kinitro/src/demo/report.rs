//! What the demo shows at its end.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use kinitro_proto::scheduling::v1::Cycle;
use serde_json::{Map, Value, json};

/// Everything that was found.
pub struct Report {
    /// The miners' names in the order of their uids.
    pub names: Vec<String>,
    pub stages: Stages,
    /// `/v1/scores/latest`.
    pub scores: Value,
    /// `/v1/weights/latest`.
    pub weights: Value,
    /// What the validator set, as the chain has it: the weight of a uid in the chain's 16-bit numbers.
    pub on_chain: BTreeMap<u16, u16>,
}

/// How long things took.
pub struct Stages {
    pub started: Duration,
    pub committed: Duration,
    pub cycle: Cycle,
    pub set: Duration,
}

impl Report {
    /// Prints it on stdout, and fails when it cannot be right.
    pub fn print(&self, json: bool, total: Duration) -> Result<()> {
        let weights = object(&self.weights, "weights")?;
        let sum: f64 = weights.values().filter_map(Value::as_f64).sum();
        ensure!((sum - 1.0).abs() < 1e-9, "the weights sum to {sum}, not 1");
        let expected = super::chain::expected(&self.weights)?;
        ensure!(
            self.on_chain == expected,
            "the chain holds the weights {:?}, but those of REST are {expected:?}",
            self.on_chain
        );
        let cycle = &self.stages.cycle;
        let stages = [
            ("start Postgres, Redis, chain and services", self.stages.started.as_secs_f64()),
            ("commit and read four policies", self.stages.committed.as_secs_f64()),
            ("create the tasks", cycle.creating_seconds),
            ("play the episodes", cycle.evaluating_seconds - cycle.creating_seconds),
            ("score", cycle.scoring_seconds - cycle.evaluating_seconds),
            ("set the weights on the chain", self.stages.set.as_secs_f64()),
            ("all", total.as_secs_f64()),
        ];
        if json {
            let seconds: Map<String, Value> = stages.iter().map(|(name, s)| ((*name).to_owned(), json!(s))).collect();
            let document = json!({ "scores": self.scores, "weights": self.weights, "weights_on_chain": self.on_chain, "seconds": seconds });
            println!("{}", serde_json::to_string_pretty(&document)?);
            return Ok(());
        }
        println!(
            "\nSuccess rates (cycle {}, block {}, {})\n{}",
            cycle.id,
            cycle.block_number,
            cycle.status,
            self.rates()?
        );
        println!("Pareto frontier: {}\n", self.frontier());
        println!("GET /v1/weights/latest\n{}\n", serde_json::to_string_pretty(&self.weights)?);
        println!("Weights on the chain, set by a validator: those of REST, scaled to a largest of 65535");
        for (uid, weight) in &self.on_chain {
            println!("  {uid:>3} {:<8} {weight:>5}", self.name(&uid.to_string()));
        }
        println!("\nWhere the time went");
        for (name, seconds) in stages {
            println!("  {seconds:7.2} s  {name}");
        }
        Ok(())
    }

    fn rates(&self) -> Result<Table> {
        let scores = object(&self.scores, "scores")?;
        let weights = object(&self.weights, "weights")?;
        let environments = scores.values().next().and_then(Value::as_object).map(|rates| rates.keys().cloned());
        let environments: Vec<String> = environments.context("the scores hold no environment")?.collect();
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        let mut header = vec!["uid".to_owned(), "policy".to_owned()];
        header.extend(environments.iter().cloned());
        header.extend(["points".to_owned(), "weight".to_owned()]);
        table.set_header(header);
        for (uid, rates) in scores {
            let mut row = vec![uid.clone(), self.name(uid)];
            row.extend(environments.iter().map(|env| format!("{:.3}", rates[env].as_f64().unwrap_or(f64::NAN))));
            row.push(self.scores["points"][uid].as_str().unwrap_or("?").to_owned());
            row.push(weights.get(uid).and_then(Value::as_f64).map_or("?".to_owned(), |weight| format!("{weight:.6}")));
            table.add_row(row);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Ok(table)
    }

    fn frontier(&self) -> String {
        let uids = self.scores["pareto_frontier"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names: Vec<String> = uids.iter().map(|uid| format!("{uid} ({})", self.name(&uid.to_string()))).collect();
        names.join(", ")
    }

    fn name(&self, uid: &str) -> String {
        uid.parse().ok().and_then(|uid: usize| self.names.get(uid)).cloned().unwrap_or_else(|| "?".to_owned())
    }
}

fn object<'a>(body: &'a Value, field: &str) -> Result<&'a Map<String, Value>> {
    body[field].as_object().with_context(|| format!("REST answered without `{field}`: {body}"))
}
