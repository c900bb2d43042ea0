//! Putting the service together.

use std::{path::PathBuf, time::Duration};

use futures::FutureExt as _;
use kinitro_chain::ChainClient;
use kinitro_chassis::{GrpcServer, Supervisor, postgres_url};
use kinitro_crypto::PrivateKey;
use kinitro_proto::ingestion::v1::ingestion_service_server::IngestionServiceServer;
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::{net::TcpListener, sync::watch};
use zeroize::Zeroize as _;

use crate::{
    Config, Error,
    follow::{Follower, View},
    registry::Rules,
    service::Service,
};

/// Brings the schema `ingestion` up to date. Safe to call from several processes at once.
pub async fn migrate(database_url: &str) -> Result<(), Error> {
    let url = postgres_url(database_url).map_err(|error| Error::Config(error.to_string()))?;
    let mut connection = PgConnection::connect(&url).await?;
    let mut migrator = sqlx::migrate!("../../migrations/ingestion");
    migrator.create_schema("ingestion");
    migrator.dangerous_set_table_name("ingestion._sqlx_migrations");
    migrator.run(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Sets the service up and lets it run on the supervisor. Neither the chain nor the database need be there yet.
pub async fn start(mut config: Config, listener: TcpListener, supervisor: &Supervisor) -> Result<(), Error> {
    config.validate().map_err(Error::Config)?;
    let url = postgres_url(&config.database_url).map_err(|error| Error::Config(error.to_string()))?;
    let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(5)).connect_lazy(&url)?;
    let chain = ChainClient::new(&config.network)?;
    let keys = private_keys(&config);
    config.backend_private_key.zeroize();
    config.backend_previous_private_key.zeroize();
    let rules = Rules { netuid: config.netuid, keys: keys?, allow_private_endpoints: config.allow_private_endpoints };
    let (sender, view) = watch::channel(View::default());

    let follower = Follower { chain, pool: pool.clone(), rules, view: sender };
    let stop = supervisor.draining();
    supervisor.spawn("ingestion: follow the chain", async move {
        follower.run(stop).await;
        Ok::<(), Error>(())
    });

    let service = Service { view: view.clone(), draining: supervisor.draining() };
    GrpcServer::new("ingestion")
        .add_service(IngestionServiceServer::new(service))
        .probe("postgres", move || ping(pool.clone()).boxed())
        .probe("chain", move || {
            let fresh = chain_fresh(&view.borrow(), Duration::from_secs(config.chain_stale_seconds));
            async move { fresh }.boxed()
        })
        .serve(listener, supervisor)?;
    Ok(())
}

/// The current key first.
fn private_keys(config: &Config) -> Result<Vec<PrivateKey>, Error> {
    let key = |inline: &Option<String>, file: &Option<PathBuf>| {
        let inline = inline.as_deref().map(|text| PrivateKey::from_hex(text.trim()));
        inline.or_else(|| file.as_deref().map(PrivateKey::read_file)).transpose()
    };
    let current = key(&config.backend_private_key, &config.backend_private_key_file)?;
    let previous = key(&config.backend_previous_private_key, &config.backend_previous_private_key_file)?;
    if let (Some(current), Some(previous)) = (&current, &previous)
        && current.public() == previous.public()
    {
        return Err(Error::Config(
            "the previous private key is the current one: remove the setting of the previous one".to_owned(),
        ));
    }
    Ok(current.into_iter().chain(previous).collect())
}

async fn ping(pool: PgPool) -> Result<(), String> {
    sqlx::query("SELECT 1").execute(&pool).await.map(drop).map_err(|error| error.to_string())
}

fn chain_fresh(view: &View, limit: Duration) -> Result<(), String> {
    let since = match view.read_at {
        None => "no block was read since the start".to_owned(),
        Some(at) if at.elapsed() > limit => {
            format!("the last finalized block was read {} s ago", at.elapsed().as_secs())
        }
        Some(_) => return Ok(()),
    };
    Err(match &view.fault {
        Some(fault) => format!("{since}: {fault}"),
        None => since,
    })
}
