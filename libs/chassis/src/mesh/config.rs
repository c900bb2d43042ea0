//! Where the mesh token is: section `[mesh]` of the file, variables `KINITRO_MESH_*`.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{MeshAccess, MeshToken};
use crate::ChassisError;

/// The settings that all services of a process share. Each token is given in one of two ways. `Debug` shows no secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeshConfig {
    /// The token that this process sends and accepts: 16 to 512 printable ASCII characters without spaces.
    pub token: Option<String>,
    /// A file that holds it.
    pub token_file: Option<PathBuf>,
    /// While the token is changed: the one of before, which is accepted and never sent.
    pub token_previous: Option<String>,
    /// A file that holds the one of before.
    pub token_previous_file: Option<PathBuf>,
    /// Whether services describe themselves to everyone who asks (`grpc.reflection`).
    pub reflection: bool,
}

impl MeshConfig {
    /// What a process makes of it. Files are read here.
    ///
    /// # Errors
    /// A token that is given twice, cannot be read or may not be used; a previous one without a current one, or the same.
    pub fn access(&self) -> Result<MeshAccess, ChassisError> {
        let current = one(&self.token, &self.token_file, "KINITRO_MESH_TOKEN")?;
        let previous = one(&self.token_previous, &self.token_previous_file, "KINITRO_MESH_TOKEN_PREVIOUS")?;
        let wrong = |problem: &str| ChassisError::MeshToken {
            setting: "KINITRO_MESH_TOKEN_PREVIOUS (or its file)".to_owned(),
            problem: problem.to_owned(),
        };
        match (&current, &previous) {
            (None, Some(_)) => return Err(wrong("there is no current token: set KINITRO_MESH_TOKEN or its file too")),
            (Some(current), Some(previous)) if current == previous => {
                return Err(wrong("it is the current token: remove it"));
            }
            _ => {}
        }
        Ok(MeshAccess::new(current, previous, self.reflection))
    }
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self { token: None, token_file: None, token_previous: None, token_previous_file: None, reflection: true }
    }
}

impl fmt::Debug for MeshConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshConfig").field("reflection", &self.reflection).finish_non_exhaustive()
    }
}

/// The token that is given inline or in a file.
fn one(
    inline: &Option<String>,
    file: &Option<PathBuf>,
    variable: &'static str,
) -> Result<Option<MeshToken>, ChassisError> {
    match (inline, file) {
        (None, None) => Ok(None),
        (Some(text), None) => MeshToken::new(text, variable).map(Some),
        (None, Some(path)) => MeshToken::read(path).map(Some),
        (Some(_), Some(_)) => Err(ChassisError::MeshToken {
            setting: variable.to_owned(),
            problem: format!("it is given here and in a file ({variable}_FILE): remove one of the two"),
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NEW: &str = "new-token-of-the-mesh";
    const OLD: &str = "old-token-of-the-mesh";

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused_by_name() {
        let file = Some(PathBuf::from("/nowhere/token"));
        let previous_alone = MeshConfig { token_previous: text(OLD), ..MeshConfig::default() };
        let same = MeshConfig { token: text(NEW), token_previous: text(NEW), ..MeshConfig::default() };
        let twice = MeshConfig { token: text(NEW), token_file: file.clone(), ..MeshConfig::default() };
        let short = MeshConfig { token: text("short"), ..MeshConfig::default() };
        let absent = MeshConfig { token_file: file, ..MeshConfig::default() };
        for (config, said) in [
            (previous_alone, "KINITRO_MESH_TOKEN_PREVIOUS"),
            (same, "it is the current token"),
            (twice, "KINITRO_MESH_TOKEN_FILE"),
            (short, "it has 5 characters"),
            (absent, "/nowhere/token"),
        ] {
            let error = config.access().unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("-of-the-mesh"), "{said}: {error}");
        }
    }

    #[test]
    fn without_a_token_there_is_none_and_reflection_is_on() {
        let access = MeshConfig::default().access().unwrap();
        assert!(!access.has_token() && access.reflection());
        assert_eq!(access, MeshAccess::default());
    }
}
