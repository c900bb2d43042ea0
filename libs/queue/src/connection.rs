//! One shared connection to Redis that reconnects by itself, and a bound on the time of every command.

use std::{sync::Arc, time::Duration};

use redis::{
    Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::QueueError;

/// No answer after so long is an error. Opening a connection and one repetition have to fit in.
const LIMIT: Duration = Duration::from_secs(3);
/// For one answer on an open connection.
const ANSWER_LIMIT: Duration = Duration::from_millis(2500);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Connection {
    client: Client,
    manager: ConnectionManager,
    address: Arc<str>,
}

impl Connection {
    /// Checks the URL and returns at once; the connection is opened by the first command.
    pub(crate) fn new(url: &str) -> Result<Self, QueueError> {
        let unusable = |error: RedisError| QueueError::Url { reason: error.category().to_owned() };
        let client = Client::open(url).map_err(unusable)?;
        let address = client.get_connection_info().addr().to_string().into();
        let config = ConnectionManagerConfig::new()
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(500))
            .set_number_of_retries(4)
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT))
            .set_pipeline_buffer_size(1024);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(unusable)?;
        Ok(Self { client, manager, address })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, QueueError> {
        self.bounded(async {
            match command.query_async(&mut self.manager.clone()).await {
                Err(error) if broken(&error) => command.query_async(&mut self.manager.clone()).await,
                result => result,
            }
        })
        .await
    }

    pub(crate) async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, QueueError> {
        self.bounded(async {
            match pipeline.query_async(&mut self.manager.clone()).await {
                Err(error) if broken(&error) => pipeline.query_async(&mut self.manager.clone()).await,
                result => result,
            }
        })
        .await
    }

    pub(crate) async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, QueueError> {
        self.bounded(async {
            match script.invoke_async(&mut self.manager.clone()).await {
                Err(error) if broken(&error) => script.invoke_async(&mut self.manager.clone()).await,
                result => result,
            }
        })
        .await
    }

    async fn bounded<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T, QueueError> {
        match tokio::time::timeout(LIMIT, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.classify(error)),
            Err(_) => Err(QueueError::Timeout { address: self.address.to_string(), limit: LIMIT }),
        }
    }

    pub(crate) fn classify(&self, source: RedisError) -> QueueError {
        let address = self.address.to_string();
        if source.is_timeout() {
            QueueError::Timeout { address, limit: ANSWER_LIMIT }
        } else if source.kind() == redis::ErrorKind::AuthenticationFailed {
            QueueError::Refused { address, source }
        } else if source.is_io_error() || source.is_unrecoverable_error() {
            QueueError::Unreachable { address, source }
        } else {
            QueueError::Refused { address, source }
        }
    }

    pub(crate) fn unexpected(&self, what: &'static str) -> QueueError {
        QueueError::Answer { address: self.address.to_string(), what }
    }
}

/// The connection died under the command (the server restarted): the next one opens a new connection, so one repetition heals it.
/// Every script may run twice: a lease that nobody heard of expires, the others have no second effect.
fn broken(error: &RedisError) -> bool {
    error.is_unrecoverable_error() && !error.is_timeout()
}
