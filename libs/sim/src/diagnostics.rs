//! MuJoCo's own messages, sent to `tracing`.
//!
//! Without a handler MuJoCo appends warnings to a file `MUJOCO_LOG.TXT` in the current directory and prints them to the terminal.

use std::sync::Once;

use mujoco_rs::prelude::{MjLogMessage, MjtLogLevel, set_log_handler};

static INSTALLED: Once = Once::new();

/// Installs the handler, once per process. Must come before every other use of MuJoCo.
pub(crate) fn install() {
    INSTALLED.call_once(|| {
        // SAFETY: no other thread may use MuJoCo meanwhile. `Simulator::new` is the only way into this crate, this crate alone
        // links MuJoCo, and `Simulator::new` calls this function first: any other thread that arrives waits in `call_once`.
        unsafe { set_log_handler(forward) }
    });
}

/// Runs inside MuJoCo, so it must not panic. After an error MuJoCo's wrapper ends the process.
fn forward(message: &MjLogMessage) {
    let (subject, body) = (message.subject(), message.body().unwrap_or_default());
    match message.level() {
        MjtLogLevel::mjLOG_ERROR => tracing::error!(target: "mujoco", body, "{subject}"),
        MjtLogLevel::mjLOG_WARNING => tracing::warn!(target: "mujoco", body, "{subject}"),
        MjtLogLevel::mjLOG_INFO => tracing::debug!(target: "mujoco", body, "{subject}"),
        MjtLogLevel::mjLOG_DEBUG => tracing::trace!(target: "mujoco", body, "{subject}"),
    }
}
