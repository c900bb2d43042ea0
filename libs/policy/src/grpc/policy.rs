//! An episode over a stream, and the chunk of actions that it holds.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt as _, ready};
use kinitro_commitment::{Endpoint, Protocol};
use kinitro_domain::Cause;
use tokio::{runtime::Handle, time::timeout};
use uuid::Uuid;

use super::{
    connection::Connection,
    message::{parse_chunk, parse_ready, write_observation, write_start},
    status::broken,
    stream::Stream,
};
use crate::{
    Action, ChannelSpec, Destination, Fault, Observation, Policy, Resolved, TaskConfig, TransportConfig,
    patience::answer_within,
    pool::{Lent, Pool, STANDS},
    tls::Tls,
};

/// How long a policy has to end its stream after the episode, so that its connection can be used again.
const FAREWELL: Duration = Duration::from_secs(2);

/// Opens conversations with policies over gRPC.
pub struct GrpcTransport {
    means: Arc<Means>,
}

/// What every conversation needs.
struct Means {
    config: TransportConfig,
    tls: Tls,
    pool: Pool<Connection>,
}

/// A conversation with one policy, over one episode.
pub struct GrpcPolicy {
    means: Arc<Means>,
    destination: Destination,
    /// Present until this is dropped.
    connection: Option<Lent<Connection>>,
    /// When the connection was found to stand.
    proved: Instant,
    /// Present from `reset` on.
    stream: Option<Stream>,
    episode_id: Uuid,
    spec: &'static [ChannelSpec],
    /// How many actions were handed out.
    step: u32,
    /// How long a reply may take.
    patience: Duration,
    /// What the policy has said already that it does next.
    chunk: VecDeque<Action>,
    /// The frames that are sent, one after the other in the same memory.
    frame: BytesMut,
    /// The last thing that happened was a good action, so the connection is fit for another episode.
    sound: bool,
}

impl GrpcTransport {
    /// Loads the certificates that the operating system trusts. Without any, `grpc` endpoints still work.
    pub fn new(config: TransportConfig) -> Self {
        Self::with_tls(config, Tls::load())
    }

    pub(crate) fn with_tls(config: TransportConfig, tls: Tls) -> Self {
        Self { means: Arc::new(Means { config, tls, pool: Pool::new() }) }
    }

    /// Checks where an endpoint leads, connects to it unless a connection rests, and waits for a sign of life.
    pub async fn open(&self, to: Destination, spec: &'static [ChannelSpec]) -> Result<GrpcPolicy, Fault> {
        if to.endpoint().protocol() != Protocol::Grpc {
            return Err(Fault::new(Cause::EndpointRefused, "the committed endpoint is not one of gRPC"));
        }
        let discreet = |fault: Fault| fault.hiding(&to.telling_names());
        let connection = self.means.connection(&to).await.map_err(discreet)?;
        Ok(GrpcPolicy {
            means: self.means.clone(),
            destination: to,
            connection: Some(connection),
            proved: Instant::now(),
            stream: None,
            episode_id: Uuid::new_v4(),
            spec,
            step: 0,
            patience: self.means.config.action_timeout,
            chunk: VecDeque::new(),
            frame: BytesMut::new(),
            sound: false,
        })
    }
}

impl Means {
    /// A connection that was found to stand.
    async fn connection(&self, to: &Destination) -> Result<Lent<Connection>, Fault> {
        let TransportConfig { allow_private, connect_timeout, action_timeout } = self.config;
        if let Some(mut lent) = self.pool.take(to) {
            match lent.connection.prove(action_timeout).await {
                Ok(()) => return Ok(lent),
                Err(fault) => tracing::debug!(cause = %fault.cause(), "a connection that rested is of no use any more"),
            }
            self.pool.forget(to);
        }
        let Resolved(addresses) = to.resolve(allow_private, connect_timeout).await?;
        self.connect(to.endpoint(), addresses.into()).await
    }

    /// A fresh connection that was found to stand.
    async fn connect(&self, endpoint: &Endpoint, addresses: Arc<[SocketAddr]>) -> Result<Lent<Connection>, Fault> {
        let TransportConfig { connect_timeout, action_timeout, .. } = self.config;
        let mut connection = Connection::make(endpoint, addresses, &self.tls, connect_timeout).await?;
        connection.prove(action_timeout).await?;
        Ok(Lent::new(connection))
    }

    fn late(what: &str, within: Duration) -> Fault {
        Fault::new(Cause::ActionTimeout, format!("no complete reply to {what} within {within:?}"))
    }
}

impl Policy for GrpcPolicy {
    fn reset<'a>(&'a mut self, task: &'a TaskConfig) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            self.sound = false;
            self.step = 0;
            self.chunk.clear();
            write_start(task, self.episode_id, self.spec, &mut self.frame);
            let answer = self.start().await;
            answer.and_then(|answer| parse_ready(&answer)).map_err(|fault| self.discreet(fault))
        }
        .boxed()
    }

    fn act<'a>(&'a mut self, observation: &'a Observation) -> BoxFuture<'a, Result<Action, Fault>> {
        if let Some(action) = self.chunk.pop_front() {
            self.step += 1;
            return ready(Ok(action)).boxed();
        }
        async move {
            self.sound = false;
            write_observation(observation, self.step, &mut self.frame);
            let answer = self.exchange().await;
            let (action, rest) = answer
                .and_then(|answer| parse_chunk(&answer, self.step, self.spec))
                .map_err(|fault| self.discreet(fault))?;
            self.step += 1;
            self.chunk = rest;
            self.sound = true;
            Ok(action)
        }
        .boxed()
    }

    fn set_patience(&mut self, within: Duration) {
        self.patience = within;
    }

    fn wants_observation(&self) -> bool {
        self.chunk.is_empty()
    }

    /// Only until the stream begins: a stream that is open keeps its connection.
    fn ensure_connected(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        async move {
            if self.stream.is_some() || self.proved.elapsed() < STANDS {
                return Ok(());
            }
            let connection = &mut self.connection.as_mut().expect("only drop takes it").connection;
            match connection.prove(self.means.config.action_timeout).await {
                Ok(()) => self.proved = Instant::now(),
                Err(fault) => {
                    tracing::debug!(cause = %fault.cause(), "a connection that waited for its episode is of no use any more");
                    self.connect_again().await?;
                }
            }
            Ok(())
        }
        .boxed()
    }
}

impl GrpcPolicy {
    /// The random id that travels in `EpisodeStart`.
    pub fn episode_id(&self) -> Uuid {
        self.episode_id
    }

    /// Certificates and statuses name the host; evidence must not.
    fn discreet(&self, fault: Fault) -> Fault {
        fault.hiding(&self.destination.telling_names())
    }

    /// Begins the stream with the frame that was written and waits for the reply.
    ///
    /// When the policy hung up since `open`, or is just shutting down and says that it took nothing in, that is done once more on a fresh
    /// connection, made before the time for the answer begins.
    async fn start(&mut self) -> Result<Bytes, Fault> {
        self.ensure_connected().await?;
        let frame = self.frame.split().freeze();
        match self.try_start(frame.clone()).await {
            Err(Failed::Untouched(fault)) => {
                tracing::debug!(evidence = fault.evidence(), "a connection ended before an episode began on it");
                self.means.pool.forget(&self.destination);
                self.connect_again().await?;
                self.try_start(frame).await
            }
            answer => answer,
        }
        .map_err(|(Failed::Untouched(fault) | Failed::Begun(fault))| fault)
    }

    async fn try_start(&mut self, frame: Bytes) -> Result<Bytes, Failed> {
        let connection = &self.connection.as_ref().expect("only drop takes it").connection;
        self.stream = None;
        let (allowance, patience) = (connection.allowance(), self.patience);
        let mut untouched = false;
        let answer = answer_within(patience, Some(&allowance), || Means::late("`start`", patience), async {
            let begun = connection.begin(self.destination.endpoint()).await.map_err(|error| {
                untouched = true;
                broken(&error)
            })?;
            let stream = self.stream.insert(begun);
            let answer = stream.ask(frame).await;
            untouched = stream.was_refused();
            answer
        })
        .await;
        answer.map_err(if untouched { Failed::Untouched } else { Failed::Begun })
    }

    /// Sends the frame that was written and waits for the reply, all within the action timeout.
    async fn exchange(&mut self) -> Result<Bytes, Fault> {
        let frame = self.frame.split().freeze();
        let Some(stream) = &mut self.stream else {
            return Err(Fault::new(Cause::Executor, "an action was asked for before the episode began"));
        };
        let allowance = stream.allowance();
        let patience = self.patience;
        let late = || Means::late("an observation", patience);
        answer_within(patience, Some(&allowance), late, stream.ask(frame)).await
    }

    /// A fresh connection to the same addresses.
    async fn connect_again(&mut self) -> Result<(), Fault> {
        let addresses = self.connection.as_ref().expect("only drop takes it").connection.addresses();
        // It had been reached in this episode, so it is to blame from here on.
        self.connection = Some(self.means.connect(self.destination.endpoint(), addresses).await.map_err(|fault| {
            self.discreet(match fault.cause() {
                Cause::PolicyUnreachable => fault.with_cause(Cause::ConnectionClosed),
                _ => fault,
            })
        })?);
        self.proved = Instant::now();
        Ok(())
    }
}

/// Why a stream brought no reply to its first message.
enum Failed {
    /// HTTP/2 says that nothing of it was processed, so it may be sent again.
    Untouched(Fault),
    Begun(Fault),
}

impl Drop for GrpcPolicy {
    /// Says goodbye behind the episode's back, so that a policy sees an end and not a broken stream, and keeps the connection.
    fn drop(&mut self) {
        let (true, Some(connection), Some(stream), Ok(runtime)) =
            (self.sound, self.connection.take(), self.stream.take(), Handle::try_current())
        else {
            return;
        };
        let (means, destination) = (self.means.clone(), self.destination.clone());
        runtime.spawn(async move {
            if timeout(FAREWELL, stream.end()).await == Ok(true) {
                means.pool.give_back(destination, connection);
            }
        });
    }
}
