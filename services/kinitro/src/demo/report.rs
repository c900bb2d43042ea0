//! What the demo shows at its end.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use kinitro_proto::scheduling::v1::Cycle;
use serde_json::{Map, Value, json};

/// What to type after the demo.
const NEXT: &str = "\
What next
  make up                                     the same backend, until Ctrl-C, cycle after cycle; in another terminal:
  curl localhost:8000/v1/scores/latest        what it found (also /v1/weights/latest, /v1/miners, /health)
  target/debug/kinitro env try metaworld/door-open-v3 --policy oracle --video door.gif
  docs/miners.md                              how to serve and commit a policy of your own";

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
        println!("{}\n", points_explained(cycle.n_environments));
        println!(
            "Weights, as GET /v1/weights/latest has them and as a validator set them on the chain (the largest is 65535)"
        );
        println!("{}\n", self.weights_table(weights)?);
        println!("Where the time went");
        for (name, seconds) in stages {
            println!("  {seconds:7.2} s  {name}");
        }
        println!("\n{NEXT}");
        Ok(())
    }

    fn weights_table(&self, weights: &Map<String, Value>) -> Result<Table> {
        let mut uids: Vec<u16> = weights.keys().map(|uid| uid.parse()).collect::<Result<_, _>>()?;
        uids.sort_unstable();
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["uid", "policy", "weight", "on the chain"]);
        for uid in uids {
            let weight = weights[&uid.to_string()].as_f64().unwrap_or(f64::NAN);
            // The chain keeps no zeros.
            let on_chain = self.on_chain.get(&uid).copied().unwrap_or_default();
            table.add_row([uid.to_string(), self.name(&uid.to_string()), format!("{weight:.6}"), on_chain.to_string()]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Ok(table)
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

/// Why few points are not a little less than many.
fn points_explained(environments: u32) -> String {
    // Every environment is in half of all sets.
    let all = u64::from(environments) << environments.saturating_sub(1).min(40);
    format!(
        "How points come about: every set of environments is a contest, and all its points (as many as it has environments) go to the one\n\
         miner that is better than each other one in every environment of the set; where none is, to the earliest commitment that no later\n\
         one beats clearly. With {environments} environments there are {all} points, so a miner that is ahead in most environments wins nearly all.\n\
         Weights are the softmax of the points. The demo uses temperature {}, so that they can be told apart; at the default of {} the\n\
         leader takes nearly everything.",
        super::TEMPERATURE,
        kinitro_scoring::Config::default().pareto_temperature,
    )
}

fn object<'a>(body: &'a Value, field: &str) -> Result<&'a Map<String, Value>> {
    body[field].as_object().with_context(|| format!("REST answered without `{field}`: {body}"))
}
