//! The gRPC face: the last snapshot, once or as it changes.

use std::pin::Pin;

use futures::{Stream, StreamExt as _, stream};
use kinitro_chassis::{ErrorCode, status};
use kinitro_proto::ingestion::v1::{
    ListMinersRequest, ListMinersResponse, WatchMinersRequest, WatchMinersResponse,
    ingestion_service_server::IngestionService,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{follow::View, snapshot::Snapshot};

/// Answers from what the follower saw last.
pub struct Service {
    pub view: watch::Receiver<View>,
    pub draining: CancellationToken,
}

fn unread(view: &View) -> Status {
    let message = match &view.fault {
        Some(fault) => format!("no block of the chain was read yet: {fault}"),
        None => "no block of the chain was read yet; check that the chain is reached, and ask again".to_owned(),
    };
    status(ErrorCode::Unavailable, "CHAIN_UNREAD", message)
}

#[tonic::async_trait]
impl IngestionService for Service {
    async fn list_miners(&self, _: Request<ListMinersRequest>) -> Result<Response<ListMinersResponse>, Status> {
        let view = self.view.borrow().clone();
        let snapshot = view.snapshot.as_ref().ok_or_else(|| unread(&view))?;
        Ok(Response::new(snapshot.to_proto(view.is_stale())))
    }

    type WatchMinersStream = Pin<Box<dyn Stream<Item = Result<WatchMinersResponse, Status>> + Send>>;

    async fn watch_miners(&self, _: Request<WatchMinersRequest>) -> Result<Response<Self::WatchMinersStream>, Status> {
        let watching = Watching { view: self.view.clone(), draining: self.draining.clone(), shown: None };
        let view = watching.view.borrow().clone();
        if view.snapshot.is_none() {
            return Err(unread(&view));
        }
        Ok(Response::new(stream::unfold(Some(watching), Watching::step).boxed()))
    }
}

struct Watching {
    view: watch::Receiver<View>,
    draining: CancellationToken,
    shown: Option<View>,
}

impl Watching {
    /// Whether what was shown last differs in anything but the block and the time.
    fn shows_otherwise(&self, snapshot: &Snapshot, stale: bool) -> bool {
        let shown = self.shown.as_ref().filter(|shown| shown.is_stale() == stale);
        shown.and_then(|shown| shown.snapshot.as_ref()).is_none_or(|shown| snapshot.differs_from(shown))
    }

    /// The next snapshot with other miners than the last one shown; after the end of the service, nothing more.
    async fn step(this: Option<Self>) -> Option<(Result<WatchMinersResponse, Status>, Option<Self>)> {
        let mut this = this?;
        loop {
            let view = this.view.borrow_and_update().clone();
            if let Some(snapshot) = view.snapshot.as_ref().filter(|new| this.shows_otherwise(new, view.is_stale())) {
                let response = WatchMinersResponse { snapshot: Some(snapshot.to_proto(view.is_stale())) };
                this.shown = Some(view);
                return Some((Ok(response), Some(this)));
            }
            let changed = tokio::select! {
                () = this.draining.cancelled() => false,
                changed = this.view.changed() => changed.is_ok(),
            };
            if !changed {
                return Some((Err(status(ErrorCode::Unavailable, "DRAINING", "ingestion stops; ask again")), None));
            }
        }
    }
}
