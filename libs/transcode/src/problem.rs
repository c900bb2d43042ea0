//! `application/problem+json` (RFC 9457), the one form of every error.

use std::borrow::Cow;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::json::Fault;

/// An error as a client sees it.
///
/// As a response it travels without a body: [`complete_exchange`](crate::complete_exchange) writes the body once the
/// id of the request is known, so whoever finds an error need not know it.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    reason: Cow<'static, str>,
    detail: Cow<'static, str>,
    field: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with its reason in the spelling of `google.rpc.ErrorInfo` (`WEIGHTS_NOT_FOUND`).
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into(), detail: detail.into(), field: None, headers: Vec::new() }
    }

    /// An error of ours, of which nothing is shown. Log the cause under the request's id.
    pub fn internal() -> Self {
        let detail = "the request could not be completed; the cause is in the server's log under this request_id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail)
    }

    /// Names the field at fault.
    #[must_use]
    pub fn with_field(mut self, field: Option<String>) -> Self {
        self.field = field;
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason, e.g. `WEIGHTS_NOT_FOUND`.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The body.
    pub(crate) fn to_json(&self, request_id: &str) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            r#type: String,
            title: String,
            status: u16,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            request_id: &'a str,
        }
        let body = Body {
            r#type: format!("urn:kinitro:problem:{}", self.reason.to_ascii_lowercase().replace('_', "-")),
            title: title_of(&self.reason),
            status: self.status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
            request_id,
        };
        serde_json::to_vec(&body).expect("texts and a number always serialise")
    }
}

/// `WEIGHTS_NOT_FOUND` for people: `Weights not found`.
fn title_of(reason: &str) -> String {
    let lower = reason.to_ascii_lowercase().replace('_', " ");
    let mut letters = lower.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::new(StatusCode::BAD_REQUEST, fault.reason.as_str(), fault.detail).with_field(fault.field)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}
