//! Results that scheduling has not taken, kept in a folder: they outlive this process, and the next one hands them in.
//!
//! A result is written when its first delivery fails, and removed when scheduling has taken it, so nothing is written while all is well. Faults
//! of ours are not kept: without their lease they change nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kinitro_domain::Verdict;
use kinitro_proto::scheduling::v1::{CompleteTasksRequest, TaskResult};
use prost::Message as _;

/// More files than this are not read at once.
const MOST_FILES: usize = 10_000;
/// No result is longer.
const MOST_BYTES: u64 = 64 << 10;
const SUFFIX: &str = "result";

/// The folder; nothing is kept without one.
#[derive(Clone, Default)]
pub(crate) struct Spool {
    folder: Option<PathBuf>,
}

impl Spool {
    /// Makes the folder when it is not there.
    pub(crate) fn open(folder: Option<&str>) -> io::Result<Self> {
        let folder = folder.filter(|folder| !folder.is_empty()).map(PathBuf::from);
        if let Some(folder) = &folder {
            fs::create_dir_all(folder)?;
        }
        Ok(Self { folder })
    }

    /// What an earlier process left, each under the name of its executor.
    pub(crate) fn left(&self) -> io::Result<Vec<(String, TaskResult)>> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let mut left = Vec::new();
        for entry in fs::read_dir(folder)?.take(MOST_FILES) {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != SUFFIX) {
                continue;
            }
            match read(&path) {
                Ok(results) => left.extend(results),
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "a result that was kept cannot be read; remove the file");
                }
            }
        }
        Ok(left)
    }

    /// Keeps results that were not taken.
    pub(crate) async fn keep(&self, executor_id: &str, results: &[TaskResult]) {
        let kept = results.iter().filter(|result| result.verdict != Verdict::InfrastructureFault.as_str()).cloned();
        let (executor_id, kept) = (executor_id.to_owned(), kept.collect::<Vec<_>>());
        self.each(kept, move |path, result| {
            let (executor_id, results) = (executor_id.clone(), vec![result]);
            let request = CompleteTasksRequest { executor_id, results, trajectory_hashes: true };
            let unfinished = path.with_extension("new");
            fs::write(&unfinished, request.encode_to_vec())?;
            fs::rename(&unfinished, path)
        })
        .await;
    }

    /// Forgets results that were taken, or will never be.
    pub(crate) async fn forget(&self, results: &[TaskResult]) {
        self.each(results.to_vec(), |path, _| match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        })
        .await;
    }

    /// Does something with the file of each result, away from the threads that must not wait.
    async fn each(
        &self,
        results: Vec<TaskResult>,
        change: impl Fn(&Path, TaskResult) -> io::Result<()> + Send + 'static,
    ) {
        let Some(folder) = self.folder.clone() else { return };
        let done = tokio::task::spawn_blocking(move || {
            results.into_iter().try_for_each(|result| {
                // The name is scheduling's: a UUID and a number.
                let name = format!("{}-{}.{SUFFIX}", result.task_uuid, result.attempt);
                if name.contains(['/', '\\']) {
                    return Err(io::Error::other(format!("the task is called `{}`", result.task_uuid.escape_debug())));
                }
                change(&folder.join(name), result)
            })
        });
        match done.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "results cannot be kept in results_dir; they last as long as this process")
            }
            Err(error) => tracing::error!(%error, "results could not be kept"),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<(String, TaskResult)>> {
    if fs::metadata(path)?.len() > MOST_BYTES {
        return Err(io::Error::other("it is longer than any result"));
    }
    let CompleteTasksRequest { executor_id, results, .. } =
        CompleteTasksRequest::decode(&*fs::read(path)?).map_err(io::Error::other)?;
    Ok(results.into_iter().map(|result| (executor_id.clone(), result)).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn result(task_uuid: &str, verdict: &str) -> TaskResult {
        TaskResult { task_uuid: task_uuid.to_owned(), attempt: 2, verdict: verdict.to_owned(), ..TaskResult::default() }
    }

    #[tokio::test]
    async fn what_is_kept_is_left_for_the_next_process_until_it_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("results");
        let spool = Spool::open(at.to_str()).unwrap();
        let results = [result("a", "success"), result("b", "infrastructure_fault"), result("c", "policy_fault")];
        spool.keep("mine", &results).await;
        spool.keep("mine", &results).await;
        fs::write(at.join("d-1.result"), b"\xff\xff").unwrap();
        let next = Spool::open(at.to_str()).unwrap();
        let mut left = next.left().unwrap();
        left.sort_by(|(_, a), (_, b)| a.task_uuid.cmp(&b.task_uuid));
        let mine = |result: &TaskResult| ("mine".to_owned(), result.clone());
        assert_eq!(left, [mine(&results[0]), mine(&results[2])], "a fault of ours needs its lease");
        next.forget(&results[..2]).await;
        assert_eq!(next.left().unwrap(), [mine(&results[2])]);
        next.keep("mine", &[result("../e", "success")]).await;
        assert!(!folder.path().join("e-2.result").exists());
    }

    #[tokio::test]
    async fn without_a_folder_nothing_is_kept() {
        let spool = Spool::open(None).unwrap();
        spool.keep("mine", &[result("a", "success")]).await;
        assert_eq!(spool.left().unwrap(), []);
    }
}
