//! Services that answer just enough, a gateway in front of them, and a client that shows the bytes.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use axum::{Router, extract::Request};
use kinitro_chassis::{ErrorCode, MeshAccess, Supervisor, status};
use kinitro_gateway::{Config, Error, start};
use kinitro_proto::{
    scheduling::v1::{
        CompleteTasksRequest, CompleteTasksResponse, EvaluationMetrics, GetEvaluationMetricsRequest,
        GetTaskStatsRequest, LeaseTasksRequest, LeaseTasksResponse, ListWarningsRequest, ListWarningsResponse, Task,
        TaskStats,
    },
    scoring::v1::{GetScoresRequest, GetWeightsRequest, ScoreDetail, Scores, Weights},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tonic::{Response, Status, body::Body, transport::server::TcpIncoming};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_prost::ProstCodec;

/// The cycle with scores for 300 miners: some 40 kB of JSON.
pub const LARGE: u64 = 1_000_000;
pub const KEY: &str = "correct-horse-battery-staple";

/// A gRPC server with health and, for scheduling and scoring, a few answers. It is reached through a relay that can be
/// cut, so that its port stays its own while it is away.
pub struct Service {
    pub address: SocketAddr,
    reporter: HealthReporter,
    cut: watch::Sender<bool>,
}

impl Service {
    /// Starts at a free port, every name serving. One that depends on `idle` is a scheduling that warns of it, one that depends on
    /// `refuses` refuses every call but those for its health.
    pub async fn start(dependencies: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let (reporter, health) = tonic_health::server::health_reporter();
        for name in dependencies {
            reporter.set_service_status(name, ServingStatus::Serving).await;
        }
        let (warns, refuses) = (dependencies.contains(&"idle"), dependencies.contains(&"refuses"));
        let answers = Router::new().fallback(move |request: Request| async move {
            match refuses {
                true => status(ErrorCode::Unauthenticated, "MESH_TOKEN_WRONG", "not the token").into_http(),
                false => answer(request, warns).await,
            }
        });
        let routes = tonic::service::Routes::from(answers).add_service(health);
        tokio::spawn(
            tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(TcpIncoming::from(listener)),
        );
        let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = relay.local_addr().unwrap();
        let (cut, watched) = watch::channel(false);
        tokio::spawn(pass_on(relay, server, watched));
        Self { address, reporter, cut }
    }

    /// Away: connections are closed, and new ones as soon as they are made. Or back again.
    pub fn cut(&self, away: bool) {
        self.cut.send(away).unwrap();
    }

    /// Sets a dependency, and the whole with it, as the chassis does.
    pub async fn set(&self, dependency: &'static str, well: bool) {
        let status = if well { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(dependency, status).await;
        self.reporter.set_service_status("", status).await;
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn pass_on(relay: TcpListener, server: SocketAddr, cut: watch::Receiver<bool>) {
    loop {
        let (mut outside, _) = relay.accept().await.unwrap();
        let mut cut = cut.clone();
        tokio::spawn(async move {
            let mut inside = TcpStream::connect(server).await.unwrap();
            tokio::select! {
                // Either side may hang up; that is no matter of the test.
                _ = tokio::io::copy_bidirectional(&mut outside, &mut inside) => {}
                _ = cut.wait_for(|away| *away) => {}
            }
        });
    }
}

async fn answer(request: Request, warns: bool) -> http::Response<Body> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    if method == "ListWarnings" && !warns {
        // As scheduling of before answers.
        return Status::unimplemented("not in this version").into_http();
    }
    let request = request.map(Body::new);
    macro_rules! answers {
        ($($name:literal => $function:path as $request:ty => $response:ty),+ $(,)?) => {
            match method.as_str() {
                $($name => {
                    let codec = ProstCodec::<$response, $request>::default();
                    let call = tower::service_fn(|request: tonic::Request<$request>| async move {
                        $function(request.into_inner()).map(Response::new)
                    });
                    tonic::server::Grpc::new(codec).unary(call, request).await
                })+
                _ => Status::unimplemented("not in this test").into_http(),
            }
        };
    }
    answers! {
        "LeaseTasks" => lease as LeaseTasksRequest => LeaseTasksResponse,
        "CompleteTasks" => complete as CompleteTasksRequest => CompleteTasksResponse,
        "ListWarnings" => warnings as ListWarningsRequest => ListWarningsResponse,
        "GetTaskStats" => stats as GetTaskStatsRequest => TaskStats,
        "GetEvaluationMetrics" => figures as GetEvaluationMetricsRequest => EvaluationMetrics,
        "GetWeights" => weights as GetWeightsRequest => Weights,
        "GetScores" => scores as GetScoresRequest => Scores,
    }
}

fn lease(request: LeaseTasksRequest) -> Result<LeaseTasksResponse, Status> {
    if request.batch_size == Some(0) {
        return Err(status(ErrorCode::InvalidArgument, "INVALID_BATCH_SIZE", "batch_size must be 1 to 100"));
    }
    let task = Task {
        task_uuid: "t-1".to_owned(),
        cycle_id: u64::MAX,
        miner_endpoint: "http://10.0.0.1/".to_owned(),
        created_at: Some(prost_types::Timestamp { seconds: 1_767_323_045, nanos: 6_000_000 }),
        ..Task::default()
    };
    let lease_seconds = request.lease_seconds.unwrap_or_default();
    Ok(LeaseTasksResponse { tasks: vec![task], total_pending: 7, lease_seconds })
}

pub const WARNING: &str = "execution: no executor leased anything for 61 s while 18 tasks wait";

fn warnings(_: ListWarningsRequest) -> Result<ListWarningsResponse, Status> {
    Ok(ListWarningsResponse { warnings: vec![WARNING.to_owned()] })
}

fn complete(request: CompleteTasksRequest) -> Result<CompleteTasksResponse, Status> {
    Ok(CompleteTasksResponse { accepted: request.results.len().try_into().unwrap(), ..Default::default() })
}

fn stats(_: GetTaskStatsRequest) -> Result<TaskStats, Status> {
    Ok(TaskStats { total_tasks: 3, ..TaskStats::default() })
}

fn figures(_: GetEvaluationMetricsRequest) -> Result<EvaluationMetrics, Status> {
    Ok(EvaluationMetrics {
        eval_cycles_total: 4,
        duration_bounds: vec![60.0, 300.5],
        duration_counts: vec![1, 3],
        duration_sum: 900.25,
        eval_cycles_unscored_total: 2,
        miners_active: 5,
    })
}

fn weights(request: GetWeightsRequest) -> Result<Weights, Status> {
    match request.block {
        Some(7) => Err(status(ErrorCode::NotFound, "WEIGHTS_NOT_FOUND", "no weights at block 7")),
        block => Ok(Weights {
            block: block.unwrap_or(9),
            block_number: block.unwrap_or(9),
            weights: BTreeMap::from([(10, 0.25), (2, 0.75)]),
            ..Weights::default()
        }),
    }
}

fn scores(request: GetScoresRequest) -> Result<Scores, Status> {
    let detail = |uid, env_id: &str, success_rate| ScoreDetail {
        uid,
        env_id: env_id.to_owned(),
        success_rate,
        ..ScoreDetail::default()
    };
    let details = match request.cycle_id {
        Some(LARGE) => (0..300).map(|uid| detail(uid, "metaworld/push-v3", 0.5)).collect(),
        _ => vec![detail(3, "metaworld/push-v3", 0.5), detail(4, "odd\"\\\n", 1.0)],
    };
    Ok(Scores { details, ..Scores::default() })
}

/// The three services and a gateway in front of them.
pub struct House {
    pub ingestion: Service,
    pub scheduling: Service,
    pub scoring: Service,
    pub gateway: SocketAddr,
    pub supervisor: Supervisor,
}

impl House {
    pub async fn build() -> Self {
        Self::build_with(|_| ()).await
    }

    pub async fn build_with(adjust: impl FnOnce(&mut Config)) -> Self {
        let ingestion = Service::start(&["postgres", "chain"]).await;
        let scheduling = Service::start(&["postgres", "redis"]).await;
        let scoring = Service::start(&["postgres"]).await;
        let mut config = Config {
            api_key: Some(KEY.to_owned()),
            ingestion_url: ingestion.url(),
            scheduling_url: scheduling.url(),
            scoring_url: scoring.url(),
            ..Config::default()
        };
        adjust(&mut config);
        let supervisor = Supervisor::new();
        let gateway = begin(config, "127.0.0.1:0", &supervisor).await.unwrap();
        Self { ingestion, scheduling, scoring, gateway, supervisor }
    }

    pub async fn get(&self, path: &str) -> Answer {
        ask(self.gateway, "GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers: Vec<_> = headers.iter().copied().chain([("content-type", "application/json")]).collect();
        ask(self.gateway, "POST", path, &headers, body).await
    }

    /// Asks for the health until it has this status. Time is no part of the test: it waits for the change, and a change
    /// that never comes is a failure.
    pub async fn health_becomes(&self, status: u16) -> Answer {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.get("/health").await;
            if answer.status == status {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "health stays {}: {}", answer.status, answer.body);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Starts a gateway at an address of this machine.
pub async fn begin(config: Config, address: &str, supervisor: &Supervisor) -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    start(config, &MeshAccess::default(), listener, supervisor).await.map(|()| address)
}

/// An answer, as it came over the connection.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// One request over a connection of its own.
pub async fn ask(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
