//! What an error of HTTP/2 or a status of gRPC says about a policy. Nothing here repeats the endpoint's address.

use std::time::Duration;

use h2::Reason;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use kinitro_domain::Cause;
use percent_encoding::percent_decode;

use crate::{Fault, metered::told, tls::discreet_text};

/// How the codes are written, in their order from 0.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What a failure of the connection or the stream was, on a policy that had been reached.
pub(super) fn broken(error: &h2::Error) -> Fault {
    if let Some(fault) = error.get_io().and_then(told) {
        return fault;
    }
    match error.reason() {
        // What h2 found out about the other side.
        Some(Reason::ENHANCE_YOUR_CALM) if error.is_library() => {
            Fault::new(Cause::ResponseTooLarge, "more header lines or small frames than are read")
        }
        Some(reason) if error.is_library() => {
            let what = format!("the policy did not keep to HTTP/2, or sent too many header lines: {reason}");
            Fault::new(Cause::InvalidResponse, what)
        }
        Some(reason) => Fault::new(Cause::ConnectionClosed, format!("the policy broke off: {reason}")),
        None => Fault::new(
            Cause::ConnectionClosed,
            match error.get_io() {
                Some(error) => format!("the connection broke: {}", discreet_text(error)),
                None => format!("the connection broke: {error}"),
            },
        ),
    }
}

/// Whether a stream ended so that HTTP/2 vouches for it that the other side processed nothing of it: it was refused, or its number is beyond
/// the last one that the other side took before it went away (RFC 9113, section 8.7). h2 ends only such streams by a GOAWAY.
pub(super) fn nothing_processed(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

/// Checks the head of the answer to a stream. Some heads are the end already.
pub(super) fn check_head(status: StatusCode, headers: &HeaderMap) -> Result<(), Fault> {
    if status.is_redirection() {
        return Err(Fault::new(Cause::Redirect, format!("the stream was answered {status}; no redirect is followed")));
    }
    if status != StatusCode::OK {
        let fault = Fault::new(Cause::HttpStatus, format!("the stream was answered {status}"));
        return Err(match status.as_u16() {
            502..=504 => fault.of_one_not_ready(Duration::ZERO),
            _ => fault,
        });
    }
    let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default().to_ascii_lowercase();
    let kind = value(CONTENT_TYPE.as_str());
    if !kind.starts_with(b"application/grpc") || kind.starts_with(b"application/grpc-web") {
        let what = "the stream was answered with another content type than application/grpc";
        return Err(Fault::quoting(Cause::InvalidResponse, what, &kind));
    }
    let encoding = value("grpc-encoding");
    if !matches!(encoding.as_slice(), b"" | b"identity") {
        let what = "the stream was answered with another encoding than identity";
        return Err(Fault::quoting(Cause::InvalidResponse, what, &encoding));
    }
    if headers.contains_key("grpc-status") { Err(ended(headers)) } else { Ok(()) }
}

/// Whether a stream ended well, by its trailers.
pub(super) fn is_ok(trailers: &HeaderMap) -> bool {
    trailers.get("grpc-status").is_some_and(|status| status == "0")
}

/// What it means that a policy ended the stream while it was asked.
pub(super) fn ended(trailers: &HeaderMap) -> Fault {
    let Some(status) = trailers.get("grpc-status") else {
        return Fault::new(Cause::ConnectionClosed, "the policy ended the stream without a status");
    };
    if status == "0" {
        return Fault::new(Cause::ConnectionClosed, "the policy ended the stream before the episode was over");
    }
    let code = status.to_str().ok().and_then(|code| code.parse::<usize>().ok()).and_then(|code| CODES.get(code));
    let message = trailers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
    let message: Vec<u8> = percent_decode(message).collect();
    let pushback = trailers.get("grpc-retry-pushback-ms").and_then(|value| value.to_str().ok()?.parse().ok());
    let not_ready = |fault: Fault| match status.as_bytes() {
        b"14" => fault.of_one_not_ready(Duration::from_millis(pushback.map(u32::into).unwrap_or_default())),
        _ => fault,
    };
    let what = format!("the stream ended with the status {}", code.unwrap_or(&"UNKNOWN (no code of gRPC)"));
    if message.is_empty() {
        return not_ready(Fault::new(Cause::HttpStatus, what));
    }
    not_ready(Fault::quoting(Cause::HttpStatus, what, &message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|&(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_status_is_told_by_name_with_its_message() {
        let fault = ended(&headers(&[("grpc-status", "14"), ("grpc-message", "no%20GPU%0A")]));
        assert_eq!(fault.cause(), Cause::HttpStatus);
        assert!(fault.evidence().contains("UNAVAILABLE") && fault.evidence().contains("no GPU\\n"), "{fault}");
        assert_eq!(fault.not_ready(), Some(Duration::ZERO));
        let pushed = ended(&headers(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "1500")]));
        assert_eq!(pushed.not_ready(), Some(Duration::from_millis(1500)));
        assert_eq!(ended(&headers(&[("grpc-status", "13")])).not_ready(), None);
        for code in ["17", "-1", "x", "99999999999999999999"] {
            let fault = ended(&headers(&[("grpc-status", code)]));
            assert_eq!(fault.cause(), Cause::HttpStatus, "{fault}");
        }
        assert_eq!(ended(&headers(&[])).cause(), Cause::ConnectionClosed);
        assert_eq!(ended(&headers(&[("grpc-status", "0")])).cause(), Cause::ConnectionClosed);
    }

    #[test]
    fn only_a_plain_grpc_answer_is_read_on() {
        let check = |status: u16, lines: &[(&'static str, &'static str)]| {
            let status = StatusCode::from_u16(status).expect("a status");
            check_head(status, &headers(lines)).map_err(|fault| fault.cause())
        };
        let grpc = ("content-type", "application/grpc");
        assert_eq!(check(200, &[grpc]), Ok(()));
        assert_eq!(check(200, &[("content-type", "Application/gRPC+proto"), ("grpc-encoding", "identity")]), Ok(()));
        assert_eq!(check(200, &[grpc, ("grpc-encoding", "gzip")]), Err(Cause::InvalidResponse));
        assert_eq!(check(200, &[("content-type", "text/html")]), Err(Cause::InvalidResponse));
        assert_eq!(check(200, &[]), Err(Cause::InvalidResponse));
        assert_eq!(check(200, &[grpc, ("grpc-status", "12")]), Err(Cause::HttpStatus));
        assert_eq!(check(404, &[grpc]), Err(Cause::HttpStatus));
        assert_eq!(check(308, &[("location", "http://127.0.0.1/")]), Err(Cause::Redirect));
    }
}
