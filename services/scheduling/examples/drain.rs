//! Measures creating and draining 20,000 tasks, in process and over gRPC.
#![allow(clippy::unwrap_used, missing_docs)]
use std::time::{Duration, Instant};

use kinitro_domain::*;
use kinitro_proto::scheduling::v1::{scheduling_service_client::SchedulingServiceClient, *};
use kinitro_queue::{EventBus, WorkQueue};
use kinitro_scheduling::tasks::{NewTask, TaskSettings, Tasks, fair_order};
use sqlx::PgPool;

const ENVS: [&str; 3] = ["metaworld/reach-v3", "metaworld/push-v3", "metaworld/drawer-close-v3"];

async fn create(pool: &PgPool, tasks: &Tasks) -> (i64, f64, f64, f64) {
    sqlx::query("UPDATE scheduling.cycles SET state = 'cancelled'").execute(pool).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    let id: i64 = sqlx::query_scalar("INSERT INTO scheduling.cycles (block_number, state, secret, episodes_per_env, env_ids, tasks_total, deadline) VALUES (7, 'running', decode(repeat('07', 32), 'hex'), 1, '{}', 20000, now() + interval '1 hour') RETURNING id").fetch_one(&mut *tx).await.unwrap();
    for uid in 0..20 {
        sqlx::query("INSERT INTO scheduling.cycle_miners (cycle_id, uid, hotkey, endpoint, repo, revision, first_commit_block) VALUES ($1, $2, '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY', 'https://d3b07384-d9a0-4c9b-8f5e-0123456789ab.deployments.basilica.ai', 'user/repo', 'abcdef01', 1)").bind(id).bind(uid).execute(&mut *tx).await.unwrap();
    }
    let t0 = Instant::now();
    let mut new = Vec::new();
    'all: for episode in 0.. {
        for env in ENVS {
            for uid in 0..20 {
                if new.len() == 20_000 { break 'all; }
                new.push(NewTask { id: TaskId::new(), uid: MinerUid(uid), env_id: env.parse().unwrap(), episode, seed: EpisodeSeed(episode) });
            }
        }
    }
    fair_order(&mut new);
    let t1 = Instant::now();
    let (staged, inserted) = tokio::join!(tasks.stage(&new), Tasks::insert(&mut tx, CycleId(id as u64), &new));
    inserted.unwrap();
    tx.commit().await.unwrap();
    let t2 = Instant::now();
    assert_eq!(tasks.publish(&staged.unwrap()).await.unwrap(), 20_000);
    (id, (t1 - t0).as_secs_f64(), (t2 - t1).as_secs_f64(), t2.elapsed().as_secs_f64())
}

#[derive(Clone)]
enum Face { Direct(Tasks), Grpc(Vec<SchedulingServiceClient<tonic::transport::Channel>>) }

async fn drain(face: &Face, batch: u32) -> (f64, Vec<f64>, Vec<f64>) {
    let t = Instant::now();
    let clients: Vec<_> = (0..4).map(|i| { let face = face.clone(); tokio::spawn(async move {
        let (mut l, mut c, mut n) = (vec![], vec![], 0);
        loop {
            let t = Instant::now();
            let req = LeaseTasksRequest { executor_id: format!("executor-{i}"), batch_size: Some(batch), ..Default::default() };
            let got = match &face { Face::Direct(t) => t.lease(req).await.unwrap(), Face::Grpc(c) => c[i].clone().lease_tasks(req).await.unwrap().into_inner() };
            l.push(t.elapsed().as_secs_f64() * 1e3);
            if got.tasks.is_empty() { return (n, l, c); }
            let results: Vec<_> = got.tasks.iter().map(|t| TaskResult { task_uuid: t.task_uuid.clone(), attempt: t.attempt, success: true, score: 1.0, total_reward: 12.5, timesteps: 88, verdict: "success".into(), cause: "environment".into(), trajectory_hash: "0f".repeat(32), duration_seconds: 1.5, policy_seconds: 0.7, ..Default::default() }).collect();
            let t = Instant::now();
            let req = CompleteTasksRequest { executor_id: format!("executor-{i}"), results };
            let done = match &face { Face::Direct(t) => t.complete(req).await.unwrap(), Face::Grpc(c) => c[i].clone().complete_tasks(req).await.unwrap().into_inner() };
            c.push(t.elapsed().as_secs_f64() * 1e3);
            n += done.accepted;
        }
    }) }).collect();
    let (mut n, mut l, mut c) = (0, vec![], vec![]);
    for client in clients { let (a, b, d) = client.await.unwrap(); n += a; l.extend(b); c.extend(d); }
    let s = t.elapsed().as_secs_f64();
    assert_eq!(n, 20_000);
    l.sort_by(f64::total_cmp); c.sort_by(f64::total_cmp);
    (20_000.0 / s, l, c)
}

#[tokio::main]
async fn main() {
    let dir = tempfile_dir();
    let pg = kinitro_stores::Postgres::start(&dir.join("pg"), None).await.unwrap();
    let redis = kinitro_stores::Redis::start(&dir.join("redis"), None).await.unwrap();
    kinitro_scheduling::migrate(&pg.url()).await.unwrap();
    for ping in [true, false] {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(16).test_before_acquire(ping).connect(&pg.url()).await.unwrap();
        let prefix = "kinitro";
        let queue = WorkQueue::connect(&redis.url(), prefix).await.unwrap();
        let events = EventBus::connect(&redis.url(), prefix).await.unwrap();
        let tasks = Tasks::new(pool.clone(), queue.clone(), events, TaskSettings { lease: Duration::from_secs(600), max_attempts: 3 });
        let supervisor = kinitro_chassis::Supervisor::new();
        let grpc = if ping {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let config = kinitro_scheduling::Config { database_url: pg.url(), redis_url: redis.url(), queue_prefix: prefix.into(), on_demand: true, ..Default::default() };
            kinitro_scheduling::start(config, listener, &supervisor).await.unwrap();
            let mut clients = vec![];
            for _ in 0..4 { clients.push(SchedulingServiceClient::connect(format!("http://{address}")).await.unwrap()); }
            Some(Face::Grpc(clients))
        } else { None };
        for round in 0..3 {
            for (name, face) in [("direct", Some(Face::Direct(tasks.clone()))), ("grpc", grpc.clone())] {
                let Some(face) = face else { continue };
                for batch in [100, 10] {
                    let (_, make, insert, enqueue) = create(&pool, &tasks).await;
                    let (rate, l, c) = drain(&face, batch).await;
                    let p = |v: &[f64], q: f64| v[((v.len() - 1) as f64 * q) as usize];
                    println!("ping {ping} round {round} {name} batch {batch}: {rate:.0}/s lease p50 {:.2} p99 {:.2} complete p50 {:.2} p99 {:.2} ms; create {:.3} = make {make:.3} insert {insert:.3} enqueue {enqueue:.3}", p(&l, 0.5), p(&l, 0.99), p(&c, 0.5), p(&c, 0.99), make + insert + enqueue);
                }
            }
        }
        if !ping {
            let hot: (i64, i64) = sqlx::query_as("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'tasks'").fetch_one(&pool).await.unwrap();
            println!("updates {} hot {}", hot.0, hot.1);
        }
    }
    pg.stop().await.unwrap();
    redis.stop().await.unwrap();
    std::process::exit(0);
}

fn tempfile_dir() -> std::path::PathBuf {
    let dir = std::path::PathBuf::from(format!("/tmp/drain-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}
