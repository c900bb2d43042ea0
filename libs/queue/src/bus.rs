//! Publish and subscribe over one capped stream.
//!
//! Events are for showing, not for deciding: the stream keeps about the last ten thousand, and a subscriber that is further behind gets
//! the oldest that are left. Subscribers share nothing; each reads all events over a connection of its own, because a waiting `XREAD`
//! occupies it.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, RedisError,
    aio::MultiplexedConnection,
    streams::{StreamRangeReply, StreamReadReply},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{Event, QueueError, connection::Connection};

const MAX_EVENTS: usize = 10_000;
const FIELD: &str = "event";
/// Events read at once, and events that wait for a slow subscriber.
const BATCH: usize = 256;
/// How long Redis holds back the answer when there is nothing new.
const BLOCK: Duration = Duration::from_secs(2);
/// A connection that says nothing for so long is given up.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);
const RECONNECT: Duration = Duration::from_millis(500);

/// Where an event is in the stream: later ones are greater. As text the stream id of Redis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventId(String);

impl EventId {
    /// The id as text, e.g. for the `Last-Event-ID` of a browser.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for EventId {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        let number = |part: &str| part.len() <= 20 && part.parse::<u64>().is_ok();
        let valid = text.split_once('-').is_some_and(|(ms, sequence)| number(ms) && number(sequence));
        if valid { Ok(Self(text.to_owned())) } else { Err(QueueError::Event("an event id is `<ms>-<n>`".to_owned())) }
    }
}

/// Where a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With what is published from now on.
    Now,
    /// With the oldest event that is kept.
    Oldest,
    /// With the first one after this.
    After(EventId),
}

/// An event of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// For resuming with [`Start::After`].
    pub id: EventId,
    /// What happened.
    pub event: Event,
}

/// A handle on the events of one deployment. Cheap to clone.
#[derive(Clone)]
pub struct EventBus {
    connection: Connection,
    key: String,
}

impl EventBus {
    /// The bus under a key prefix. Only the URL is checked.
    ///
    /// # Errors
    ///
    /// [`QueueError::Url`].
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, QueueError> {
        Ok(Self { connection: Connection::new(url)?, key: format!("{prefix}:events") })
    }

    /// Publishes an event. After a broken connection it may be published twice.
    pub async fn publish(&self, event: &Event) -> Result<EventId, QueueError> {
        let json = serde_json::to_string(event).map_err(|error| QueueError::Event(error.to_string()))?;
        let mut command = redis::cmd("XADD");
        command.arg(&self.key).arg("MAXLEN").arg("~").arg(MAX_EVENTS).arg("*").arg(FIELD).arg(json);
        self.connection.command(&command).await.map(EventId)
    }

    /// All events from a place on. The stream does not end: when the connection breaks it goes on after the last event that it saw,
    /// as soon as Redis is back. It stops reading when it is dropped, or while its consumer is slow.
    ///
    /// # Errors
    ///
    /// With [`Start::Now`] those of a command, because the present end has to be read first.
    pub async fn subscribe(&self, start: Start) -> Result<ReceiverStream<Received>, QueueError> {
        let mut last = match start {
            Start::Oldest => "0-0".to_owned(),
            Start::After(id) => id.0,
            Start::Now => {
                let mut command = redis::cmd("XREVRANGE");
                command.arg(&self.key).arg("+").arg("-").arg("COUNT").arg(1);
                let newest: StreamRangeReply = self.connection.command(&command).await?;
                newest.ids.into_iter().next().map_or_else(|| "0-0".to_owned(), |entry| entry.id)
            }
        };
        let (sender, receiver) = mpsc::channel(BATCH);
        let bus = self.clone();
        tokio::spawn(async move {
            while !sender.is_closed() {
                let Err(error) = bus.forward(&mut last, &sender).await else { return };
                let error = bus.connection.classify(error);
                tracing::warn!(%error, "event subscription interrupted, resuming");
                tokio::time::sleep(RECONNECT).await;
            }
        });
        Ok(ReceiverStream::new(receiver))
    }

    /// Reads over one connection until it breaks or nobody listens any more (`Ok`).
    async fn forward(&self, last: &mut String, sender: &mpsc::Sender<Received>) -> Result<(), RedisError> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_LIMIT));
        let mut connection: MultiplexedConnection =
            self.connection.client().get_multiplexed_async_connection_with_config(&config).await?;
        loop {
            let mut command = redis::cmd("XREAD");
            command.arg("COUNT").arg(BATCH).arg("BLOCK").arg(BLOCK.as_millis() as u64);
            command.arg("STREAMS").arg(&self.key).arg(&*last);
            let reply: Option<StreamReadReply> = command.query_async(&mut connection).await?;
            for entry in reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids) {
                last.clone_from(&entry.id);
                let Some(json) = entry.get::<String>(FIELD) else { continue };
                match serde_json::from_str(&json) {
                    Ok(event) => {
                        if sender.send(Received { id: EventId(entry.id), event }).await.is_err() {
                            return Ok(());
                        }
                    }
                    // Another version of this program may know more kinds.
                    Err(error) => tracing::debug!(id = entry.id, %error, "event of an unknown kind passed over"),
                }
            }
            if sender.is_closed() {
                return Ok(());
            }
        }
    }
}
