//! Every route of the REST contract, byte for byte: one full answer, one empty one, one error each.
//!
//! The mesh is the real one (Postgres, Redis, a development chain whose blocks the test makes, ingestion, scheduling, scoring,
//! gateway), all in this process. There is no executor: the test plays it over REST, so every rate, reward and weight is exact.
//! What cannot be exact (times, durations, ids, seeds) is checked for its form and then replaced, by the name of its field; all
//! else is compared as text, so the order of fields and of uids counts.
#![allow(clippy::unwrap_used)]

mod empty;
mod executor;
mod house;
mod metrics;
mod outages;
mod polling;
mod refusals;
mod results;
mod scored;
mod wire;
