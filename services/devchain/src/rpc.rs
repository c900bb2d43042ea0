//! The RPC: what subxt's legacy backend and the Python SDKs call, and the control interface.
//!
//! Neither the `chainHead` nor the `archive` methods are served or listed in `rpc_methods`; clients fall back to these. Sizes,
//! batches, connections and subscriptions are bounded, and every answer can be replaced by an error that a test orders.

mod author;
mod blocks;
mod connections;
mod control;
mod heads;
mod methods;
mod params;
mod runtime_api;
mod storage;
mod system;

use jsonrpsee::{
    RpcModule,
    server::{BatchRequestConfig, RandomStringIdProvider, ServerConfig, ServerHandle, stop_channel},
};
use serde_json::json;
use tokio::net::TcpListener;

use self::{
    connections::Connections,
    methods::{Methods, Node},
};
use crate::{Devchain, Error, chain::Chain};

const REQUEST_LIMIT: u32 = 256 * 1024;
const ANSWER_LIMIT: u32 = 8 * 1024 * 1024;
const BATCH_LIMIT: u32 = 64;

/// Starts to serve on a socket.
pub(crate) fn serve(
    devchain: Devchain,
    chain: Chain,
    control: bool,
    listener: TcpListener,
) -> Result<ServerHandle, Error> {
    let (faults, connections) = (chain.faults.clone(), Connections::default());
    let node = Node { chain, faults: faults.clone(), connections: connections.clone() };
    let mut methods = Methods(RpcModule::new(node));
    system::register(&mut methods);
    blocks::register(&mut methods);
    storage::register(&mut methods);
    runtime_api::register(&mut methods);
    heads::register(&mut methods);
    author::register(&mut methods);
    if control {
        control::register(&mut methods, &devchain);
    }
    let mut names: Vec<_> = methods.0.method_names().chain(["rpc_methods"]).collect();
    names.sort_unstable();
    let names = json!({ "methods": names });
    methods.call("rpc_methods", move |_, _, _| Ok(names.clone()));

    let config = ServerConfig::builder()
        .max_request_body_size(REQUEST_LIMIT)
        .max_response_body_size(ANSWER_LIMIT)
        .max_connections(256)
        .max_subscriptions_per_connection(256)
        .set_batch_request_config(BatchRequestConfig::Limit(BATCH_LIMIT))
        .set_id_provider(RandomStringIdProvider::new(16))
        .build();
    let (stop, handle) = stop_channel();
    tokio::spawn(connections::accept(listener, config, methods.0.into(), connections, faults, stop));
    Ok(handle)
}
