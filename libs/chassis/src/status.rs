//! Errors on the wire: a gRPC status that carries `google.rpc.ErrorInfo`.
//!
//! The details travel as a `google.rpc.Status` in `grpc-status-details-bin`, which every gRPC implementation reads. The
//! messages are written out here: three fields each, in a file of their own upstream that nothing else needs.

use std::collections::HashMap;

use prost::Message;
use tonic::Status;

use crate::ErrorCode;

const DOMAIN: &str = "kinitro";
const ERROR_INFO_URL: &str = "type.googleapis.com/google.rpc.ErrorInfo";
/// A message travels in a header, whose size peers limit.
const MAX_MESSAGE_CHARS: usize = 2000;

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.ErrorInfo`: the machine-readable cause of an error.
#[derive(Clone, PartialEq, Message)]
pub struct ErrorInfo {
    /// A constant in UPPER_SNAKE_CASE that clients may rely on.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// Who gave the reason its meaning; ours is "kinitro".
    #[prost(string, tag = "2")]
    pub domain: String,
    /// Values that belong to the reason, for example which field was wrong.
    #[prost(map = "string, string", tag = "3")]
    pub metadata: HashMap<String, String>,
}

impl ErrorInfo {
    /// Reads the cause back from a status, `None` when it carries none that can be read.
    pub fn from_status(status: &Status) -> Option<Self> {
        let details = RpcStatus::decode(status.details()).ok()?;
        let info = details.details.iter().find(|any| any.type_url == ERROR_INFO_URL)?;
        Self::decode(info.value.as_slice()).ok()
    }
}

/// A status with a code, a stable reason in UPPER_SNAKE_CASE and a message for people.
pub fn status(code: ErrorCode, reason: &'static str, message: impl Into<String>) -> Status {
    status_with(code, reason, message, [])
}

/// [`status`] with values that belong to the reason.
pub fn status_with(
    code: ErrorCode,
    reason: &'static str,
    message: impl Into<String>,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Status {
    let mut message = message.into();
    if let Some((cut, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
        message.truncate(cut);
        message.push('…');
    }
    let info = ErrorInfo {
        reason: reason.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    };
    let any = prost_types::Any { type_url: ERROR_INFO_URL.to_owned(), value: info.encode_to_vec() };
    let details = RpcStatus { code: code.grpc().into(), message: message.clone(), details: vec![any] };
    Status::with_details(code.grpc(), message, details.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_survives_the_way_through_headers() {
        let sent =
            status_with(ErrorCode::NotFound, "CYCLE_NOT_FOUND", "there is no cycle 7", [("cycle", "7".to_owned())]);
        let (parts, ()) = sent.into_http::<()>().into_parts();
        let received = Status::from_header_map(&parts.headers).expect("a status");
        let info = ErrorInfo::from_status(&received).expect("an error info");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("CYCLE_NOT_FOUND", "kinitro"));
        assert_eq!(info.metadata["cycle"], "7");
        assert_eq!(ErrorCode::from_grpc(received.code()), Some(ErrorCode::NotFound));
    }

    #[test]
    fn a_status_without_readable_details_has_no_reason() {
        assert_eq!(ErrorInfo::from_status(&Status::internal("boom")), None);
        let damaged = Status::with_details(tonic::Code::Internal, "boom", vec![0xff; 40].into());
        assert_eq!(ErrorInfo::from_status(&damaged), None);
    }

    #[test]
    fn a_message_fits_into_a_header() {
        let long = status(ErrorCode::Internal, "X", "ü".repeat(100_000));
        assert!(long.message().chars().count() <= MAX_MESSAGE_CHARS + 1);
    }
}
