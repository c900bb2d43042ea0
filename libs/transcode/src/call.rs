//! The gRPC call: a request message out, the bytes of the answer back.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, uri::PathAndQuery};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataValue,
};

use crate::{RequestId, upstream::Upstream};

/// The largest answer that is taken from a service.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Headers of the client that a service gets to see. `authorization` is not among them: it is this gateway's business.
const FORWARDED: [&str; 2] = ["traceparent", "tracestate"];

/// Encodes a dynamic message; hands the answer's bytes on as they are.
struct RawAnswer;

impl Codec for RawAnswer {
    type Encode = DynamicMessage;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawAnswer {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(out).map_err(|error| Status::internal(format!("the request cannot be encoded: {error}")))
    }
}

impl Decoder for RawAnswer {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, answer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(answer.copy_to_bytes(answer.remaining())))
    }
}

/// Calls one RPC. The deadline goes with the call and is kept here too.
pub(crate) async fn unary(
    channel: Upstream,
    path: PathAndQuery,
    message: DynamicMessage,
    headers: &HeaderMap,
    request_id: &RequestId,
    timeout: Duration,
) -> Result<Bytes, Status> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    let metadata = request.metadata_mut();
    for name in FORWARDED {
        if let Some(value) = headers.get(name).and_then(|value| MetadataValue::try_from(value.as_bytes()).ok()) {
            metadata.insert(name, value);
        }
    }
    if let Ok(value) = MetadataValue::try_from(request_id.as_str()) {
        metadata.insert("x-request-id", value);
    }
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    let call = async {
        client.ready().await?;
        client.unary(request, path, RawAnswer).await
    };
    let begin = Instant::now();
    match tokio::time::timeout(timeout, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        // The channel keeps the same deadline and may be the first to notice, under other names.
        Ok(Err(status)) if begin.elapsed() < timeout => Err(status),
        Ok(Err(_)) | Err(_) => Err(Status::deadline_exceeded("no answer in time")),
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
pub(crate) fn asked_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}
