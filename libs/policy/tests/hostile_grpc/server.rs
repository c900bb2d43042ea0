//! A gRPC server that does what it is told to, down to the frame.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use kinitro_proto::policy::v1::{
    Action, ActionChunk, EpisodeEvent, EpisodeReady, PolicyReply, Values, episode_event::Event, policy_reply,
};
use prost::Message as _;
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// What is done instead of an ordinary answer.
#[derive(Clone)]
pub enum Reply {
    /// These messages, framed.
    Messages(Vec<Vec<u8>>),
    /// These bytes, as they are.
    Raw(Vec<u8>),
    /// These bytes first, then this chunk again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// The message, but only after a while.
    Late(Duration, Vec<u8>),
    /// Nothing, ever.
    Silence,
    /// The end of the stream with these trailers.
    Trailers(Vec<(&'static str, String)>),
    /// The head of the answer with these lines, and nothing after it.
    Head(u16, Vec<(&'static str, String)>),
    Reset(Reason),
    /// The stream is not taken: no head, nothing processed.
    Refuse,
    /// The connection is ended, by the book or not.
    GoAway(Reason),
    Close,
}

/// What ends a connection.
enum End {
    GoAway(Reason),
    Close,
}

pub struct Server {
    pub address: SocketAddr,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub connections: Arc<AtomicUsize>,
    /// Streams that the client ended as it should.
    pub ended: Arc<AtomicUsize>,
    /// Bytes that the client made room for.
    pub written: Arc<AtomicUsize>,
    /// Connections that are open.
    pub open: Arc<AtomicUsize>,
    stop: CancellationToken,
}

type Answering = Arc<dyn Fn(&Event) -> Reply + Send + Sync>;

#[derive(Clone)]
struct Shared {
    reply: Answering,
    events: Arc<Mutex<Vec<Event>>>,
    ended: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start(reply: impl Fn(&Event) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(0, reply).await
    }

    pub async fn start_at(port: u16, reply: impl Fn(&Event) -> Reply + Send + Sync + 'static) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], port).into()).unwrap();
        let listener = socket.listen(64).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            events: Arc::default(),
            connections: Arc::default(),
            ended: Arc::default(),
            written: Arc::default(),
            open: Arc::default(),
            stop: CancellationToken::new(),
        };
        let shared = Shared {
            reply: Arc::new(reply),
            events: server.events.clone(),
            ended: server.ended.clone(),
            written: server.written.clone(),
        };
        let (connections, open, stop) = (server.connections.clone(), server.open.clone(), server.stop.clone());
        tokio::spawn(async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                connections.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (shared, open, stop) = (shared.clone(), open.clone(), stop.clone());
                tokio::spawn(async move {
                    stop.run_until_cancelled(connection(stream, shared)).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    /// Closes every connection and listens no more.
    pub async fn stop(&self) {
        self.stop.cancel();
        while self.open.load(Ordering::SeqCst) > 0 || TcpStream::connect(self.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }
}

pub fn ready() -> Vec<u8> {
    PolicyReply { reply: Some(policy_reply::Reply::Ready(EpisodeReady {})) }.encode_to_vec()
}

pub fn action(twist: Vec<f64>, gripper: Vec<f64>) -> Action {
    let entry = |name: &str, values| (name.to_owned(), Values { values });
    Action { continuous: [entry("ee_twist", twist), entry("gripper", gripper)].into() }
}

pub fn chunk(step: u32, actions: Vec<Action>) -> Vec<u8> {
    PolicyReply { reply: Some(policy_reply::Reply::Actions(ActionChunk { step, actions })) }.encode_to_vec()
}

/// A policy as it should be, which answers so many steps at once.
pub fn chunks_of(count: usize) -> impl Fn(&Event) -> Reply {
    move |event| {
        Reply::Messages(vec![match event {
            Event::Start(_) => ready(),
            Event::Observation(seen) => chunk(seen.step, vec![action(vec![0.0; 6], vec![1.0]); count]),
        }])
    }
}

/// A policy as it should be.
pub fn good(event: &Event) -> Reply {
    chunks_of(1)(event)
}

pub fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

async fn connection(stream: TcpStream, shared: Shared) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    #[expect(clippy::disallowed_methods, reason = "one message a stream of a test")]
    let (end, mut ends) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    tokio::spawn(episode(request, respond, shared.clone(), end.clone()));
                }
                _ => return,
            },
            ended = ends.recv() => match ended {
                Some(End::GoAway(reason)) => connection.abrupt_shutdown(reason),
                _ => return,
            }
        }
    }
}

async fn episode(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: Shared,
    end: mpsc::UnboundedSender<End>,
) -> Option<()> {
    let (head, mut body) = request.into_parts();
    if head.uri.path() != "/kinitro.policy.v1.PolicyService/Play" || head.method != "POST" {
        let answer = Response::builder().header("content-type", "application/grpc").header("grpc-status", "12");
        respond.send_response(answer.body(()).unwrap(), true).ok()?;
        return None;
    }
    assert_eq!(head.headers["content-type"], "application/grpc");
    let mut buffer = BytesMut::new();
    let mut outgoing: Option<SendStream<Bytes>> = None;
    loop {
        let Some(event) = next_event(&mut body, &mut buffer).await? else {
            shared.ended.fetch_add(1, Ordering::SeqCst);
            return trailers(outgoing.as_mut()?, &[("grpc-status", "0".to_owned())]);
        };
        let reply = (shared.reply)(&event);
        shared.events.lock().unwrap().push(event);
        if let Reply::Head(status, lines) = &reply {
            let mut answer = Response::builder().status(*status);
            for (name, value) in lines {
                answer = answer.header(*name, value);
            }
            let trailers_only = lines.iter().any(|(name, _)| *name == "grpc-status");
            outgoing = Some(respond.send_response(answer.body(()).unwrap(), trailers_only).ok()?);
            if trailers_only {
                return None;
            }
            std::future::pending::<()>().await;
        }
        if let Reply::Refuse = reply {
            respond.send_reset(Reason::REFUSED_STREAM);
            return None;
        }
        let outgoing = match &mut outgoing {
            Some(outgoing) => outgoing,
            None => {
                let answer = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                outgoing.insert(respond.send_response(answer, false).ok()?)
            }
        };
        match reply {
            Reply::Messages(messages) => {
                for message in messages {
                    outgoing.send_data(framed(&message).into(), false).ok()?;
                }
            }
            Reply::Raw(bytes) => outgoing.send_data(bytes.into(), false).ok()?,
            Reply::Endless(first, chunk) => {
                outgoing.send_data(first.into(), false).ok()?;
                loop {
                    write(outgoing, chunk.clone().into(), &shared.written).await?;
                }
            }
            Reply::Late(wait, message) => {
                tokio::time::sleep(wait).await;
                outgoing.send_data(framed(&message).into(), false).ok()?;
            }
            Reply::Silence => std::future::pending().await,
            Reply::Trailers(lines) => return trailers(outgoing, &lines),
            Reply::Reset(reason) => {
                outgoing.send_reset(reason);
                return None;
            }
            Reply::GoAway(reason) => end.send(End::GoAway(reason)).ok()?,
            Reply::Close => end.send(End::Close).ok()?,
            Reply::Head(..) | Reply::Refuse => unreachable!("done above"),
        }
    }
}

fn trailers(outgoing: &mut SendStream<Bytes>, lines: &[(&'static str, String)]) -> Option<()> {
    let lines: HeaderMap =
        lines.iter().map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect();
    outgoing.send_trailers(lines).ok()
}

fn write<'a>(
    outgoing: &'a mut SendStream<Bytes>,
    mut data: Bytes,
    written: &'a AtomicUsize,
) -> BoxFuture<'a, Option<()>> {
    Box::pin(async move {
        while !data.is_empty() {
            outgoing.reserve_capacity(data.len());
            let room = std::future::poll_fn(|context| outgoing.poll_capacity(context)).await?.ok()?;
            let part = data.split_to(room.min(data.len()));
            written.fetch_add(part.len(), Ordering::SeqCst);
            outgoing.send_data(part, false).ok()?;
        }
        Some(())
    })
}

/// The next event; none at the end of the stream; nothing at all when the stream broke.
async fn next_event(body: &mut RecvStream, buffer: &mut BytesMut) -> Option<Option<Event>> {
    loop {
        if buffer.len() >= 5 {
            let length = u32::from_be_bytes(buffer[1..5].try_into().unwrap()) as usize;
            if buffer.len() >= 5 + length {
                let message = buffer.split_to(5 + length);
                return Some(EpisodeEvent::decode(&message[5..]).unwrap().event);
            }
        }
        match body.data().await {
            None => return Some(None),
            Some(data) => {
                let data = data.ok()?;
                body.flow_control().release_capacity(data.len()).ok()?;
                buffer.extend_from_slice(&data);
            }
        }
    }
}
