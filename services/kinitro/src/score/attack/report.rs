//! What the panel prints.

use comfy_table::{CellAlignment, Table, presets};
use kinitro_pareto::{Interval, Scheme, wilson};
use serde_json::{Value, json};

use super::{args::AttackArgs, model::Seeds, trial::Tallied};

/// A line of the panel, with what each scheme made of it.
pub struct Row {
    pub attack: String,
    pub seeds: Seeds,
    pub episodes: u32,
    pub deserving: bool,
    pub by_scheme: Vec<Judged>,
}

/// One scheme.
pub struct Judged {
    pub tallied: Tallied,
    /// The probability of a false crown, where it is known exactly.
    pub exact: Option<f64>,
}

impl Judged {
    fn share(&self) -> (f64, Interval) {
        self.mean(self.tallied.share)
    }

    fn crown(&self) -> (f64, Interval) {
        self.mean(self.tallied.crowns.into())
    }

    fn points(&self) -> (f64, Interval) {
        self.mean(self.tallied.points.into())
    }

    fn mean(&self, sum: f64) -> (f64, Interval) {
        let trials = f64::from(self.tallied.trials);
        (sum / trials, wilson(sum, trials))
    }
}

/// Everything as one document.
pub fn json(args: &AttackArgs, schemes: &[Scheme], rows: &[Row]) -> Value {
    let measured =
        |(mean, interval): (f64, Interval)| json!({ "mean": mean, "lower": interval.lower, "upper": interval.upper });
    let row = |row: &Row| {
        let by_scheme = schemes.iter().zip(&row.by_scheme).map(|(scheme, judged)| {
            let crown = if row.deserving { "deserved_crown" } else { "false_crown" };
            let mut judgement = json!({
                "share": measured(judged.share()),
                crown: measured(judged.crown()),
                "any_points": measured(judged.points()),
            });
            if let Some(exact) = judged.exact {
                judgement["false_crown_exact"] = exact.into();
            }
            (scheme.name().to_owned(), judgement)
        });
        json!({
            "attack": row.attack,
            "seeds": row.seeds.name(),
            "episodes": row.episodes,
            "schemes": by_scheme.collect::<serde_json::Map<_, _>>(),
        })
    };
    json!({
        "schemes": schemes,
        "trials": args.trials,
        "environments": args.environments,
        "honest": args.honest,
        "rate": args.rate,
        "difficulty": args.difficulty,
        "floor": args.floor,
        "seed": args.seed,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// A table for each kind of seeds, with its heading.
pub fn tables(args: &AttackArgs, schemes: &[Scheme], rows: &[Row]) -> String {
    let mut text = String::new();
    for seeds in Seeds::ALL {
        let mut table = Table::new();
        table.load_style(if args.markdown { presets::ASCII_MARKDOWN } else { presets::UTF8_BORDERS_ONLY });
        let columns =
            schemes.iter().flat_map(|scheme| ["share", "crown"].map(|column| format!("{}: {column}", scheme.name())));
        table.set_header(["attacker".to_owned(), "episodes".to_owned()].into_iter().chain(columns));
        for row in rows.iter().filter(|row| row.seeds == seeds) {
            let judged = row.by_scheme.iter().flat_map(|it| [it.share(), it.crown()]).map(percent);
            table.add_row([row.attack.clone(), row.episodes.to_string()].into_iter().chain(judged));
        }
        for column in 1..2 + 2 * schemes.len() {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let heading = match seeds {
            Seeds::Unpaired => "Every miner with seeds of its own",
            Seeds::Paired => "The same seeds for all",
            Seeds::Deterministic => "The same seeds for all, deterministic policies",
        };
        let mark = if args.markdown { "### " } else { "" };
        text += &format!("{mark}{heading}\n\n{table}\n\n");
    }
    text + "share: the attacker's weight, all its uids together, in percent. crown: in how many percent of the cycles the crown, \
            more weight than anybody else, is not with the honest miner that has it when the attacker is away; for the \
            improver, in how many it has the crown, which it deserves. In brackets, 95 % intervals (Wilson)."
}

/// In points of 100, with the interval.
fn percent((mean, interval): (f64, Interval)) -> String {
    let points = |rate: f64| format!("{:.1}", 100.0 * rate);
    format!("{} ({}–{})", points(mean), points(interval.lower), points(interval.upper))
}
