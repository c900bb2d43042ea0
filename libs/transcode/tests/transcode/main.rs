//! The transcoder against a service of its own that has every kind of field.
#![allow(clippy::unwrap_used)]

mod json_in;
mod json_out;
mod properties;
mod routes;
mod startup;
mod support;
