//! The test schema, and a real gRPC server that echoes it.

use std::{path::Path, sync::LazyLock};

use axum::{Router, body::Body, extract::Request};
use bytes::{Buf, BufMut, Bytes};
use http::Response;
use kinitro_transcode::{Schema, TranscodeError, Transcoder};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use tokio::net::TcpListener;
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint, server::TcpIncoming},
};
use tower::ServiceExt as _;

pub const SERVICE: &str = "exercise.v1.Exercise";

/// The compiled descriptor set.
pub static DESCRIPTORS: LazyLock<Vec<u8>> = LazyLock::new(|| compile("exercise.proto", include_str!("exercise.proto")));
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS.as_slice()).unwrap());
pub static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::new(POOL.all_messages()).unwrap());

pub fn everything() -> MessageDescriptor {
    POOL.get_message_by_name("exercise.v1.Everything").unwrap()
}

pub fn read(json: &str) -> Result<DynamicMessage, kinitro_transcode::json::Fault> {
    kinitro_transcode::json::read_message(&SCHEMA, &everything(), json.as_bytes())
}

pub fn write(message: &DynamicMessage) -> String {
    let mut out = Vec::new();
    kinitro_transcode::json::write_message(&SCHEMA, message, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Compiles a file of the given text, with the annotations of the repository.
pub fn compile(name: &str, text: &str) -> Vec<u8> {
    struct OneFile(String, String);
    impl protox::file::FileResolver for OneFile {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            if name == self.0 {
                protox::file::File::from_source(name, &self.1)
            } else {
                Err(protox::Error::file_not_found(name))
            }
        }
    }
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(OneFile(name.to_owned(), text.to_owned()));
    resolver.add(protox::file::IncludeFileResolver::new(proto));
    resolver.add(protox::file::GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(name).unwrap();
    compiler.encode_file_descriptor_set()
}

/// The start of a router for a text with one service `t.T`; nothing is called.
pub fn start(text: &str) -> Result<Router, TranscodeError> {
    let text = format!("syntax = \"proto3\"; package t; import \"google/api/annotations.proto\"; {text}");
    Transcoder::new(&compile("t.proto", &text))?.service("t.T", nowhere()).into_router()
}

/// A channel to a port where nobody listens.
pub fn nowhere() -> Channel {
    Endpoint::from_static("http://127.0.0.1:1").connect_lazy()
}

/// A channel to a new server that echoes requests; `Fail` answers what the request's `filter` asks for.
pub async fn serve() -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = tonic::service::Routes::from(Router::new().fallback(answer));
    tokio::spawn(async move {
        tonic::transport::Server::builder()
            .add_routes(routes)
            .serve_with_incoming(TcpIncoming::from(listener))
            .await
            .unwrap();
    });
    Endpoint::from_shared(url).unwrap().connect_lazy()
}

async fn answer(request: Request) -> Response<tonic::body::Body> {
    let fails = request.uri().path().ends_with("/Fail");
    tonic::server::Grpc::new(Raw).unary(Echo { fails }, request.map(tonic::body::Body::new)).await
}

struct Echo {
    fails: bool,
}

impl tower::Service<tonic::Request<Bytes>> for Echo {
    type Response = tonic::Response<Bytes>;
    type Error = Status;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Status>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let answer = if self.fails { failure(&request) } else { Ok(tonic::Response::new(request.into_inner())) };
        Box::pin(async move {
            if answer.as_ref().is_err_and(|status| status.message() == "hang") {
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}

/// What `Fail` answers to each `filter`.
fn failure(request: &tonic::Request<Bytes>) -> Result<tonic::Response<Bytes>, Status> {
    let look = POOL.get_message_by_name("exercise.v1.LookRequest").unwrap();
    let asked = DynamicMessage::decode(look, request.get_ref().clone()).unwrap();
    let filter = asked.get_field_by_name("filter").unwrap().as_str().unwrap().to_owned();
    match filter.as_str() {
        "reason" => Err(with_reason(Code::NotFound, "WEIGHTS_NOT_FOUND", "no weights at block 7")),
        "field" => Err(with_field(Code::InvalidArgument, "OUT_OF_RANGE", "must be at most 100", "batch_size")),
        "internal" => Err(with_reason(Code::Internal, "SECRET_REASON", "password is hunter2")),
        "plain" => Err(Status::already_exists("it is there")),
        "unavailable" => Err(with_reason(Code::Unavailable, "DATABASE_UNAVAILABLE", "the database is away")),
        "refused" => Err(with_reason(Code::Unauthenticated, "MESH_TOKEN_WRONG", "not the token of this mesh")),
        "hang" => Err(Status::unknown("hang")),
        "panic" => Err(Status::unknown("stack trace with paths")),
        "metadata" => {
            let seen: Vec<_> = ["traceparent", "x-request-id", "authorization", "grpc-timeout"]
                .into_iter()
                .filter(|name| request.metadata().contains_key(*name))
                .collect();
            Err(Status::already_exists(seen.join(",")))
        }
        // A double that JSON does not have: field 13 of Everything.
        "nan" => {
            let mut answer = vec![(13 << 3) | 1];
            answer.extend(f64::NAN.to_le_bytes());
            Ok(tonic::Response::new(answer.into()))
        }
        "garbage" => Ok(tonic::Response::new(Bytes::from_static(&[0xff, 0xff, 0xff]))),
        _ => Ok(tonic::Response::new(Bytes::new())),
    }
}

fn with_reason(code: Code, reason: &str, message: &str) -> Status {
    Status::with_details(code, message, details(reason, None))
}

fn with_field(code: Code, reason: &str, message: &str, field: &str) -> Status {
    Status::with_details(code, message, details(reason, Some(field)))
}

/// google.rpc.Status with an ErrorInfo, put together by hand so that the test does not trust the code under test.
fn details(reason: &str, field: Option<&str>) -> Bytes {
    fn text(tag: u8, value: &[u8]) -> Vec<u8> {
        let mut out = vec![(tag << 3) | 2, u8::try_from(value.len()).unwrap()];
        out.extend(value);
        out
    }
    let mut info = text(1, reason.as_bytes());
    if let Some(field) = field {
        info.extend(text(3, &[text(1, b"field"), text(2, field.as_bytes())].concat()));
    }
    let any = [text(1, b"type.googleapis.com/google.rpc.ErrorInfo"), text(2, &info)].concat();
    text(3, &any).into()
}

struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// What came back, read to the end.
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub async fn send(router: &Router, request: http::Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

pub async fn get(router: &Router, path: &str) -> Answer {
    send(router, http::Request::get(path).body(Body::empty()).unwrap()).await
}

pub async fn post(router: &Router, path: &str, json: &str) -> Answer {
    let request = http::Request::post(path).header("content-type", "application/json");
    send(router, request.body(Body::from(json.to_owned())).unwrap()).await
}
