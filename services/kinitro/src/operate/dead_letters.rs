//! `kinitro dead-letters`.

use anyhow::{Result, bail};
use comfy_table::{Table, presets};
use kinitro_proto::scheduling::v1::{ListDeadLettersRequest, ListDeadLettersResponse, RequeueDeadLettersRequest};

use super::{Asking, DeadLettersAction, answer::plain};
use crate::settings::Settings;

const SHOWN_CHARS: usize = 60;

/// Lists or requeues.
pub async fn run(action: DeadLettersAction, settings: &Settings) -> Result<()> {
    match action {
        DeadLettersAction::List { cycle, asking } => list(cycle, &asking, settings).await,
        DeadLettersAction::Requeue { cycle, tasks, asking } => requeue(cycle, tasks, &asking, settings).await,
    }
}

async fn list(cycle: Option<u64>, asking: &Asking, settings: &Settings) -> Result<()> {
    let answer = asking.client(settings)?.list_dead_letters(ListDeadLettersRequest { cycle_id: cycle }).await;
    let answer = answer.map_err(|status| asking.refused(&status))?.into_inner();
    if asking.print_json("ListDeadLettersResponse", &answer)? {
        return Ok(());
    }
    if answer.dead_letters.is_empty() {
        eprintln!("no dead letters");
    } else {
        println!("{}", table(&answer));
    }
    Ok(())
}

fn table(answer: &ListDeadLettersResponse) -> Table {
    let mut table = Table::new();
    let head = ["task", "cycle", "uid", "environment", "attempts", "cause", "last error"];
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(head);
    for letter in &answer.dead_letters {
        table.add_row([
            letter.task_uuid.clone(),
            letter.cycle_id.to_string(),
            letter.miner_uid.to_string(),
            letter.env_id.clone(),
            letter.attempts.to_string(),
            plain(&letter.cause, SHOWN_CHARS),
            plain(&letter.last_error, SHOWN_CHARS),
        ]);
    }
    table
}

async fn requeue(cycle: u64, tasks: Vec<String>, asking: &Asking, settings: &Settings) -> Result<()> {
    let named = tasks.len();
    let request = RequeueDeadLettersRequest { cycle_id: cycle, task_uuids: tasks };
    let answer = asking.client(settings)?.requeue_dead_letters(request).await;
    let answer = answer.map_err(|status| asking.refused(&status))?.into_inner();
    if !asking.print_json("RequeueDeadLettersResponse", &answer)? {
        println!("{} tasks of cycle {cycle} are queued again", answer.requeued);
    }
    if (answer.requeued as usize) < named {
        bail!("{} of {named} tasks are no dead letters of cycle {cycle}", named - answer.requeued as usize);
    }
    Ok(())
}
