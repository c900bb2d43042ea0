//! `kinitro db create|init|status|reset`: the operator's commands for the database.

use anyhow::{Context as _, Result, bail};
use kinitro_database::{Address, DatabaseError, Schema, SchemaState, connect, give_roles};
use serde::Serialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    cli::DbAction,
    settings::{DbConfig, Settings},
};

/// Runs one of the commands.
pub async fn run(action: DbAction, settings: &Settings) -> Result<()> {
    match action {
        DbAction::Create(database) => create(&database.address(settings)?).await,
        DbAction::Init(database) => {
            init(&database.address(settings)?, &settings.db(Value::Null)?).await?;
            eprintln!("the tables are up to date");
            Ok(())
        }
        DbAction::Status { database, json } => status(&database.address(settings)?, json).await,
        DbAction::Reset { database, force } => {
            reset(&database.address(settings)?, &settings.db(Value::Null)?, force).await
        }
    }
}

/// The tables of every service that has some.
static SCHEMAS: [&Schema; 3] = [&kinitro_ingestion::SCHEMA, &kinitro_scheduling::SCHEMA, &kinitro_scoring::SCHEMA];

/// Brings the schemas of all services up to date; safe while others do the same.
pub async fn migrate(database: &Address) -> Result<()> {
    for schema in SCHEMAS {
        schema.migrate(database.clone()).await?;
    }
    Ok(())
}

/// The tables, and what the roles of the services may do with them.
async fn init(database: &Address, config: &DbConfig) -> Result<()> {
    migrate(database).await?;
    let roles = SCHEMAS.map(|schema| (schema.name(), config.password_of(schema.name())));
    Ok(give_roles(database.clone(), &roles).await?)
}

async fn create(database: &Address) -> Result<()> {
    let options = database.options()?;
    // Postgres names the database after the user when none is given.
    let name = options.get_database().unwrap_or(options.get_username()).to_owned();
    if connect_to(database, &name).await?.is_some() {
        eprintln!("the database exists already");
        return Ok(());
    }
    let mut maintenance = None;
    for other in ["postgres", "template1"] {
        maintenance = connect_to(database, other).await?;
        if maintenance.is_some() {
            break;
        }
    }
    let Some(mut maintenance) = maintenance else {
        bail!("the server has neither a database `postgres` nor `template1`, from where {name} could be created");
    };
    let statement: String =
        sqlx::query_scalar("SELECT format('CREATE DATABASE %I', $1)").bind(&name).fetch_one(&mut maintenance).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut maintenance).await.context("creating the database")?;
    maintenance.close().await?;
    eprintln!("the database was created; `kinitro db init` makes the tables");
    Ok(())
}

/// A connection to another database of the server, if there is such a one.
async fn connect_to(database: &Address, name: &str) -> Result<Option<PgConnection>> {
    const NO_SUCH_DATABASE: &str = "3D000";
    match connect(database.clone().database(name)).await {
        Ok(connection) => Ok(Some(connection)),
        Err(DatabaseError::Postgres { source: sqlx::Error::Database(refusal), .. })
            if refusal.code().is_some_and(|code| code == NO_SUCH_DATABASE) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn reset(database: &Address, config: &DbConfig, force: bool) -> Result<()> {
    if !force {
        bail!("this deletes every cycle, score and weight vector for ever; add --force to do it");
    }
    let mut connection = connect(database.clone()).await?;
    // Their names are ours.
    let statement = format!("DROP SCHEMA IF EXISTS {} CASCADE", SCHEMAS.map(Schema::name).join(", "));
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await?;
    init(database, config).await?;
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

async fn status(database: &Address, json: bool) -> Result<()> {
    let mut connection = connect(database.clone()).await?;
    for schema in SCHEMAS {
        let state = schema.state(&mut connection).await?;
        match state {
            state if state.serves() => {}
            SchemaState::Missing(_) => bail!("the database has no tables of ours yet; `kinitro db init` makes them"),
            state => bail!("{state}"),
        }
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
            WHERE c.cycle_id = (SELECT n.cycle_id FROM scoring.cycles n JOIN scoring.announced_cycles a USING (cycle_id)
                                 WHERE n.weights_kept IS NULL ORDER BY a.number DESC LIMIT 1)"#,
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
