//! What is wrong with a descriptor set or its annotations, found at the start.

/// Why the routes could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscodeError {
    /// The bytes are no descriptor set.
    #[error("the descriptor set cannot be read: {0}; build it with imports included")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    /// `google.api.http` is not among the descriptors, so no annotation can be read.
    #[error(
        "the descriptor set does not define google.api.http; import google/api/annotations.proto and include imports"
    )]
    NoHttpExtension,
    /// A service was named that the descriptor set does not have.
    #[error("service {0} is not in the descriptor set; give its full name, package included")]
    UnknownService(String),
    /// The same service was given twice.
    #[error("service {0} was given two channels; give it one")]
    ServiceTwice(String),
    /// Nothing would be served: the annotations were lost, or none of the services has any.
    #[error("no RPC with a google.api.http annotation in {0}; annotate one, or leave the service out")]
    NothingAnnotated(String),
    /// An annotation that cannot be followed.
    #[error("{rpc}: {problem}")]
    Annotation {
        /// Full name of the RPC.
        rpc: String,
        /// What is wrong, and with which field or template.
        problem: String,
    },
    /// Only unary RPCs can be transcoded.
    #[error("{0} streams; only unary RPCs can be transcoded, take its annotation away")]
    Streaming(String),
    /// Two RPCs (or two bindings of one) want the same method and path.
    #[error("{method} {path} is claimed by both {first} and {second}; change one of the annotations")]
    RouteClash {
        /// The HTTP method.
        method: String,
        /// The path, variables without names.
        path: String,
        /// Full name of the RPC that came first.
        first: String,
        /// Full name of the RPC that came second.
        second: String,
    },
    /// A route was marked immutable that no annotation makes.
    #[error("no GET route {0} to mark as immutable; write the template as in the annotation")]
    UnknownRoute(String),
}
