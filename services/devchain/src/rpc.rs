//! The RPC: what subxt's legacy backend calls, and the control interface.
//!
//! Neither the `chainHead` nor the `archive` methods are served or listed in `rpc_methods`; clients fall back to these.

mod author;
mod control;
mod heads;
mod params;
mod reads;

use jsonrpsee::{
    RpcModule,
    server::{BatchRequestConfig, RandomStringIdProvider, Server, ServerConfig, ServerHandle},
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{Devchain, Error, chain::Chain};

const REQUEST_LIMIT: u32 = 256 * 1024;
const ANSWER_LIMIT: u32 = 8 * 1024 * 1024;

/// Starts to serve on a socket.
pub(crate) fn serve(
    devchain: Devchain,
    chain: Chain,
    control: bool,
    listener: TcpListener,
) -> Result<ServerHandle, Error> {
    let mut module = RpcModule::new(chain);
    reads::register(&mut module);
    heads::register(&mut module);
    author::register(&mut module);
    if control {
        control::register(&mut module, devchain);
    }
    let mut methods: Vec<_> = module.method_names().chain(["rpc_methods"]).collect();
    methods.sort_unstable();
    let methods = json!({ "methods": methods });
    let registered = module.register_method("rpc_methods", move |_, _, _| methods.clone());
    registered.expect("no other method has this name");

    let limits = ServerConfig::builder()
        .max_request_body_size(REQUEST_LIMIT)
        .max_response_body_size(ANSWER_LIMIT)
        .max_connections(256)
        .max_subscriptions_per_connection(256)
        .set_batch_request_config(BatchRequestConfig::Limit(64))
        .set_id_provider(RandomStringIdProvider::new(16))
        .build();
    let socket = listener.into_std().map_err(Error::Listen)?;
    let server = Server::builder().set_config(limits).build_from_tcp(socket).map_err(Error::Listen)?;
    Ok(server.start(module))
}
