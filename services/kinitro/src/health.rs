//! `kinitro health`: one question to a service, for container health checks.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

const LIMIT: Duration = Duration::from_secs(4);

/// Succeeds when the service says that it is well. A URL without a path is asked at `/healthz`, which every service has.
pub async fn check(url: &str) -> Result<()> {
    let mut target: reqwest::Url = url.parse().with_context(|| format!("`{url}` is no URL"))?;
    if target.path() == "/" {
        target.set_path("/healthz");
    }
    let client = reqwest::Client::builder().timeout(LIMIT).no_proxy().build()?;
    let response = client.get(target.clone()).send().await.with_context(|| format!("{target} does not answer"))?;
    let (status, body) = (response.status(), response.text().await.unwrap_or_default());
    if !status.is_success() {
        bail!("{target} answers {status}: {body}");
    }
    println!("{body}");
    Ok(())
}
