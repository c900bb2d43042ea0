//! Finding the Meta-World assets on this machine.

use std::path::{Path, PathBuf};

use crate::SimError;

/// Names the folder when nothing else does.
const VARIABLE: &str = "KINITRO_METAWORLD_ASSETS";
/// Where `make setup` unpacks the assets, from the root of the repository.
const VENDORED: &str = ".vendor/metaworld/metaworld/assets";
/// A folder without this one holds no assets.
const MARKER: &str = "sawyer_xyz";

/// A folder of Meta-World assets that was found to exist.
#[derive(Debug, Clone)]
pub(crate) struct Assets(PathBuf);

impl Assets {
    /// Looks in the explicit folder; without one in the folder that `KINITRO_METAWORLD_ASSETS` names; without that under the
    /// current directory, then under the repository that this crate was compiled in. What was named explicitly is not
    /// replaced by something else that happens to exist.
    pub(crate) fn find(explicit: Option<&Path>) -> Result<Self, SimError> {
        Self::find_in(match (explicit, std::env::var_os(VARIABLE)) {
            (Some(path), _) => vec![path.to_owned()],
            (None, Some(path)) => vec![PathBuf::from(path)],
            (None, None) => {
                vec![PathBuf::from(VENDORED), Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(VENDORED)]
            }
        })
    }

    fn find_in(candidates: Vec<PathBuf>) -> Result<Self, SimError> {
        match candidates.iter().find(|path| path.join(MARKER).is_dir()) {
            Some(path) => Ok(Self(path.clone())),
            None => Err(SimError::AssetsMissing { looked: candidates }),
        }
    }

    /// The full path of an asset.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_assets_name_the_folders_and_the_way_out() {
        let missing =
            Assets::find(Some(Path::new("/nowhere/assets"))).expect_err("there is no such folder").to_string();
        assert!(missing.contains("`/nowhere/assets`") && missing.contains("make setup"), "{missing}");
    }

    #[test]
    fn an_explicit_folder_is_not_replaced_by_the_vendored_one() {
        assert!(Assets::find(Some(Path::new("/tmp"))).is_err());
    }
}
