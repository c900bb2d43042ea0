//! Reading the REST face, as any client would.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The JSON at a path of the gateway; anything but 200 is an error with the body.
pub async fn get(gateway: &str, path: &str) -> Result<Value> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let url = format!("{gateway}{path}");
    let response = client.get(&url).send().await.with_context(|| format!("GET {url}"))?;
    let status = response.status();
    let body = response.text().await?;
    if !status.is_success() {
        bail!("GET {url} answered {status}: {body}");
    }
    serde_json::from_str(&body).with_context(|| format!("GET {url} answered no JSON: {body}"))
}
