//! One code for an error, with its gRPC status and its HTTP status side by side.

use tonic::{Code, Status};

/// The message of tonic's client when the limit of a channel or a request has passed.
const CLIENT_TIMEOUT: &str = "Timeout expired";

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $http:literal),+ $(,)?) => {
        /// The kind of an error, as gRPC and HTTP know it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The gRPC status code.
            pub fn grpc(self) -> Code {
                match self {
                    $(Self::$name => Code::$name,)+
                }
            }

            /// The HTTP status code.
            pub fn http(self) -> u16 {
                match self {
                    $(Self::$name => $http,)+
                }
            }

            /// The code as it is written in metrics and problem types, for example `NotFound`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The error behind a gRPC status code, `None` for `Ok`.
            pub fn from_grpc(code: Code) -> Option<Self> {
                match code {
                    Code::Ok => None,
                    $(Code::$name => Some(Self::$name),)+
                }
            }
        }
    };
}

impl ErrorCode {
    /// The error of a call, `None` when the status is `Ok`. Unlike its bare code, this tells a call that had no answer in
    /// time from one that its caller gave up: tonic's client calls both `Cancelled`.
    pub fn from_status(status: &Status) -> Option<Self> {
        match Self::from_grpc(status.code()) {
            Some(Self::Cancelled) if status.message() == CLIENT_TIMEOUT => Some(Self::DeadlineExceeded),
            code => code,
        }
    }
}

error_codes! {
    /// The caller gave up.
    Cancelled = 499,
    /// Nothing more is known.
    Unknown = 500,
    /// The request is wrong, whatever the state of the system.
    InvalidArgument = 400,
    /// The work was not done in time; it may have had an effect.
    DeadlineExceeded = 504,
    /// There is no such thing.
    NotFound = 404,
    /// There is such a thing already.
    AlreadyExists = 409,
    /// The caller is known and may not do this.
    PermissionDenied = 403,
    /// The caller sent no valid credentials.
    Unauthenticated = 401,
    /// A quota, a size or a rate was exceeded.
    ResourceExhausted = 429,
    /// The system's state forbids it; a repetition does not help until somebody changes the state.
    FailedPrecondition = 409,
    /// A concurrent change got in the way; repeat the whole operation.
    Aborted = 409,
    /// A value lies outside its range.
    OutOfRange = 400,
    /// There is no such call.
    Unimplemented = 501,
    /// A defect on our side.
    Internal = 500,
    /// A part is down for now; repeat with back-off.
    Unavailable = 503,
    /// Data is damaged beyond recovery.
    DataLoss = 500,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grpc_error_code_has_one_error_code() {
        for number in 1..=16 {
            let grpc = Code::from(number);
            let code = ErrorCode::from_grpc(grpc).expect("an error");
            assert_eq!(code.grpc(), grpc);
            assert!((400..=599).contains(&code.http()), "{code:?}");
        }
        assert_eq!(ErrorCode::ALL.len(), 16);
        assert_eq!(ErrorCode::from_grpc(Code::Ok), None);
    }
}
