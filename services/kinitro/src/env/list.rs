//! `kinitro env list`.

use anyhow::Result;
use comfy_table::{Table, presets};
use kinitro_domain::catalogued;
use kinitro_sim::Simulator;
use serde_json::{Value, json};

/// Prints every environment.
pub fn run(as_json: bool) -> Result<()> {
    let environments = Simulator::new(None)?.environments().into_iter().map(|info| {
        let title =
            catalogued(&info.env_id).map_or_else(|| info.env_id.name().to_owned(), |entry| entry.title.to_owned());
        (info, title)
    });
    if as_json {
        let list: Vec<Value> = environments
            .map(|(info, title)| {
                json!({
                    "id": info.env_id.as_str(),
                    "title": title,
                    "family": info.family,
                    "max_timesteps": info.max_timesteps,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["id", "title", "family", "steps"]);
    for (info, title) in environments {
        table.add_row([info.env_id.to_string(), title, info.family, info.max_timesteps.to_string()]);
    }
    println!("{table}");
    Ok(())
}
