//! What became of the settings of the earlier system.

use super::Config;

impl Config {
    /// One line for each setting that existing deployments have and that does something else now, or nothing.
    pub fn superseded(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = |set: bool, name: &str, now: &str| {
            if set {
                lines.push(format!("{name} is set: {now}"));
            }
        };
        line(
            self.api_url.is_some(),
            "api_url",
            "executors lease by gRPC from scheduling_url; the REST gateway is not called",
        );
        line(self.api_key.is_some(), "api_key", "executors do not call the REST gateway, so no key is sent");
        line(
            self.eval_images.is_some(),
            "eval_images",
            "environments are built in and no image is run; only the families it names are used, when env_families is not set",
        );
        line(self.eval_image.is_some(), "eval_image", "environments are built in and no image is run");
        line(
            self.eval_gpu.is_some(),
            "eval_gpu",
            "pictures are drawn by this process, where there is a GPU and image_quality asks for it; there is nothing to switch on or off",
        );
        line(
            self.eval_mode.is_some(),
            "eval_mode",
            "episodes run in processes of this executor, one a family, without containers",
        );
        line(
            self.eval_mem_limit.is_some(),
            "eval_mem_limit",
            "there is no evaluation container; limit this executor as a whole instead",
        );
        line(
            self.eval_hosts.is_some(),
            "eval_hosts",
            "episodes run on this host; start an executor on each host instead",
        );
        line(
            self.use_concurrent_executor.is_some(),
            "use_concurrent_executor",
            "every family runs in a process of its own and plays max_concurrent episodes at once; there is nothing to switch on or off",
        );
        let verification = self.verification_rate.is_some()
            || self.verification_tolerance.is_some()
            || self.verification_samples.is_some()
            || self.verification_max_repo_size_gb.is_some()
            || self.verification_cache_dir.is_some();
        line(
            verification || self.verification_enabled == Some(true),
            "verification_*",
            "this version does not compare deployments with repositories",
        );
        lines
    }
}
