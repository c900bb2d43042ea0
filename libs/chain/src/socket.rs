//! The socket under a connection, watched for requests that nobody answers.
//!
//! A socket can be open, answer pings and still be of no use: the node behind a proxy is gone, or hangs. So a request that was not
//! answered in time condemns the socket, and the next caller gets a new one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use jsonrpsee::core::client::{Client, Error as ClientError};
use subxt::rpcs::{
    Error,
    client::{RawRpcFuture, RawRpcSubscription, RawValue, RpcClientT},
};

/// Clones are the same socket.
#[derive(Clone)]
pub(crate) struct Socket {
    client: Arc<Client>,
    condemned: Arc<AtomicBool>,
}

impl Socket {
    pub(crate) fn new(client: Client) -> Self {
        Self { client: client.into(), condemned: Arc::default() }
    }

    /// Whether it is worth another request.
    pub(crate) fn is_usable(&self) -> bool {
        self.client.is_connected() && !self.condemned.load(Ordering::Relaxed)
    }

    /// From now on nobody is given it any more; who has it may go on.
    pub(crate) fn condemn(&self) {
        self.condemned.store(true, Ordering::Relaxed);
    }

    fn judge<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Client(error)) = &answer
            && matches!(error.downcast_ref(), Some(ClientError::RequestTimeout))
        {
            self.condemn();
        }
        answer
    }
}

impl RpcClientT for Socket {
    fn request_raw<'a>(&'a self, method: &'a str, params: Option<Box<RawValue>>) -> RawRpcFuture<'a, Box<RawValue>> {
        Box::pin(async move { self.judge(self.client.request_raw(method, params).await) })
    }

    fn subscribe_raw<'a>(
        &'a self,
        sub: &'a str,
        params: Option<Box<RawValue>>,
        unsub: &'a str,
    ) -> RawRpcFuture<'a, RawRpcSubscription> {
        Box::pin(async move { self.judge(self.client.subscribe_raw(sub, params, unsub).await) })
    }
}
