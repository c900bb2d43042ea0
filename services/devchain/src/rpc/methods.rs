//! What every method has in common: the chain, the faults that are answered in its place, the connection that asked.

use std::{future::Future, sync::Arc};

use jsonrpsee::{
    ConnectionId, Extensions, PendingSubscriptionSink, RpcModule,
    core::SubscriptionError,
    types::{ErrorObjectOwned, Params},
};
use serde_json::Value as Json;

use super::{connections::Connections, params::RpcResult};
use crate::{chain::Chain, faults::Faults};

/// What a method works on.
pub(crate) struct Node {
    pub chain: Chain,
    pub faults: Faults,
    pub connections: Connections,
}

impl Node {
    /// The error that was ordered for this call.
    pub(crate) fn failure(&self, method: &str) -> RpcResult<()> {
        match self.faults.take_failure(method) {
            Some(failure) => Err(ErrorObjectOwned::owned(failure.code, failure.message, None::<()>)),
            None => Ok(()),
        }
    }

    /// Breaks the connection that a call came over.
    pub(crate) fn cut(&self, extensions: &Extensions) {
        if let Some(connection) = extensions.get::<ConnectionId>() {
            self.connections.cut(connection.0);
        }
    }
}

/// The methods, while they are being collected.
pub(crate) struct Methods(pub RpcModule<Node>);

impl Methods {
    /// A method that reads the chain, under all its names.
    pub(crate) fn read(&mut self, names: &[&'static str], answer: fn(&Params<'_>, &Chain) -> RpcResult<Json>) {
        for &name in names {
            self.call(name, move |params, node, _| answer(params, &node.chain));
        }
    }

    /// A method that reads so much that it gets a thread of its own.
    pub(crate) fn read_slowly(&mut self, names: &[&'static str], answer: fn(&Params<'_>, &Chain) -> RpcResult<Json>) {
        for &name in names {
            self.call_slowly(name, move |params, node, _| answer(params, &node.chain));
        }
    }

    /// A method that works so long that it gets a thread of its own.
    pub(crate) fn call_slowly(
        &mut self,
        name: &'static str,
        answer: impl Fn(&Params<'_>, &Node, &Extensions) -> RpcResult<Json> + Clone + Send + Sync + 'static,
    ) {
        let registered = self.0.register_blocking_method(name, move |params, node, extensions| {
            node.failure(name)?;
            answer(&params, &node, &extensions)
        });
        registered.expect("every name is listed once");
    }

    pub(crate) fn call(
        &mut self,
        name: &'static str,
        answer: impl Fn(&Params<'_>, &Node, &Extensions) -> RpcResult<Json> + Send + Sync + 'static,
    ) {
        let registered = self.0.register_method(name, move |params, node, extensions| {
            node.failure(name)?;
            answer(&params, node, extensions)
        });
        registered.expect("every name is listed once");
    }

    /// A subscription: the method, what its messages are called, the method that ends it.
    pub(crate) fn subscription<F>(
        &mut self,
        [subscribe, notification, unsubscribe]: [&'static str; 3],
        run: impl Fn(Params<'static>, PendingSubscriptionSink, Arc<Node>, Extensions) -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
    {
        let run = move |params, pending: PendingSubscriptionSink, node: Arc<Node>, extensions| {
            let run = run.clone();
            async move {
                if let Err(error) = node.failure(subscribe) {
                    pending.reject(error).await;
                    return Ok(());
                }
                run(params, pending, node, extensions).await
            }
        };
        let registered = self.0.register_subscription(subscribe, notification, unsubscribe, run);
        registered.expect("every name is listed once");
    }
}
