//! The REST face of the backend: what validators, dashboards and executors outside talk to.
//!
//! Nearly every route is made by `kinitro-transcode` from the annotations of scheduling and scoring; this crate adds what
//! belongs to the edge: who may call, how the whole is doing, what may be cached, and the measure of it all. It owns no
//! data and reaches the services by gRPC only, so it starts, and answers, before they do.
//!
//! Hidden contracts:
//!
//! - `POST /v1/tasks/fetch` and `/v1/tasks/submit` need the API key. The guard hangs on the route's template: were the
//!   annotation renamed, the gateway would refuse to start rather than leave the route open.
//! - `GET /health` is 503 while Postgres, Redis or a service is away. A chain that is away is reported and does not count:
//!   weights and scores are still served, and restarting anything would not bring it back.
//! - A request is under way until its answer is sent. What a client may hold by not reading is bounded, in all and for its address.
//! - `GET /metrics` answers with what is there, whoever is away.

mod access;
mod config;
mod error;
mod fresh;
mod health;
mod observe;
mod scrape;
mod slots;
mod start;
mod upstream;

pub use config::Config;
pub use error::Error;
pub use start::start;
