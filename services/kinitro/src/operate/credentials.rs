//! What an operator's command shows to scheduling: the token that was configured, else the one of a `kinitro up` on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kinitro_chassis::{MeshAccess, MeshToken};

use super::Asking;
use crate::{own_secret, settings::Settings, up};

impl Asking {
    /// A data directory that is named goes before the settings. One that is not named is looked at only when nothing is configured
    /// and scheduling is on this machine: its token is sent nowhere else.
    pub(super) fn access(&self, settings: &Settings) -> Result<MeshAccess> {
        if let Some(data_dir) = &self.data_dir {
            return own(&own_secret::mesh_token_file(data_dir)).with_context(|| {
                format!("{} is no data directory of a `kinitro up`: give another --data-dir", data_dir.display())
            });
        }
        let access = settings.access(&self.mesh)?;
        match found(&self.scheduling_url) {
            Some(path) if !access.has_token() => own(&path),
            _ => Ok(access),
        }
    }
}

fn own(path: &Path) -> Result<MeshAccess> {
    Ok(MeshAccess::default().with_token(MeshToken::read(path)?))
}

/// The file of the `kinitro up` that was started in this directory, where the URL is one of this machine.
fn found(url: &str) -> Option<PathBuf> {
    // What cannot be found out is as good as no token: the service says what it asks for.
    let data_dir = is_here(url).then(up::default_data_dir)?.ok()?;
    let path = own_secret::mesh_token_file(&data_dir);
    path.exists().then_some(path)
}

fn is_here(url: &str) -> bool {
    let Ok(url) = url.parse::<reqwest::Url>() else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_found_is_for_this_machine_only() {
        for here in ["http://127.0.0.1:50052", "http://localhost:50052", "http://[::1]:50052"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["http://scheduling:50052", "http://192.0.2.1:50052", "http://127.0.0.1.example:1", "nonsense"]
        {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
