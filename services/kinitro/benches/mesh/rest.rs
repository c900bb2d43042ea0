//! The REST face as an executor in another language sees it: JSON, a bearer key, a connection that is kept.

use anyhow::{Result, bail};
use kinitro_proto::scheduling::v1::TaskResult;
use reqwest::{
    Client,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::player::{Answer, Held};

/// A client with one connection; clones share it.
#[derive(Clone)]
pub struct Rest {
    client: Client,
    fetch: String,
    submit: String,
}

#[derive(Serialize)]
struct Fetch<'a> {
    executor_id: &'a str,
    batch_size: u32,
}

#[derive(Deserialize)]
struct Fetched {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Task {
    task_uuid: String,
    attempt: u32,
    seed: u32,
}

#[derive(Serialize)]
struct Submit<'a> {
    executor_id: &'a str,
    results: Vec<Submission<'a>>,
}

#[derive(Serialize)]
struct Submission<'a> {
    task_uuid: &'a str,
    success: bool,
    score: f64,
    total_reward: f64,
    timesteps: u32,
    attempt: u32,
    verdict: &'a str,
    cause: &'a str,
    trajectory_hash: &'a str,
    duration_seconds: f64,
    policy_seconds: f64,
}

#[derive(Deserialize)]
struct Submitted {
    accepted: u32,
    duplicates: u32,
}

impl Rest {
    /// A client of the gateway at this URL.
    pub fn new(gateway_url: &str, api_key: &str) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {api_key}"))?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The client wants one before it is built, even for plain HTTP. A second call finds the first one's and changes nothing.
        rustls::crypto::ring::default_provider().install_default().ok();
        Ok(Self {
            client: Client::builder().no_proxy().default_headers(headers).build()?,
            fetch: format!("{gateway_url}/v1/tasks/fetch"),
            submit: format!("{gateway_url}/v1/tasks/submit"),
        })
    }

    /// Takes tasks.
    pub async fn fetch(&self, executor_id: &str, batch: u32) -> Result<Vec<Held>> {
        let fetched: Fetched = self.post(&self.fetch, &Fetch { executor_id, batch_size: batch }).await?;
        let held = |task: Task| Held { task_uuid: task.task_uuid, attempt: task.attempt, seed: task.seed };
        Ok(fetched.tasks.into_iter().map(held).collect())
    }

    /// Hands results in.
    pub async fn submit(&self, executor_id: &str, results: &[TaskResult]) -> Result<Answer> {
        let results = results.iter().map(submission).collect();
        let submitted: Submitted = self.post(&self.submit, &Submit { executor_id, results }).await?;
        Ok(Answer { accepted: submitted.accepted, duplicates: submitted.duplicates })
    }

    async fn post<T: DeserializeOwned>(&self, url: &str, body: &impl Serialize) -> Result<T> {
        let response = self.client.post(url).body(serde_json::to_vec(body)?).send().await?;
        let (status, body) = (response.status(), response.bytes().await?);
        if !status.is_success() {
            bail!("{url} answers {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

fn submission(result: &TaskResult) -> Submission<'_> {
    Submission {
        task_uuid: &result.task_uuid,
        success: result.success,
        score: result.score,
        total_reward: result.total_reward,
        timesteps: result.timesteps,
        attempt: result.attempt,
        verdict: &result.verdict,
        cause: &result.cause,
        trajectory_hash: &result.trajectory_hash,
        duration_seconds: result.duration_seconds,
        policy_seconds: result.policy_seconds,
    }
}
