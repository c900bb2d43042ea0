//! Health of a service and of what it depends on.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

use crate::supervisor::panic_text;

const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const NOT_PROBED: &str = "not checked yet";

type Check = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// One dependency and how to ask it.
pub(super) struct Probe {
    dependency: &'static str,
    address: String,
    check: Check,
}

impl Probe {
    pub(super) fn new<F>(dependency: &'static str, address: String, check: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        Self { dependency, address, check: Box::new(check) }
    }

    async fn run(&self) -> Result<(), String> {
        // The check is called inside, so that a panic before its first await is caught as well.
        let guarded = AssertUnwindSafe(async { (self.check)().await }).catch_unwind();
        match tokio::time::timeout(PROBE_TIMEOUT, guarded).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(format!("the check panicked: {}", panic_text(panic.as_ref()))),
            Err(_) => Err(format!("no answer from {} within {} s", self.address, PROBE_TIMEOUT.as_secs())),
        }
    }
}

/// What the probes found, as gRPC health and as a report.
pub(super) struct Health {
    service: &'static str,
    /// The names that stand for the whole: "" and the full names of the gRPC services.
    wholes: Vec<&'static str>,
    probes: Vec<Probe>,
    reporter: HealthReporter,
    findings: Mutex<BTreeMap<&'static str, Result<(), String>>>,
    draining: CancellationToken,
    /// Held while the reporter is written, so that a late finding cannot overwrite the drain.
    publishing: tokio::sync::Mutex<()>,
}

/// The state of a service for people and load balancers.
#[derive(Debug, serde::Serialize)]
pub(super) struct Report {
    service: &'static str,
    /// "serving", "unhealthy" or "draining".
    pub(super) status: &'static str,
    /// By dependency: "ok" or what is wrong.
    dependencies: BTreeMap<&'static str, String>,
}

impl Health {
    pub(super) fn new(
        service: &'static str,
        services: Vec<&'static str>,
        probes: Vec<Probe>,
        draining: CancellationToken,
    ) -> Self {
        let wholes = std::iter::once("").chain(services).collect();
        let findings = probes.iter().map(|probe| (probe.dependency, Err(NOT_PROBED.to_owned()))).collect();
        Self {
            service,
            wholes,
            probes,
            reporter: HealthReporter::new(),
            findings: Mutex::new(findings),
            draining,
            publishing: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    pub(super) fn report(&self) -> Report {
        let findings = self.findings();
        let status = match (self.draining.is_cancelled(), findings.values().all(Result::is_ok)) {
            (true, _) => "draining",
            (false, true) => "serving",
            (false, false) => "unhealthy",
        };
        let shown = |finding: &Result<(), String>| finding.clone().err().unwrap_or_else(|| "ok".to_owned());
        let dependencies = findings.iter().map(|(dependency, finding)| (*dependency, shown(finding))).collect();
        Report { service: self.service, status, dependencies }
    }

    /// Probes until the drain.
    pub(super) async fn watch(self: Arc<Self>) -> Result<(), std::convert::Infallible> {
        self.publish().await;
        let mut ticks = tokio::time::interval(PROBE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.draining.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = self.draining.cancelled() => return Ok(()),
                () = self.probe() => {}
            }
            crate::metrics::install().run_upkeep();
        }
    }

    /// From now on nothing here is ready, whatever the probes say.
    pub(super) async fn drain(&self) {
        let _publishing = self.publishing.lock().await;
        for whole in &self.wholes {
            self.reporter.set_service_status(whole, ServingStatus::NotServing).await;
        }
    }

    async fn probe(&self) {
        let outcomes = join_all(self.probes.iter().map(Probe::run)).await;
        for (probe, outcome) in self.probes.iter().zip(outcomes) {
            let before = self.findings().insert(probe.dependency, outcome.clone());
            self.log_change(probe.dependency, before, &outcome);
        }
        self.publish().await;
    }

    fn log_change(&self, dependency: &str, before: Option<Result<(), String>>, now: &Result<(), String>) {
        let (service, fresh) = (self.service, matches!(&before, Some(Err(reason)) if reason == NOT_PROBED));
        match now {
            Ok(()) if fresh => tracing::debug!(service, dependency, "the dependency is there"),
            Ok(()) if before != Some(Ok(())) => tracing::info!(service, dependency, "the dependency is back"),
            Err(error) if fresh || before == Some(Ok(())) => {
                tracing::warn!(service, dependency, %error, "the dependency fails, not serving until it is back");
            }
            _ => {}
        }
    }

    async fn publish(&self) {
        let _publishing = self.publishing.lock().await;
        let findings = self.findings().clone();
        for (dependency, finding) in &findings {
            self.reporter.set_service_status(dependency, serving(finding.is_ok())).await;
        }
        let whole = serving(findings.values().all(Result::is_ok) && !self.draining.is_cancelled());
        for name in &self.wholes {
            self.reporter.set_service_status(name, whole).await;
        }
    }

    fn findings(&self) -> MutexGuard<'_, BTreeMap<&'static str, Result<(), String>>> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serving(well: bool) -> ServingStatus {
    if well { ServingStatus::Serving } else { ServingStatus::NotServing }
}
