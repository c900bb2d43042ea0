//! `kinitro db create|init|status|reset`: the operator's commands for the database.

use anyhow::{Context as _, Result, bail};
use kinitro_chassis::postgres_url;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection, Postgres, migrate::MigrateDatabase as _};

use crate::cli::DbAction;

/// Runs one of the commands.
pub async fn run(action: DbAction) -> Result<()> {
    match action {
        DbAction::Create(database) => create(&database.database_url).await,
        DbAction::Init(database) => {
            migrate(&database.database_url).await?;
            eprintln!("the tables are up to date");
            Ok(())
        }
        DbAction::Status { database, json } => status(&database.database_url, json).await,
        DbAction::Reset { database, force } => reset(&database.database_url, force).await,
    }
}

/// Brings the schemas of all services up to date; safe while others do the same.
pub async fn migrate(database_url: &str) -> Result<()> {
    kinitro_ingestion::migrate(database_url).await?;
    kinitro_scheduling::migrate(database_url).await?;
    kinitro_scoring::migrate(database_url).await?;
    Ok(())
}

async fn create(database_url: &str) -> Result<()> {
    let url = postgres_url(database_url)?;
    if Postgres::database_exists(&url).await.context("asking Postgres whether the database exists")? {
        eprintln!("the database exists already");
    } else {
        Postgres::create_database(&url).await.context("creating the database")?;
        eprintln!("the database was created; `kinitro db init` makes the tables");
    }
    Ok(())
}

async fn reset(database_url: &str, force: bool) -> Result<()> {
    if !force {
        bail!("this deletes every cycle, score and weight vector for ever; add --force to do it");
    }
    let mut connection = connect(database_url).await?;
    sqlx::raw_sql("DROP SCHEMA IF EXISTS ingestion, scheduling, scoring CASCADE").execute(&mut connection).await?;
    connection.close().await?;
    migrate(database_url).await?;
    eprintln!("everything was deleted and the tables made anew");
    Ok(())
}

/// What `kinitro db status` shows.
#[derive(Debug, Serialize)]
struct DatabaseStatus {
    total_cycles: i64,
    miners_evaluated: i64,
    latest_completed_cycle: Option<CycleLine>,
    running_cycle: Option<CycleLine>,
    latest_weights: Option<WeightsLine>,
}

#[derive(Debug, Serialize)]
struct CycleLine {
    id: i64,
    block_number: i64,
    state: String,
    tasks: i64,
    tasks_completed: i64,
    started_at: String,
}

#[derive(Debug, Serialize)]
struct WeightsLine {
    cycle_id: i64,
    block_number: i64,
    created_at: String,
    weights: std::collections::BTreeMap<i32, f64>,
}

async fn status(database_url: &str, json: bool) -> Result<()> {
    let mut connection = connect(database_url).await?;
    let there = sqlx::query_scalar!(
        r#"SELECT to_regclass('scheduling.cycles') IS NOT NULL AND to_regclass('scoring.weights') IS NOT NULL AS "there!""#
    )
    .fetch_one(&mut connection)
    .await?;
    if !there {
        bail!("the database has no tables of ours yet; `kinitro db init` makes them");
    }
    let status = DatabaseStatus {
        total_cycles: sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM scheduling.cycles"#)
            .fetch_one(&mut connection)
            .await?,
        miners_evaluated: sqlx::query_scalar!(r#"SELECT count(DISTINCT hotkey) AS "count!" FROM scoring.scores"#)
            .fetch_one(&mut connection)
            .await?,
        latest_completed_cycle: cycle(&mut connection, &["completed", "timed_out"]).await?,
        running_cycle: cycle(&mut connection, &["running", "scoring"]).await?,
        latest_weights: weights(&mut connection).await?,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print(&status);
    }
    Ok(())
}

async fn cycle(connection: &mut PgConnection, states: &[&str]) -> Result<Option<CycleLine>> {
    let states: Vec<String> = states.iter().map(|&state| state.to_owned()).collect();
    Ok(sqlx::query_as!(
        CycleLine,
        r#"SELECT c.id, c.block_number, c.state, to_char(c.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "started_at!",
                  (SELECT count(*) FROM scheduling.tasks t WHERE t.cycle_id = c.id) AS "tasks!",
                  (SELECT count(*) FROM scheduling.tasks t WHERE t.cycle_id = c.id AND t.state = 'completed') AS "tasks_completed!"
             FROM scheduling.cycles c
            WHERE c.state = ANY($1)
            ORDER BY c.id DESC
            LIMIT 1"#,
        &states,
    )
    .fetch_optional(connection)
    .await?)
}

async fn weights(connection: &mut PgConnection) -> Result<Option<WeightsLine>> {
    let rows = sqlx::query!(
        r#"SELECT c.cycle_id, c.block_number, w.uid, w.weight,
                  to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "created_at!"
             FROM scoring.cycles c JOIN scoring.weights w USING (cycle_id)
            WHERE c.cycle_id = (SELECT max(cycle_id) FROM scoring.cycles)"#,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.first().map(|first| WeightsLine {
        cycle_id: first.cycle_id,
        block_number: first.block_number,
        created_at: first.created_at.clone(),
        weights: rows.iter().map(|row| (row.uid, row.weight)).collect(),
    }))
}

fn print(status: &DatabaseStatus) {
    let line = |cycle: &Option<CycleLine>| match cycle {
        None => "none".to_owned(),
        Some(cycle) => format!(
            "{} at block {}, {}, {} of {} tasks completed, started {}",
            cycle.id, cycle.block_number, cycle.state, cycle.tasks_completed, cycle.tasks, cycle.started_at
        ),
    };
    println!("evaluation cycles       {}", status.total_cycles);
    println!("miners evaluated        {}", status.miners_evaluated);
    println!("latest completed cycle  {}", line(&status.latest_completed_cycle));
    println!("running cycle           {}", line(&status.running_cycle));
    match &status.latest_weights {
        None => println!("latest weights          none"),
        Some(weights) => {
            println!(
                "latest weights          cycle {} at block {}, {}",
                weights.cycle_id, weights.block_number, weights.created_at
            );
            for (uid, weight) in &weights.weights {
                println!("  uid {uid:>5}  {weight:.6}");
            }
        }
    }
}

async fn connect(database_url: &str) -> Result<PgConnection> {
    let url = postgres_url(database_url)?;
    PgConnection::connect(&url).await.context("connecting to the database; check --database-url and that Postgres runs")
}
