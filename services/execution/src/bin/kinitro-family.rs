//! The process of a family on its own, for this crate's tests. In production the one binary starts itself again.

use std::process::ExitCode;

use kinitro_chassis::{LogFormat, init_telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match init_telemetry("execution", "WARNING", LogFormat::Auto) {
        Ok(()) => kinitro_execution::family_worker().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
