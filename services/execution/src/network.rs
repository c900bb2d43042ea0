//! Tells a network of ours that is down from miners that are.
//!
//! That a policy cannot be reached is held against its miner when every attempt ends so. An executor whose network is down would end the
//! attempts of a whole cycle like that within a minute. The rule: our network is taken to be down when
//!
//! - the servers of [`FEWEST`] different miners could not be reached in a row, and nobody was reached since the first of them,
//! - no episode is in flight of which the policy was reached, and
//! - none of the servers that were reached last takes a connection. (Without that, dead miners whose tasks are all that is left of a cycle
//!   would pass for an outage.)
//!
//! Then what cannot be reached is an executor's fault, which is never held against anybody, and little is leased: one task after each of
//! ever longer pauses, until somebody is reached.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use kinitro_domain::Cause;
use kinitro_policy::{Endpoint, Fault};
use tokio::{net::TcpStream, time::timeout};

use crate::{episode::Report, miners::server};

/// So many different servers away may be a coincidence no more.
const FEWEST: usize = 3;

/// How many servers that were reached are remembered.
const REMEMBERED: usize = 5;

/// How long they have to take a connection.
const PROBE: Duration = Duration::from_secs(3);

/// The pause after the first sign of an outage. It doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What an executor knows of its own network.
pub(crate) struct Network {
    allow_private: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Servers that could not be reached since anybody was.
    away: BTreeSet<String>,
    /// Episodes in flight of which the policy was reached.
    playing: usize,
    /// Endpoints that were reached, the last one last.
    reached: VecDeque<Endpoint>,
    outage: Option<Outage>,
}

#[derive(Clone, Copy)]
struct Outage {
    pause: Duration,
    until: Instant,
}

/// One episode, from its beginning to its end.
pub(crate) struct Visit {
    network: Arc<Network>,
    endpoint: Option<Endpoint>,
    reached: bool,
}

impl Network {
    pub(crate) fn new(allow_private: bool) -> Self {
        Self { allow_private, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn visit(self: &Arc<Self>, endpoint: &str) -> Visit {
        Visit { network: self.clone(), endpoint: Endpoint::parse(endpoint).ok(), reached: false }
    }

    /// Whether no more than one task may be leased.
    pub(crate) fn is_down(&self) -> bool {
        self.state().outage.is_some()
    }

    /// For how long nothing may be leased.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let outage = self.state().outage?;
        Some(outage.until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Whether one of the servers that were reached last still takes a connection.
    async fn somebody_answers(&self) -> bool {
        let reached: Vec<Endpoint> = self.state().reached.iter().cloned().collect();
        let mut probes: FuturesUnordered<_> = reached.into_iter().map(|endpoint| self.answers(endpoint)).collect();
        while let Some(answers) = probes.next().await {
            if answers {
                return true;
            }
        }
        false
    }

    async fn answers(&self, endpoint: Endpoint) -> bool {
        let connected = async {
            let resolved = endpoint.resolve(self.allow_private, PROBE).await.ok()?;
            // Tried in turn.
            TcpStream::connect(resolved.addresses.as_slice()).await.ok()
        };
        timeout(PROBE, connected).await.is_ok_and(|connected| connected.is_some())
    }
}

impl State {
    fn over(&mut self) {
        self.away.clear();
        if self.outage.take().is_some() {
            tracing::info!("the network is back");
        }
    }

    fn down(&mut self) {
        let now = Instant::now();
        let pause = match self.outage {
            // Of the same batch of tasks.
            Some(outage) if outage.until > now => return,
            Some(outage) => (outage.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        tracing::error!(
            away = self.away.len(),
            ?pause,
            "no policy can be reached: is the network of this executor down?"
        );
        self.outage = Some(Outage { pause, until: now + pause });
    }
}

impl Visit {
    /// The policy was reached.
    pub(crate) fn reached(&mut self) {
        if self.reached {
            return;
        }
        self.reached = true;
        let mut state = self.network.state();
        state.over();
        state.playing += 1;
        if let Some(endpoint) = &self.endpoint {
            state.reached.retain(|known| known != endpoint);
            state.reached.push_back(endpoint.clone());
            if state.reached.len() > REMEMBERED {
                state.reached.pop_front();
            }
        }
    }

    /// The report, with what it says of the miner left out when our network is down.
    pub(crate) async fn judged(&self, endpoint: &str, report: Report) -> Report {
        let Some(server) = server(endpoint).filter(|_| report.cause == Cause::PolicyUnreachable) else { return report };
        let away = {
            let mut state = self.network.state();
            state.away.insert(server);
            if state.playing > 0 { 0 } else { state.away.len() }
        };
        if away < FEWEST {
            return report;
        }
        if self.network.somebody_answers().await {
            self.network.state().over();
            return report;
        }
        self.network.state().down();
        let what = format!(
            "the network of this executor seems to be down: {away} servers of policies could not be reached in a row; here: {}",
            report.evidence
        );
        // Bounded as all evidence is.
        let fault = Fault::new(Cause::Executor, what);
        Report { cause: fault.cause(), evidence: fault.evidence().to_owned(), ..report }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.reached {
            self.network.state().playing -= 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn unreachable(network: &Arc<Network>, endpoint: &str) -> Cause {
        let report = Report::fault(Cause::PolicyUnreachable, "no route".to_owned());
        network.visit(endpoint).judged(endpoint, report).await.cause
    }

    async fn three_away(network: &Arc<Network>) -> [Cause; 3] {
        let mut causes = [Cause::Executor; 3];
        for (n, cause) in causes.iter_mut().enumerate() {
            // One that fails twice is one.
            unreachable(network, &format!("http://away-{n}.example")).await;
            *cause = unreachable(network, &format!("http://away-{n}.example:80/path")).await;
        }
        causes
    }

    const MINERS: Cause = Cause::PolicyUnreachable;

    #[tokio::test]
    async fn three_servers_in_a_row_are_an_outage_of_ours_until_somebody_is_reached() {
        let network = Arc::new(Network::new(true));
        assert_eq!(three_away(&network).await, [MINERS, MINERS, Cause::Executor]);
        assert!(network.is_down() && network.pause().unwrap() <= FIRST_PAUSE);
        // Others of the same batch make it no longer.
        assert_eq!(unreachable(&network, "http://away-9.example").await, Cause::Executor);
        assert!(network.pause().unwrap() <= FIRST_PAUSE);
        network.state().outage.as_mut().unwrap().until = Instant::now();
        assert!(network.is_down() && network.pause().is_none());
        unreachable(&network, "http://away-9.example").await;
        assert!(network.pause().unwrap() > FIRST_PAUSE);
        network.visit("http://here.example").reached();
        assert!(!network.is_down() && network.pause().is_none());
        assert_eq!(unreachable(&network, "http://away-9.example").await, MINERS);
    }

    #[tokio::test]
    async fn it_is_no_outage_while_anybody_was_reached_or_still_answers() {
        let network = Arc::new(Network::new(true));
        let mut playing = network.visit("http://here.example");
        playing.reached();
        assert_eq!(three_away(&network).await, [MINERS; 3]);
        drop(playing);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let network = Arc::new(Network::new(true));
        network.visit(&here).reached();
        assert_eq!(three_away(&network).await, [MINERS; 3], "the dead miners are all that is left of a cycle");
        assert!(!network.is_down());
        drop(listener);
        network.state().away.clear();
        assert_eq!(three_away(&network).await, [MINERS, MINERS, Cause::Executor]);
    }

    #[tokio::test]
    async fn what_else_an_episode_ends_with_is_left_alone() {
        let network = Arc::new(Network::new(true));
        three_away(&network).await;
        for cause in Cause::ALL.iter().copied().filter(|cause| *cause != Cause::PolicyUnreachable) {
            let report = Report::fault(cause, String::new());
            assert_eq!(network.visit("http://x.example").judged("http://x.example", report.clone()).await, report);
        }
    }
}
