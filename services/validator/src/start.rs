//! Putting the validator together.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};

use kinitro_chain::ChainClient;
use kinitro_chassis::{ServerLimits, Supervisor, serve_http};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    Config, Error,
    backend::Backend,
    health, key,
    progress::Progress,
    retry::Retry,
    state::{Scope, Store},
    status::Status,
    validator::Validator,
};

/// Sets the validator up and lets it run on the supervisor. Neither the backend nor the chain need be there yet.
/// `listener` is where `/health` and `/metrics` are answered; see [`Config::listener`].
///
/// # Errors
/// Settings, a key, or a memory that cannot be used; another validator that runs with the same hotkey.
pub async fn start(mut config: Config, listener: Option<TcpListener>, supervisor: &Supervisor) -> Result<(), Error> {
    config.validate().map_err(Error::Config)?;
    let signer = key::signer(&mut config)?;
    let hotkey = signer.hotkey();
    let chain = ChainClient::new(&config.network)?;
    let backend = Backend::new(&config)?;
    let folder = config.state_folder().map_err(Error::Config)?;
    let scope = Scope { hotkey: hotkey.clone(), netuid: config.netuid, mechanism: config.mechanism };
    let store = Store::open(&folder, scope)?;
    tracing::info!(
        %hotkey, chain = %chain.address(), netuid = config.netuid, mechanism = config.mechanism,
        backend = config.backend_url, memory = %store.path().display(), "setting weights"
    );

    let identity = json!({
        "hotkey": hotkey, "netuid": config.netuid, "mechanism": config.mechanism, "network": config.network,
        "backend_url": config.backend_url,
    });
    let status = Arc::new(Status::new(identity, Duration::from_secs(config.unhealthy_after_seconds)));
    if let Some(listener) = listener {
        // The recorder must be there before anything is counted.
        kinitro_chassis::render_metrics();
        let (routes, draining) = (health::routes(status.clone()), supervisor.draining());
        supervisor.spawn("validator: health and metrics", async move {
            serve_http(listener, routes, ServerLimits::mesh(), draining.cancelled_owned()).await;
            Ok::<(), Infallible>(())
        });
    }
    let retry = Retry::new(Duration::from_secs(config.poll_interval_seconds));
    // Some ten minutes with the default.
    let progress = Progress::new(Duration::from_secs(config.unhealthy_after_seconds) / 3);
    let (latest, accepted, dropped) = (None, None, BTreeSet::new());
    let validator =
        Validator { config, backend, chain, signer, store, status, latest, accepted, dropped, retry, progress };
    let stop = supervisor.draining();
    supervisor.spawn("validator: set weights", async move {
        validator.run(stop).await;
        Ok::<(), Infallible>(())
    });
    Ok(())
}
