//! The gateway over real connections, in front of small gRPC servers that stand for the services.
#![allow(clippy::unwrap_used)]

mod auth;
mod config;
mod health;
mod keep_alive;
mod metrics;
mod routes;
mod slow_readers;
mod support;
