//! REST transcoding: axum routes from the `google.api.http` annotations of a descriptor set.
//!
//! A [`Transcoder`] is given the descriptor set and one gRPC channel for each service. It reads the annotations, checks
//! them, and makes a router that turns a request into the RPC's request message, calls the service, and prints the
//! answer as JSON. No route is written by hand, so the `.proto` files stay the only description of the REST face.
//!
//! Contracts that callers rely on:
//!
//! - **What cannot work fails at the start**, with the name of the RPC: an unknown field in a template, two RPCs behind
//!   one route, a streaming RPC, a service without annotations.
//! - **JSON in** is strict: unknown fields, duplicate keys, numbers that do not fit and nesting deeper than 32 levels are
//!   refused with the place; nothing is rounded to an integer or cut off. `null` means unset. A number may be text, as the JSON
//!   mapping of protobuf has it; NaN and the infinities are refused.
//! - **Query parameters** of a GET that the route does not have are ignored, and named in `x-ignored-parameters`.
//! - **JSON out** is deterministic: fields in the order of their declaration, under their proto names; map keys sorted
//!   (numbers by value, text by bytes); a field without presence is always there; an unset field with presence is
//!   `null`; 64-bit integers are numbers; doubles read back to the same bits.
//! - **Errors** are `application/problem+json` (RFC 9457) with a stable `type`, and the id of the request. An internal
//!   error shows nothing of its cause; the log has the chain under the same request id.
//! - **GET** answers carry a strong `ETag` over the body and `Cache-Control`; `If-None-Match` is honoured.
//!
//! `authorization` is never forwarded to a service; `traceparent`, `tracestate` and `x-request-id` are.

mod binding;
mod body;
mod cache;
mod call;
mod error;
mod exchange;
mod ignored;
pub mod json;
mod problem;
mod route;
mod rule;
mod schema;
mod status;
mod template;
mod transcoder;
mod upstream;

pub use error::TranscodeError;
pub use exchange::{RequestId, complete_exchange};
pub use problem::Problem;
pub use schema::Schema;
pub use transcoder::{RouteInfo, Transcoder};
