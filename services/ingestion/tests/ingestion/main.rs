//! Ingestion over its gRPC face, in front of a real development chain and a real Postgres.
#![allow(clippy::unwrap_used)]

mod changes;
mod commitments;
mod duplicates;
mod keys;
mod outages;
mod replicas;
mod skipped;
mod subnet;
mod support;
