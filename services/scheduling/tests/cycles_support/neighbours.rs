//! Ingestion and scoring as servers inside the test: they speak the real protocol, answer what the test says, and remember what
//! they were asked.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::Stream;
use kinitro_proto::{
    ingestion::v1::{
        ListMinersRequest, ListMinersResponse, Miner, WatchMinersRequest, WatchMinersResponse,
        ingestion_service_server::{IngestionService, IngestionServiceServer},
    },
    scoring::v1::{
        AnnounceCycleRequest, AnnounceCycleResponse, GetScoresRequest, GetWeightsRequest, ScoreCycleRequest,
        ScoreCycleResponse, Scores, Weights,
        scoring_service_server::{ScoringService, ScoringServiceServer},
    },
};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// Well-formed addresses; nobody signs with them here.
pub const HOTKEYS: [&str; 4] = [
    "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
    "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty",
    "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y",
    "5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy",
];

pub fn miner(uid: u32) -> Miner {
    Miner {
        uid,
        hotkey: HOTKEYS[uid as usize].to_owned(),
        status: "active".to_owned(),
        repo: format!("user/policy-{uid}"),
        revision: "abcdef12".to_owned(),
        endpoint: format!("http://policy-{uid}.example"),
        first_commit_block: 100 + u64::from(uid),
        ..Miner::default()
    }
}

/// What both answer; the test changes it while they run.
#[derive(Default)]
pub struct Script {
    pub miners: Mutex<Vec<Miner>>,
    /// Ingestion only remembers the miners from an earlier run.
    pub stale: AtomicBool,
    /// Scoring answers with this instead of scoring.
    pub refusal: Mutex<Option<Status>>,
    /// Scoring has scored the cycles it was asked for, whatever it answered.
    pub scored_all: AtomicBool,
    /// While it is true, scoring holds its answers back.
    pub hold: watch::Sender<bool>,
    /// Why scoring keeps the weights of before.
    pub kept: Mutex<Option<String>>,
    /// Every cycle that scoring heard of.
    pub announced: Mutex<Vec<AnnounceCycleRequest>>,
    /// Every request that scoring got, the refused ones too.
    pub scored: Mutex<Vec<ScoreCycleRequest>>,
}

impl Script {
    pub fn scored(&self) -> Vec<ScoreCycleRequest> {
        self.scored.lock().unwrap().clone()
    }

    /// Waits until scoring was asked; with `hold`, it is being asked then.
    pub async fn asked_to_score(&self) {
        while self.scored.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn refuse(&self, refusal: Option<Status>) {
        *self.refusal.lock().unwrap() = refusal;
    }
}

struct Ingestion(Arc<Script>);

#[tonic::async_trait]
impl IngestionService for Ingestion {
    async fn list_miners(&self, _: Request<ListMinersRequest>) -> Result<Response<ListMinersResponse>, Status> {
        let miners = self.0.miners.lock().unwrap().clone();
        let stale = self.0.stale.load(Ordering::SeqCst);
        let list = ListMinersResponse { block_number: 4711, netuid: 1, miners, stale, ..ListMinersResponse::default() };
        Ok(Response::new(list))
    }

    type WatchMinersStream = Pin<Box<dyn Stream<Item = Result<WatchMinersResponse, Status>> + Send>>;

    async fn watch_miners(&self, _: Request<WatchMinersRequest>) -> Result<Response<Self::WatchMinersStream>, Status> {
        Err(Status::unimplemented("scheduling does not watch"))
    }
}

struct Scoring(Arc<Script>);

#[tonic::async_trait]
impl ScoringService for Scoring {
    async fn announce_cycle(
        &self,
        request: Request<AnnounceCycleRequest>,
    ) -> Result<Response<AnnounceCycleResponse>, Status> {
        self.0.announced.lock().unwrap().push(request.into_inner());
        Ok(Response::new(AnnounceCycleResponse {}))
    }

    async fn score_cycle(&self, request: Request<ScoreCycleRequest>) -> Result<Response<ScoreCycleResponse>, Status> {
        self.0.scored.lock().unwrap().push(request.into_inner());
        self.0.hold.subscribe().wait_for(|held| !held).await.unwrap();
        match self.0.refusal.lock().unwrap().clone() {
            Some(refusal) => Err(refusal),
            None => {
                let scores = Scores { weights_kept: self.0.kept.lock().unwrap().clone(), ..Scores::default() };
                Ok(Response::new(ScoreCycleResponse { scores: Some(scores), weights: None }))
            }
        }
    }

    async fn get_weights(&self, _: Request<GetWeightsRequest>) -> Result<Response<Weights>, Status> {
        Err(Status::unimplemented("scheduling does not ask"))
    }

    async fn get_scores(&self, request: Request<GetScoresRequest>) -> Result<Response<Scores>, Status> {
        let cycle_id = request.into_inner().cycle_id.ok_or_else(|| Status::invalid_argument("of which cycle?"))?;
        match self.0.scored_all.load(Ordering::SeqCst) {
            true => Ok(Response::new(Scores { cycle_id, ..Scores::default() })),
            false => Err(Status::not_found("it was not scored")),
        }
    }
}

/// A server that can go away and come back at the same address.
pub struct Neighbour {
    pub address: SocketAddr,
    script: Arc<Script>,
    scoring: bool,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Neighbour {
    pub async fn ingestion(script: &Arc<Script>) -> Self {
        Self::new(script, false).await
    }

    pub async fn scoring(script: &Arc<Script>) -> Self {
        Self::new(script, true).await
    }

    async fn new(script: &Arc<Script>, scoring: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut neighbour = Self { address, script: script.clone(), scoring, running: None };
        neighbour.serve(listener);
        neighbour
    }

    fn serve(&mut self, listener: TcpListener) {
        let incoming = TcpListenerStream::new(listener);
        let mut server = Server::builder();
        let router = if self.scoring {
            server.add_service(ScoringServiceServer::new(Scoring(self.script.clone())))
        } else {
            server.add_service(IngestionServiceServer::new(Ingestion(self.script.clone())))
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = router.serve_with_incoming_shutdown(incoming, async move { stopped.await.unwrap_or(()) });
        self.running = Some((stop, tokio::spawn(async move { serving.await.unwrap() })));
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn go_away(&mut self) {
        if let Some((stop, running)) = self.running.take() {
            stop.send(()).unwrap();
            running.await.unwrap();
        }
    }

    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }
}
