/// Why something could not be sealed, opened or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimelockError {
    /// The beacon's public key is unusable.
    #[error(
        "the beacon's public key must be a compressed BLS12-381 G2 point of 96 bytes in the prime-order group; copy it from the chain"
    )]
    PublicKey,
    /// The beacon's period is unusable.
    #[error("the beacon's period must be at least 1 second")]
    Period,
    /// Rounds count from 1.
    #[error("beacon rounds count from 1; there is no round 0")]
    Round,
    /// The message is too long.
    #[error("a message may have at most {limit} bytes", limit = crate::MESSAGE_LIMIT)]
    TooLong,
    /// The signature is no signature of any beacon.
    #[error("a beacon's signature must be a compressed BLS12-381 G1 point of 48 bytes in the prime-order group")]
    Signature,
    /// The signature is not the one that is needed.
    #[error("the signature is of another round or another beacon")]
    WrongSignature,
    /// The ciphertext cannot be read.
    #[error("the ciphertext is malformed: {0}")]
    Malformed(&'static str),
    /// The key was found, and the body does not belong to it.
    #[error("the ciphertext's body was altered after it was sealed")]
    Altered,
}
