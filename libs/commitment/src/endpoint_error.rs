//! Why a text is no endpoint.

use crate::ENDPOINT_LIMIT;

/// Why a text is no endpoint, or one that is not called; a sentence for the miner, with what to do. It never holds the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// No text.
    #[error("the endpoint is empty: give a deployment's UUID or a URL")]
    Empty,
    /// More bytes than are read.
    #[error("the endpoint is longer than {ENDPOINT_LIMIT} bytes: give a shorter URL")]
    TooLong,
    /// A UUID in braces, without dashes or as a URN.
    #[error("the endpoint is a UUID in another spelling: write it in groups of 8-4-4-4-12 digits with dashes")]
    UuidSpelling,
    /// `\`
    #[error("the endpoint has characters that a URL cannot have: a backslash; write a slash")]
    Backslash,
    /// White space, control characters, quotes, brackets, or letters beyond ASCII.
    #[error(
        "the endpoint has characters that a URL cannot have: write plain ASCII, other letters of a host as punycode and other \
         characters of a path in percent signs"
    )]
    Characters,
    /// No scheme, or one that policies are not called with.
    #[error("the endpoint is neither a deployment's UUID nor an http, https, grpc or grpcs URL: write one of them")]
    Scheme,
    /// Nothing where the host belongs.
    #[error("the endpoint names no host: write it directly after `://`")]
    NoHost,
    /// `@`
    #[error("the endpoint holds a user name or password, which everybody could read: write it without `@`")]
    UserName,
    /// `?` or `#`
    #[error("the endpoint has a query or a fragment; it must be a base URL: end it before `?` or `#`")]
    Query,
    /// `%` in the host or the port; also the zone of an IPv6 address.
    #[error("the endpoint has a host in percent signs; write the name or address plainly")]
    PercentHost,
    /// No number, or one that is too large.
    #[error("the endpoint is no valid URL: its port is none; write a number from 1 to 65535")]
    Port,
    /// Port 0.
    #[error("the endpoint has port 0, which cannot be called: write the port that the policy listens at")]
    PortZero,
    /// Punycode that does not decode.
    #[error("the endpoint has an internationalised host name that is damaged: check the parts that begin with `xn--`")]
    Punycode,
    /// The URL standard takes a host whose last part is a number for an IPv4 address.
    #[error(
        "the endpoint has a host that ends in a number and is no IPv4 address: write a name or four numbers from 0 to 255"
    )]
    NoIpv4,
    /// In octal or hexadecimal, short, as one number, or with a dot at its end.
    #[error("the endpoint has an IPv4 address that is not written as four decimal numbers: write it like `192.0.2.1`")]
    Ipv4Spelling,
    /// Brackets around something else.
    #[error("the endpoint has a host in brackets that is no IPv6 address: correct it, or write a name")]
    NoIpv6,
    /// Characters that are allowed in a URL and in no name.
    #[error("the endpoint has a host with characters that no name has: use letters, digits, `-`, `_` and `.`")]
    HostCharacters,
    /// Two dots in a row, a dot in front, or a long part.
    #[error("the endpoint has a host with a part that is empty or longer than 63 characters: check its dots")]
    HostPart,
    /// A path behind `grpc` or `grpcs`.
    #[error("the endpoint has a path, which gRPC has no place for: end it after host and port")]
    GrpcPath,
    /// Anything else that the URL standard refuses.
    #[error("the endpoint is no valid URL: write scheme, `://`, host, and where needed port and path")]
    NoUrl,
    /// An address that is written out and not called ([`crate::Endpoint::check_address`]).
    #[error("the endpoint leads to an address that is not called: {kind}")]
    Address {
        /// Such as `private` or `loopback`.
        kind: String,
    },
}
