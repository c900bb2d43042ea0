//! `kinitro devchain` as a process of its own, and how a test gives the other commands their keys.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::mpsc,
};

use super::{PATIENCE, up::kinitro};

/// A running development chain with subnet 1.
pub struct Node {
    child: Child,
    /// Where it listens, `ws://…`.
    pub url: String,
}

impl Node {
    /// Starts one with these neurons, `[[neurons]]` in TOML, and these flags.
    pub fn start(folder: &Path, neurons: &str, flags: &[&str]) -> Self {
        let seed = folder.join("chain.toml");
        fs::write(&seed, format!("netuid = 1\n{neurons}")).unwrap();
        let fixed = ["devchain", "--port", "0", "--seed-file", seed.to_str().unwrap(), "--log-level", "INFO"];
        // The metadata lies in the checkout.
        let mut command = kinitro(folder, &[&fixed[..], flags].concat());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, receiver) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // Reads to the end, so that the process never waits for us.
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| sender.send(line).unwrap_or(()))
        });
        let mut said = String::new();
        let address = loop {
            let line = receiver.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no node ({error}): {said}"));
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"] == "listening" {
                break event["address"].as_str().unwrap().to_owned();
            }
            said += &(line + "\n");
        };
        Self { child, url: format!("ws://{address}") }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already gone is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A wallet with one hotkey, in the layout of the Bittensor tools; returns the folder of wallets.
pub fn wallet(folder: &Path, name: &str, hotkey: &str, address: &str, seed: &str) -> PathBuf {
    let wallets = folder.join("wallets");
    let hotkeys = wallets.join(name).join("hotkeys");
    fs::create_dir_all(&hotkeys).unwrap();
    let key = serde_json::json!({ "secretPhrase": null, "secretSeed": format!("0x{seed}"), "ss58Address": address });
    secret_file(&hotkeys.join(hotkey), &key.to_string());
    wallets
}

/// A file that its owner alone may read.
pub fn secret_file(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
