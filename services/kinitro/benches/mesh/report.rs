//! Figures for people and for programs.

use std::{fs::File, io::BufWriter, path::Path};

use anyhow::{Context as _, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};

use crate::figure::Figure;

/// Writes the list of figures.
pub fn write(path: &Path, figures: &[Figure]) -> Result<()> {
    for figure in figures {
        let values = [Some(figure.ours), figure.reference, figure.limit];
        ensure!(values.into_iter().flatten().all(f64::is_finite), "{} is no number: {values:?}", figure.name);
    }
    let shown = path.display();
    let file = File::create(path).with_context(|| format!("cannot write {shown}"))?;
    serde_json::to_writer_pretty(BufWriter::new(file), figures).with_context(|| format!("cannot write {shown}"))
}

/// Prints the table, and the notes below it.
pub fn print(figures: &[Figure]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["figure", "unit", "ours", "reference", "times better", "limit", "of the limit"]);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for figure in figures {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let times = figure.reference.map(|reference| format!("{:.1}×", figure.times_better_than(reference)));
        let part = figure.limit.map(|limit| format!("{:.0} %", 100.0 * figure.times_better_than(limit)));
        table.add_row([
            figure.name.to_owned(),
            figure.unit.to_owned(),
            number(figure.ours),
            or_none(figure.reference.map(number)),
            or_none(times),
            or_none(figure.limit.map(number)),
            or_none(part),
        ]);
    }
    println!("{table}");
    for figure in figures {
        if let Some(note) = &figure.note {
            println!("{}: {note}", figure.name);
        }
    }
}

/// Three digits or more, none of them made up.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
