//! Putting the service together.

use std::{path::PathBuf, time::Duration};

use futures::FutureExt as _;
use kinitro_chain::ChainClient;
use kinitro_chassis::{GrpcServer, MeshAccess, Supervisor};
use kinitro_crypto::PrivateKey;
use kinitro_database::{Address, Database, PoolSettings, Schema};
use kinitro_proto::ingestion::v1::ingestion_service_server::IngestionServiceServer;
use tokio::{net::TcpListener, sync::watch};
use zeroize::Zeroize as _;

use crate::{
    Config, Error,
    follow::{Follower, View},
    registry::Rules,
    service::Service,
};

/// The tables of the service.
pub static SCHEMA: Schema = Schema::new("ingestion", sqlx::migrate!("../../migrations/ingestion"));

/// Brings the schema `ingestion` up to date. Safe to call from several processes at once.
pub async fn migrate(database: impl Into<Address>) -> Result<(), Error> {
    Ok(SCHEMA.migrate(database).await?)
}

/// Sets the service up and lets it run on the supervisor. Neither the chain nor the database need be there yet.
pub async fn start(
    mut config: Config,
    access: &MeshAccess,
    listener: TcpListener,
    supervisor: &Supervisor,
) -> Result<(), Error> {
    config.validate().map_err(Error::Config)?;
    let settings = PoolSettings {
        application: "kinitro-ingestion",
        max_connections: 4,
        acquire_limit: Duration::from_secs(5),
        standstill_seconds: 30,
    };
    let database = Database::open(config.database(), settings).await?;
    let chain = ChainClient::new(&config.network)?;
    let keys = private_keys(&config);
    config.database_password.zeroize();
    config.backend_private_key.zeroize();
    config.backend_previous_private_key.zeroize();
    let rules = Rules { netuid: config.netuid, keys: keys?, allow_private_endpoints: config.allow_private_endpoints };
    let (sender, view) = watch::channel(View::default());

    let follower = Follower { chain, pool: database.pool().clone(), rules, view: sender };
    let stop = supervisor.draining();
    supervisor.spawn("ingestion: follow the chain", async move {
        follower.run(stop).await;
        Ok::<(), Error>(())
    });

    let service = Service { view: view.clone(), draining: supervisor.draining() };
    GrpcServer::new("ingestion", access)
        .add_service(IngestionServiceServer::new(service))
        .probe("postgres", database.address().to_owned(), move || {
            let database = database.clone();
            async move { SCHEMA.probe(&database).await }.boxed()
        })
        .probe("chain", "the chain", move || {
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
