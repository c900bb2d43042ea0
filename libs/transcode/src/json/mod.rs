//! JSON to message and back, straight over [`prost_reflect::DynamicMessage`], without a tree in between.

mod fault;
mod float;
mod integer;
mod read;
mod read_value;
mod scalar;
mod time;
mod write;

pub use fault::{Fault, Reason};
pub use read::{MAX_DEPTH, read_field, read_message};
pub(crate) use scalar::single_from_text;
pub use write::{WriteError, write_field, write_message};
