//! `GET /health`: how the whole is doing, and whose fault it is when it is not well.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::{join, join_all};
use http::{StatusCode, header};
use kinitro_proto::scheduling::v1::{ListWarningsRequest, scheduling_service_client::SchedulingServiceClient};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    fresh::Fresh,
    upstream::{Upstream, Upstreams},
};

const CHECK_LIMIT: Duration = Duration::from_secs(2);
const MAX_AGE: Duration = Duration::from_millis(250);

/// The health of every service, asked for at most four times a second.
pub(crate) struct Health {
    upstreams: Upstreams,
    report: Fresh<Arc<Report>>,
}

/// What `/health` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    status: &'static str,
    database: &'static str,
    redis: &'static str,
    chain: &'static str,
    #[serde(serialize_with = "as_object")]
    pub services: Vec<(&'static str, Condition)>,
    /// The culprits, when unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What is away, or does not go on as it should, without making the whole unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// How a service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    Serving,
    /// It works, without the chain.
    Degraded,
    NotServing,
    Unreachable,
}

/// What one health check answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Serving,
    NotServing,
    /// The service does not know this name.
    Unknown,
    Away,
}

/// All answers of one service.
struct Finding {
    service: &'static str,
    whole: Answer,
    dependencies: Vec<(&'static str, Answer)>,
}

impl Health {
    pub fn new(upstreams: Upstreams) -> Arc<Self> {
        Arc::new(Self { upstreams, report: Fresh::new(MAX_AGE) })
    }

    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new().route("/health", get(answer)).with_state(Arc::clone(self))
    }

    /// The newest report.
    pub async fn report(&self) -> Arc<Report> {
        let asked = async {
            let findings = join_all(self.upstreams.all().map(ask));
            let (findings, said) = join(findings, warnings(&self.upstreams.scheduling)).await;
            Arc::new(Report::of(&findings, said))
        };
        self.report.get(asked).await
    }
}

async fn answer(State(health): State<Arc<Health>>) -> Response {
    let report = health.report().await;
    let status = if report.reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(&*report)).into_response()
}

/// What scheduling has to say to people. When it does not answer, its own health says why.
enum Said {
    Warnings(Vec<String>),
    /// It refuses this gateway's credentials. Health answers everyone and does not show it.
    Refused,
}

async fn warnings(scheduling: &Upstream) -> Said {
    let mut client = SchedulingServiceClient::new(scheduling.channel.clone());
    match tokio::time::timeout(CHECK_LIMIT, client.list_warnings(ListWarningsRequest {})).await {
        Ok(Ok(answer)) => Said::Warnings(answer.into_inner().warnings),
        Ok(Err(status)) if status.code() == Code::Unauthenticated => {
            tracing::error!(error = status.message(), "scheduling refuses this gateway");
            Said::Refused
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "scheduling did not say its warnings");
            Said::Warnings(Vec::new())
        }
        Err(_) => {
            tracing::debug!(limit = ?CHECK_LIMIT, "scheduling did not say its warnings in time");
            Said::Warnings(Vec::new())
        }
    }
}

async fn ask(upstream: &Upstream) -> Finding {
    let dependencies = upstream.dependencies.iter().map(|name| async { (*name, check(upstream, name).await) });
    let (whole, dependencies) = join(check(upstream, ""), join_all(dependencies)).await;
    Finding { service: upstream.name, whole, dependencies }
}

async fn check(upstream: &Upstream, name: &str) -> Answer {
    let mut client = HealthClient::new(upstream.channel.clone());
    let request = HealthCheckRequest { service: name.to_owned() };
    match tokio::time::timeout(CHECK_LIMIT, client.check(request)).await {
        Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving => Answer::Serving,
        Ok(Ok(_)) => Answer::NotServing,
        Ok(Err(status)) if status.code() == Code::NotFound => Answer::Unknown,
        Ok(Err(status)) => {
            tracing::debug!(service = upstream.name, check = name, error = %status, "a health check failed");
            Answer::Away
        }
        Err(_) => {
            tracing::debug!(service = upstream.name, check = name, limit = ?CHECK_LIMIT, "a health check got no answer");
            Answer::Away
        }
    }
}

impl Finding {
    fn condition(&self) -> Condition {
        match self.whole {
            Answer::Away => Condition::Unreachable,
            Answer::Serving | Answer::Unknown => Condition::Serving,
            Answer::NotServing if self.fails("chain") && self.failing().count() == 1 => Condition::Degraded,
            Answer::NotServing => Condition::NotServing,
        }
    }

    fn failing(&self) -> impl Iterator<Item = &'static str> {
        self.dependencies.iter().filter(|(_, answer)| *answer == Answer::NotServing).map(|(name, _)| *name)
    }

    fn fails(&self, dependency: &str) -> bool {
        self.failing().any(|name| name == dependency)
    }
}

impl Report {
    fn of(findings: &[Finding], said: Said) -> Self {
        let state = |dependency: &str| {
            let answers = || findings.iter().flat_map(|it| &it.dependencies).filter(|(name, _)| *name == dependency);
            if answers().any(|(_, answer)| *answer == Answer::NotServing) {
                "disconnected"
            } else if answers().any(|(_, answer)| *answer == Answer::Serving) {
                "connected"
            } else {
                "unknown"
            }
        };
        let mut culprits = Vec::new();
        let mut warnings = match said {
            Said::Warnings(warnings) => warnings,
            Said::Refused => {
                culprits.push("scheduling: refuses this gateway's mesh token".to_owned());
                Vec::new()
            }
        };
        for dependency in ["postgres", "redis"] {
            let sufferers: Vec<_> = findings.iter().filter(|it| it.fails(dependency)).map(|it| it.service).collect();
            if !sufferers.is_empty() {
                culprits.push(format!("{dependency}: cannot be used by {}", sufferers.join(", ")));
            }
        }
        for finding in findings.iter().filter(|it| it.fails("scheduling")) {
            culprits.push(format!("{}: cannot lease from scheduling", finding.service));
        }
        for finding in findings {
            match finding.condition() {
                Condition::Unreachable => culprits.push(format!("{}: cannot be reached", finding.service)),
                // Otherwise the dependency is to blame, and named already.
                Condition::NotServing if finding.failing().next().is_none() => {
                    culprits.push(format!("{}: is not serving", finding.service));
                }
                Condition::NotServing | Condition::Serving | Condition::Degraded => {}
            }
        }
        let chain = state("chain");
        if chain == "disconnected" {
            warnings.insert(0, "chain: ingestion cannot follow it; what is published stays as it is".to_owned());
        }
        Self {
            status: if culprits.is_empty() { "healthy" } else { "unhealthy" },
            database: state("postgres"),
            redis: state("redis"),
            chain,
            services: findings.iter().map(|it| (it.service, it.condition())).collect(),
            reason: (!culprits.is_empty()).then(|| culprits.join("; ")),
            warning: (!warnings.is_empty()).then(|| warnings.join("; ")),
        }
    }
}

fn as_object<S: Serializer>(services: &[(&'static str, Condition)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(services.len()))?;
    for (name, condition) in services {
        object.serialize_entry(name, condition)?;
    }
    object.end()
}
