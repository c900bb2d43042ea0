//! The mesh token, which is given as a file only.

use std::path::PathBuf;

use clap::Args;

use super::secret::{Never, NotAnArgument};

/// What services of one deployment show each other (docs/operators.md).
#[derive(Debug, Default, Args)]
pub struct MeshArgs {
    /// A file that holds the mesh token, the same for every service and command of a deployment [default: the variables
    /// KINITRO_MESH_TOKEN_FILE or KINITRO_MESH_TOKEN, or [mesh] of --config].
    #[arg(long = "mesh-token-file", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Refused.
    #[arg(long = "mesh-token", hide = true, value_parser = NotAnArgument("write it into a file for --mesh-token-file, or set KINITRO_MESH_TOKEN"))]
    pub token: Option<Never>,
}
