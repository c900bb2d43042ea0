//! One connection: its requests, and when it is closed from our side.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{Request, Response, Version};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    net::TcpStream,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    limits::ServerLimits,
    seats::{Activity, Seat},
    sent::{Answers, SentBody},
    unread::Unread,
    watched::{Blocked, Watched},
};

/// A client that was told to go may still send the request that was on its way; then the connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    pub server: Builder<TokioExecutor>,
    pub limits: Arc<ServerLimits>,
    pub peer: SocketAddr,
    pub seat: Seat,
    pub closing: CancellationToken,
}

/// What a look at a connection finds.
enum Finding {
    Well,
    /// Nothing is under way and has not been for long: it may go, politely.
    Idle,
    /// To be closed at once.
    Bad(&'static str),
}

impl Connection {
    pub async fn serve(self, stream: TcpStream, router: Router) {
        let Self { server, limits, peer, seat, closing } = self;
        // Small answers must not wait for more; a connection without the option works, only slower.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "could not set TCP_NODELAY");
        }
        let (blocked, answers) = (Blocked::default(), Arc::new(Answers::default()));
        let service = {
            let (activity, answers) = (seat.activity.clone(), answers.clone());
            service_fn(move |request| answer(router.clone(), activity.clone(), answers.clone(), peer, request))
        };
        let stream = TokioIo::new(Watched::new(stream, blocked.clone()));
        let mut served = pin!(server.serve_connection_with_upgrades(stream, service));
        let mut looks = interval(limits.tick());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told: Option<Instant> = None;
        let mut leaving: Option<Instant> = None;
        let ended = loop {
            let polite = tokio::select! {
                ended = served.as_mut() => break ended,
                () = closing.cancelled(), if told.is_none() => true,
                () = seat.leave.cancelled(), if leaving.is_none() => {
                    leaving = Some(Instant::now());
                    told.is_none()
                }
                _ = looks.tick() => match look(&limits, &seat.activity, &blocked, &answers) {
                    Finding::Bad(reason) => {
                        metrics::counter!("kinitro_connections_closed_total", "reason" => reason).increment(1);
                        tracing::info!(%peer, reason, "a connection is closed");
                        return;
                    }
                    _ if leaving.is_some_and(|since| since.elapsed() >= FAREWELL) && seat.activity.idle().is_some() => {
                        return;
                    }
                    Finding::Idle if leaving.is_none() => {
                        metrics::counter!("kinitro_connections_closed_total", "reason" => "idle").increment(1);
                        leaving = Some(Instant::now());
                        told.is_none()
                    }
                    Finding::Idle | Finding::Well => false,
                },
            };
            if polite {
                told = Some(Instant::now());
                served.as_mut().graceful_shutdown();
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection ended badly");
        }
    }
}

fn look(limits: &ServerLimits, activity: &Activity, blocked: &Blocked, answers: &Answers) -> Finding {
    let too_long = |waiting: Option<Duration>| waiting.is_some_and(|waiting| waiting >= limits.stall);
    if !activity.asked() && activity.age() >= limits.head {
        Finding::Bad("no_request")
    } else if too_long(blocked.for_how_long()) || too_long(answers.stalled()) {
        Finding::Bad("stalled")
    } else if activity.asked() && limits.idle.is_some_and(|limit| activity.idle().is_some_and(|idle| idle >= limit)) {
        Finding::Idle
    } else {
        Finding::Well
    }
}

async fn answer(
    router: Router,
    activity: Arc<Activity>,
    answers: Arc<Answers>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<SentBody>, Infallible> {
    let flight = activity.begin();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(ConnectInfo(peer));
    let response = if parts.version < Version::HTTP_2 {
        let unread = Unread::default();
        let asked = parts.headers.clone();
        let request = Request::from_parts(parts, Body::new(unread.track(body)));
        let mut response = router.oneshot(request).await?;
        unread.settle(&asked, &mut response).await;
        response
    } else {
        router.oneshot(Request::from_parts(parts, Body::new(body))).await?
    };
    Ok(SentBody::wrap(response, &answers, flight))
}
