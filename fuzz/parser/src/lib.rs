//! The parser and the writer of `libs/chain`, from its own files and without its chain client, whose three hundred dependencies need
//! no instrumentation.

#[path = "../../../libs/chain/src/commitment.rs"]
mod commitment;
#[path = "../../../libs/chain/src/commitment_error.rs"]
mod commitment_error;
#[path = "../../../libs/chain/src/endpoint.rs"]
mod endpoint;
#[path = "../../../libs/chain/src/identity.rs"]
mod identity;
#[path = "../../../libs/chain/src/published_key.rs"]
mod published_key;
#[path = "../../../libs/chain/src/write.rs"]
mod write;

pub use commitment::{
    COMMITMENT_LIMIT, Commitment, Opened, Opening, WrittenCommitment, WrittenEndpoint, parse_commitment,
};
pub use commitment_error::CommitmentError;
pub use endpoint::{Endpoint, EndpointError, EndpointUrl};
pub use identity::EndpointIdentity;
pub use published_key::{PublishedKey, PublishedKeyError};
pub use write::{CommitmentData, Spelling, write_bound_commitment, write_commitment, write_sealed_commitment};
