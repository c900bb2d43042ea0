//! The validator between a scripted backend and a development chain. What counts is what is on the chain, and how often it was set.
#![allow(clippy::unwrap_used)]

mod backend;
mod faults;
mod hidden;
mod hostile;
mod restarts;
mod setting;
mod support;
