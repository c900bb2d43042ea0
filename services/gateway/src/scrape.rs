//! `GET /metrics`: this process's own figures, and those of the evaluation, asked of the services at the scrape.
//!
//! The evaluation's figures come from Postgres through the services, so a restart of anything does not reset them. Their
//! names are those of the operators' guide.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::join3;
use http::header;
use kinitro_proto::{
    scheduling::v1::{
        EvaluationMetrics, GetEvaluationMetricsRequest, scheduling_service_client::SchedulingServiceClient,
    },
    scoring::v1::{GetScoresRequest, Scores, scoring_service_client::ScoringServiceClient},
};
use tonic::{Code, Status};

use crate::{
    fresh::Fresh,
    health::{Condition, Health, Report},
    upstream::Upstreams,
};

const CALL_LIMIT: Duration = Duration::from_secs(2);
const MAX_AGE: Duration = Duration::from_secs(1);
const MAX_SCORES_BYTES: usize = 64 << 20;

/// The figures, asked for at most once a second.
pub(crate) struct Scrape {
    upstreams: Upstreams,
    health: Arc<Health>,
    figures: Fresh<Arc<str>>,
}

impl Scrape {
    pub fn new(upstreams: Upstreams, health: Arc<Health>) -> Self {
        Self { upstreams, health, figures: Fresh::new(MAX_AGE) }
    }

    pub fn routes(self) -> Router {
        Router::new().route("/metrics", get(answer)).with_state(Arc::new(self))
    }

    async fn figures(&self) -> Arc<str> {
        let (report, metrics, scores) = join3(self.health.report(), self.metrics(), self.scores()).await;
        let mut text = String::new();
        write_up(&mut text, &report);
        if let Some(metrics) = metrics {
            write_evaluation(&mut text, &metrics);
        }
        if let Some(scores) = scores {
            write_scores(&mut text, &scores);
        }
        text.into()
    }

    async fn metrics(&self) -> Option<EvaluationMetrics> {
        let mut client = SchedulingServiceClient::new(self.upstreams.scheduling.channel.clone());
        bounded("scheduling", client.get_evaluation_metrics(GetEvaluationMetricsRequest {})).await
    }

    async fn scores(&self) -> Option<Scores> {
        let channel = self.upstreams.scoring.channel.clone();
        let mut client = ScoringServiceClient::new(channel).max_decoding_message_size(MAX_SCORES_BYTES);
        bounded("scoring", client.get_scores(GetScoresRequest { cycle_id: None })).await
    }
}

async fn answer(State(scrape): State<Arc<Scrape>>) -> Response {
    let figures = scrape.figures.get(scrape.figures()).await;
    let mut text = kinitro_chassis::render_metrics();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&figures);
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4"), (header::CACHE_CONTROL, "no-store")];
    (headers, text).into_response()
}

async fn bounded<T>(
    service: &'static str,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Option<T> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(Ok(answer)) => Some(answer.into_inner()),
        // Nothing was scored yet.
        Ok(Err(status)) if status.code() == Code::NotFound => None,
        Ok(Err(error)) => {
            tracing::warn!(service, %error, "a service has no figures for the scrape");
            None
        }
        Err(_) => {
            tracing::warn!(service, limit = ?CALL_LIMIT, "a service did not answer the scrape in time");
            None
        }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    text.push_str(name);
    for (index, (label, shown)) in labels.iter().enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        let escaped = shown.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        text.push_str(&format!("{label}=\"{escaped}\""));
    }
    if !labels.is_empty() {
        text.push('}');
    }
    writeln!(text, " {value}").expect("writing to a string cannot fail");
}

fn write_up(text: &mut String, report: &Report) {
    head(text, "kinitro_upstream_up", "gauge", "1 while the service serves, as the gateway sees it");
    for (service, condition) in &report.services {
        let up = u8::from(matches!(condition, Condition::Serving | Condition::Degraded));
        sample(text, "kinitro_upstream_up", &[("service", service)], up);
    }
}

fn write_evaluation(text: &mut String, metrics: &EvaluationMetrics) {
    let total = metrics.eval_cycles_total;
    head(text, "kinitro_eval_cycles_total", "counter", "cycles that were scored");
    sample(text, "kinitro_eval_cycles_total", &[], total);

    let name = "kinitro_eval_cycles_unscored_total";
    head(text, name, "counter", "cycles of which too little was played, so that the weights of before stand");
    sample(text, name, &[], metrics.eval_cycles_unscored_total);

    let name = "kinitro_eval_duration_seconds";
    head(text, name, "histogram", "how long scored cycles took");
    for (bound, count) in metrics.duration_bounds.iter().zip(&metrics.duration_counts).filter(|(it, _)| it.is_finite())
    {
        sample(text, &format!("{name}_bucket"), &[("le", &bound.to_string())], count.min(&total));
    }
    sample(text, &format!("{name}_bucket"), &[("le", "+Inf")], total);
    sample(text, &format!("{name}_sum"), &[], metrics.duration_sum);
    sample(text, &format!("{name}_count"), &[], total);

    head(text, "kinitro_miners_active", "gauge", "miners that may be evaluated");
    sample(text, "kinitro_miners_active", &[], metrics.miners_active);
}

fn write_scores(text: &mut String, scores: &Scores) {
    let name = "kinitro_miner_scores";
    head(text, name, "gauge", "success rate in the newest scored cycle");
    for detail in &scores.details {
        let labels = [("uid", &*detail.uid.to_string()), ("env_id", &*detail.env_id)];
        sample(text, name, &labels, detail.success_rate);
    }
}
