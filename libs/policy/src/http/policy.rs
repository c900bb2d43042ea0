//! An episode over HTTP.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt as _};
use http::HeaderValue;
use kinitro_commitment::Protocol;
use kinitro_domain::Cause;
use serde_json::json;
use uuid::Uuid;

use super::exchange::{Answer, Caller, MAX_ERROR_BYTES, MAX_RESPONSE_BYTES, Question};
use crate::{
    Action, ChannelSpec, Destination, Fault, Observation, Policy, Resolved, TaskConfig, TransportConfig, parse_action,
    parse_reset,
    pool::{Lent, Pool, STANDS},
    tls::Tls,
    wire::encode_observation_into,
};

/// Opens conversations with policies over HTTP.
pub struct HttpTransport {
    means: Arc<Means>,
}

/// What every conversation needs.
struct Means {
    config: TransportConfig,
    tls: Tls,
    pool: Pool<Caller>,
}

/// A conversation with one policy, over one episode.
pub struct HttpPolicy {
    means: Arc<Means>,
    /// Has one connection. Present until this is dropped.
    caller: Option<Lent<Caller>>,
    destination: Destination,
    episode_id: Uuid,
    spec: &'static [ChannelSpec],
    /// The bodies of `/act`, one after the other in the same memory.
    body: BytesMut,
    /// How long an answer may take.
    patience: Duration,
    /// When the policy was heard last.
    heard: Instant,
    /// The last thing that happened was a good action, so the connection is fit for another episode.
    sound: bool,
}

impl HttpTransport {
    /// Loads the certificates that the operating system trusts. Without any, `http` endpoints still work.
    pub fn new(config: TransportConfig) -> Self {
        Self::with_tls(config, Tls::load())
    }

    pub(crate) fn with_tls(config: TransportConfig, tls: Tls) -> Self {
        Self { means: Arc::new(Means { config, tls, pool: Pool::new() }) }
    }

    /// Checks where an endpoint leads, connects to it unless a connection rests, and asks `/health`. Any answer will do: only what
    /// `/reset` and `/act` say counts.
    pub async fn open(&self, to: Destination, spec: &'static [ChannelSpec]) -> Result<HttpPolicy, Fault> {
        if to.endpoint().protocol() != Protocol::Http {
            return Err(Fault::new(Cause::EndpointRefused, "the committed endpoint is not one of HTTP"));
        }
        let Means { config, tls, pool } = &*self.means;
        let TransportConfig { allow_private, connect_timeout, action_timeout } = *config;
        if let Some(caller) = pool.take(&to) {
            let mut policy = self.policy(to.clone(), caller, spec);
            match policy.health(action_timeout).await {
                Ok(()) => return Ok(policy),
                Err(fault) => tracing::debug!(cause = %fault.cause(), "a connection that rested is of no use any more"),
            }
            pool.forget(&to);
        }
        let Resolved(addresses) = to.resolve(allow_private, connect_timeout).await?;
        let caller = Caller::new(to.endpoint(), config, tls, addresses.into());
        let mut policy = self.policy(to, Lent::new(caller), spec);
        // Nothing was heard of the policy in this episode yet: the network on our side may be to blame.
        policy.health(connect_timeout + action_timeout).await.map_err(|fault| match fault.cause() {
            Cause::ConnectionClosed | Cause::ActionTimeout => fault.with_cause(Cause::PolicyUnreachable),
            _ => fault,
        })?;
        Ok(policy)
    }

    fn policy(&self, destination: Destination, caller: Lent<Caller>, spec: &'static [ChannelSpec]) -> HttpPolicy {
        HttpPolicy {
            means: self.means.clone(),
            caller: Some(caller),
            destination,
            episode_id: Uuid::new_v4(),
            spec,
            body: BytesMut::new(),
            patience: self.means.config.action_timeout,
            heard: Instant::now(),
            sound: false,
        }
    }
}

impl Policy for HttpPolicy {
    fn reset<'a>(&'a mut self, task: &'a TaskConfig) -> BoxFuture<'a, Result<(), Fault>> {
        let TaskConfig { env_id, env_name, task_name, policy_seed, task_id } = task;
        let body = json!({"task_config": {
            "env_id": env_id, "env_name": env_name, "task_name": task_name, "seed": policy_seed, "task_id": task_id,
        }});
        async move {
            self.ensure_connected().await?;
            let answer = self.post("/reset", body.to_string().into()).await;
            answer.and_then(|answer| parse_reset(&answer)).map_err(|fault| self.discreet(fault))
        }
        .boxed()
    }

    fn act<'a>(&'a mut self, observation: &'a Observation) -> BoxFuture<'a, Result<Action, Fault>> {
        async move {
            self.ensure_connected().await?;
            self.sound = false;
            encode_observation_into(observation, &mut self.body);
            let body = self.body.split().freeze();
            let answer = self.post("/act", body).await;
            let action = answer.and_then(|answer| parse_action(&answer, self.spec));
            self.sound = action.is_ok();
            action.map_err(|fault| self.discreet(fault))
        }
        .boxed()
    }

    fn set_patience(&mut self, within: Duration) {
        self.patience = within;
    }

    fn ensure_connected(&mut self) -> BoxFuture<'_, Result<(), Fault>> {
        async move {
            if self.heard.elapsed() < STANDS {
                return Ok(());
            }
            let sound = std::mem::take(&mut self.sound);
            let TransportConfig { connect_timeout, action_timeout, .. } = self.means.config;
            if let Err(fault) = self.health(action_timeout).await {
                tracing::debug!(cause = %fault.cause(), "a connection that rested within an episode is of no use any more");
                let old = &self.caller.as_ref().expect("only drop takes it").connection;
                let fresh = Caller::new(self.destination.endpoint(), &self.means.config, &self.means.tls, old.addresses());
                self.caller = Some(Lent::new(fresh));
                // It had been reached in this episode, so it is to blame from here on.
                self.health(connect_timeout + action_timeout).await.map_err(|fault| match fault.cause() {
                    Cause::ActionTimeout => fault.with_cause(Cause::ConnectionClosed),
                    _ => fault,
                })?;
            }
            self.sound = sound;
            Ok(())
        }
        .boxed()
    }
}

impl Drop for HttpPolicy {
    fn drop(&mut self) {
        if let (true, Some(caller)) = (self.sound, self.caller.take()) {
            self.means.pool.give_back(self.destination.clone(), caller);
        }
    }
}

impl HttpPolicy {
    /// The random id that travels in `X-Episode-Id`.
    pub fn episode_id(&self) -> Uuid {
        self.episode_id
    }

    /// Certificates and error pages name the host; evidence must not.
    fn discreet(&self, fault: Fault) -> Fault {
        fault.hiding(&self.destination.telling_names())
    }

    /// Asks for a sign of life. An error page is one, and is read to its end, so that the connection can be used again.
    async fn health(&mut self, within: Duration) -> Result<(), Fault> {
        let answer = self.exchange("/health", None, MAX_RESPONSE_BYTES, within).await;
        answer.map(drop).map_err(|fault| self.discreet(fault))
    }

    async fn post(&mut self, path: &'static str, body: Bytes) -> Result<Vec<u8>, Fault> {
        let within = self.patience;
        let Answer { status, encoded, retry_after, body } =
            self.exchange(path, Some(body), MAX_ERROR_BYTES, within).await?;
        if status.is_redirection() {
            return Err(Fault::new(Cause::Redirect, format!("{path} answered {status}; no redirect is followed")));
        }
        if !status.is_success() {
            let fault = Fault::quoting(Cause::HttpStatus, format!("{path} answered {status}"), &body);
            return Err(match status.as_u16() {
                502..=504 => fault.of_one_not_ready(retry_after.unwrap_or_default()),
                _ => fault,
            });
        }
        if encoded {
            return Err(Fault::quoting(
                Cause::InvalidResponse,
                format!("{path} answered in a content encoding"),
                &body,
            ));
        }
        Ok(body)
    }

    async fn exchange(
        &mut self,
        path: &'static str,
        body: Option<Bytes>,
        error_bytes: usize,
        within: Duration,
    ) -> Result<Answer, Fault> {
        let episode_id = HeaderValue::try_from(self.episode_id.to_string()).expect("a UUID is printable ASCII");
        let caller = &mut self.caller.as_mut().expect("only drop takes it").connection;
        let answer = caller.exchange(Question { path, episode_id, body }, error_bytes, within).await?;
        self.heard = Instant::now();
        Ok(answer)
    }
}
