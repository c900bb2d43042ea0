//! gRPC status to problem, and what a client may see of it.

use std::{collections::HashMap, error::Error as _};

use http::StatusCode;
use prost::Message as _;
use tonic::{Code, Status};

use crate::Problem;

/// `google.rpc.Status`, as the trailer `grpc-status-details-bin` carries it.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`.
#[derive(Clone, PartialEq, prost::Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
}

/// The problem that a failed call is, and its log line.
///
/// Only a status that a service put together is shown in its own words. One that the transport made, or an internal
/// one, tells addresses and internals: the client gets general words, the log gets the chain.
pub(crate) fn problem_of(status: &Status, rpc: &str, request_id: &str) -> Problem {
    let (info, field) = details_of(status);
    let transport = status.source().is_some();
    let code = match status.code() {
        // The client's credentials stay here: it is this gateway's own that the service refuses.
        Code::Unauthenticated => Code::Unavailable,
        // A connection that breaks shows as Unknown or Cancelled.
        _ if transport && status.code() != Code::DeadlineExceeded => Code::Unavailable,
        // Made by this client when an answer is too large, and by nobody else.
        Code::OutOfRange if info.is_none() => Code::Internal,
        code => code,
    };
    let (http, name) = http_of(code);
    if http.is_server_error() {
        let mut chain = Vec::new();
        let mut cause = status.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        tracing::error!(rpc, request_id, code = ?status.code(), message = status.message(), ?chain, "a service call failed");
    }
    if status.code() == Code::Unauthenticated {
        return Problem::new(
            http,
            name,
            "the service behind this route refuses this gateway; its operator finds the remedy in the gateway's log",
        );
    }
    let reason = info.filter(|reason| !transport && is_reason(reason));
    match code {
        Code::Internal | Code::Unknown | Code::DataLoss | Code::Ok => Problem::internal(),
        Code::Unavailable if reason.is_none() => {
            Problem::new(http, name, "the service behind this route cannot be reached; try again")
        }
        Code::DeadlineExceeded if reason.is_none() => {
            Problem::new(http, name, "the service behind this route did not answer in time; try again")
        }
        Code::Cancelled if reason.is_none() => Problem::new(http, name, "the request was cancelled"),
        Code::Unimplemented if reason.is_none() => {
            Problem::new(http, name, "the service behind this route does not offer it")
        }
        _ => {
            let reason = reason.unwrap_or_else(|| name.to_owned());
            Problem::new(http, reason, status.message().to_owned()).with_field(field)
        }
    }
}

fn details_of(status: &Status) -> (Option<String>, Option<String>) {
    let Ok(details) = RpcStatus::decode(status.details()) else { return (None, None) };
    let (mut reason, mut field) = (None, None);
    for detail in details.details {
        if detail.type_url.ends_with("/google.rpc.ErrorInfo") {
            if let Ok(mut info) = ErrorInfo::decode(detail.value.as_slice()) {
                field = field.or_else(|| info.metadata.remove("field"));
                reason = Some(info.reason);
            }
        } else if detail.type_url.ends_with("/google.rpc.BadRequest")
            && let Ok(bad) = BadRequest::decode(detail.value.as_slice())
        {
            field = field.or_else(|| bad.violations.into_iter().next().map(|violation| violation.field));
        }
    }
    (reason, field)
}

fn is_reason(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn http_of(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
        Code::FailedPrecondition => (StatusCode::CONFLICT, "FAILED_PRECONDITION"),
        Code::OutOfRange => (StatusCode::BAD_REQUEST, "OUT_OF_RANGE"),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Code::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
        Code::Aborted => (StatusCode::CONFLICT, "ABORTED"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
        Code::Cancelled => (StatusCode::SERVICE_UNAVAILABLE, "CANCELLED"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
        Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "UNIMPLEMENTED"),
        Code::Ok | Code::Internal | Code::Unknown | Code::DataLoss => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
    }
}
