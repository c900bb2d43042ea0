//! Putting the service together.

use std::time::Duration;

use futures::FutureExt as _;
use kinitro_chain::ChainClient;
use kinitro_chassis::{GrpcServer, Supervisor, postgres_url};
use kinitro_crypto::PrivateKey;
use kinitro_proto::ingestion::v1::ingestion_service_server::IngestionServiceServer;
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    Config, Error,
    follow::{Follower, View},
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
pub async fn start(config: Config, listener: TcpListener, supervisor: &Supervisor) -> Result<(), Error> {
    config.validate().map_err(Error::Config)?;
    let url = postgres_url(&config.database_url).map_err(|error| Error::Config(error.to_string()))?;
    let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(5)).connect_lazy(&url)?;
    let chain = ChainClient::new(&config.network)?;
    let keys = private_keys(&config)?;
    let (sender, view) = watch::channel(View::default());

    let follower = Follower { chain, pool: pool.clone(), netuid: config.netuid, keys, view: sender };
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

fn private_keys(config: &Config) -> Result<Vec<PrivateKey>, Error> {
    let inline = config.backend_private_key.as_deref().map(PrivateKey::from_hex);
    let file = config.backend_private_key_file.as_deref().map(PrivateKey::read_file);
    Ok(inline.into_iter().chain(file).collect::<Result<_, _>>()?)
}

async fn ping(pool: PgPool) -> Result<(), String> {
    sqlx::query("SELECT 1").execute(&pool).await.map(drop).map_err(|error| error.to_string())
}

fn chain_fresh(view: &View, limit: Duration) -> Result<(), String> {
    match view.read_at {
        None => Err("no block was read since the start".to_owned()),
        Some(at) if at.elapsed() > limit => {
            Err(format!("the last finalized block was read {} s ago", at.elapsed().as_secs()))
        }
        Some(_) => Ok(()),
    }
}
