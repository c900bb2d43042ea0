//! An executor of the older kind: it knows nothing but `/v1/tasks/fetch` and `/v1/tasks/submit`, and reports only what it always did.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    house::House,
    wire::{Answer, shown},
};

/// What every miner does in every environment: one letter an episode, `1` success, `0` failure, `e` an error of the executor.
pub type Script = &'static [(u16, &'static str, &'static str)];

/// What the routes answered to the executor and to others while it worked.
pub struct Moments {
    pub status_before: String,
    pub stats_before: String,
    pub fetched_first: String,
    pub stats_leased: String,
    pub submitted_first: String,
    pub fetched_last: String,
    /// Where it was to reach each miner.
    pub endpoints: BTreeMap<u64, String>,
}

/// Plays the running cycle to its end.
pub async fn play(house: &House, script: Script) -> Moments {
    let status_before = house.get("/v1/status").await.shown();
    let stats_before = house.get("/v1/tasks/stats").await.shown();
    let first = fetch(house, 2).await;
    let stats_leased = house.get("/v1/tasks/stats").await.shown();
    let mut episodes = Episodes::default();
    let submitted_first = submit(house, &episodes.results(&first, script)).await.shown();
    let fetched_last = loop {
        let fetched = fetch(house, 100).await;
        if fetched.json()["tasks"].as_array().unwrap().is_empty() {
            break fetched.shown();
        }
        submit(house, &episodes.results(&fetched, script)).await;
    };
    let fetched_first = first.shown();
    Moments {
        status_before,
        stats_before,
        fetched_first,
        stats_leased,
        submitted_first,
        fetched_last,
        endpoints: episodes.endpoints,
    }
}

async fn fetch(house: &House, batch_size: u32) -> Answer {
    let request = json!({"executor_id": "executor-1", "batch_size": batch_size, "env_ids": null});
    house.post("/v1/tasks/fetch", &request.to_string()).await
}

async fn submit(house: &House, results: &[Value]) -> Answer {
    let answer =
        house.post("/v1/tasks/submit", &json!({"executor_id": "executor-1", "results": results}).to_string()).await;
    assert!(answer.body.contains(r#""rejected":0,"errors":[]"#), "{}", shown(&answer.body));
    answer
}

/// Which task is which episode.
#[derive(Default)]
struct Episodes {
    of_task: BTreeMap<String, usize>,
    begun: BTreeMap<(u64, String), usize>,
    seeds: BTreeMap<(String, usize), u64>,
    endpoints: BTreeMap<u64, String>,
}

impl Episodes {
    /// The tasks of an answer, played.
    fn results(&mut self, fetched: &Answer, script: Script) -> Vec<Value> {
        let fetched = fetched.json();
        fetched["tasks"].as_array().unwrap().iter().map(|task| self.result(task, script)).collect()
    }

    fn result(&mut self, task: &Value, script: Script) -> Value {
        let (uid, env_id) = (task["miner_uid"].as_u64().unwrap(), task["env_id"].as_str().unwrap().to_owned());
        let uuid = task["task_uuid"].as_str().unwrap();
        self.endpoints.insert(uid, task["miner_endpoint"].as_str().unwrap().to_owned());
        let begun = self.begun.entry((uid, env_id.clone())).or_default();
        let episode = *self.of_task.entry(uuid.to_owned()).or_insert_with(|| {
            *begun += 1;
            *begun - 1
        });
        let seed = task["seed"].as_u64().unwrap();
        // What is played again is another scene: nothing may be seen twice.
        if task["attempt"] == 1 {
            let first = *self.seeds.entry((env_id.clone(), episode)).or_insert(seed);
            assert_eq!(first, seed, "the same scenes for all miners");
        }

        let (.., letters) = script.iter().find(|(of, env, _)| u64::from(*of) == uid && *env == env_id).unwrap();
        // Halves and quarters, so that means are exact.
        let reward = f64::from(u32::try_from(uid).unwrap()) + 0.25 * f64::from(u32::try_from(episode).unwrap());
        match letters.as_bytes()[episode] {
            b'1' => json!({"task_uuid": uuid, "success": true, "score": 1.0, "total_reward": reward, "timesteps": 50}),
            b'0' => {
                // This is how the older executor writes what it has no value for.
                json!({"task_uuid": uuid, "success": false, "score": 0.0, "total_reward": reward, "timesteps": 500,
                       "error": null, "verification_passed": null, "verification_score": null})
            }
            _ => json!({"task_uuid": uuid, "success": false, "score": 0.0, "total_reward": 0.0, "timesteps": 0,
                        "error": "docker is away"}),
        }
    }
}
