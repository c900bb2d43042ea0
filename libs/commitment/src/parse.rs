//! The one parser of endpoints.
//!
//! A rule for all of it: what an HTTP client, a resolver and a reader could understand differently is refused, each with its sentence.
//! `libs/chain` and `libs/policy` once had a parser each. Where they differed the stricter one holds:
//!
//! | text | ingestion did | executors did | now |
//! |---|---|---|---|
//! | a backslash anywhere | refuse | read a slash | refused |
//! | `"`, `<`, `>`, `^`, a backtick, braces, a bar | refuse | escape it in a path | refused |
//! | letters beyond ASCII, also digits such as `①` | refuse | make punycode or an address of it | refused: write `xn--…` |
//! | percent signs in host or port, so every IPv6 zone | refuse | decode it | refused |
//! | IPv4 as one number, in octal or hexadecimal, with fewer parts or a dot at its end | refuse | read it | refused: four decimal numbers |
//! | `http:host`, `http:/host`, `http:///host` | refuse | read `http://host` | refused: `://`, then the host |
//! | `@`, also in a path or with nothing before it | refuse | refuse only a user that is there | refused |
//! | a host with other characters than letters, digits, `-`, `_` and `.`, or with an empty part or one beyond 63 | refuse | take most | refused |
//! | more than 2048 bytes | take | refuse | refused (a commitment holds 128) |
//! | a deployment's UUID alone | take | refuse | taken: it is a valid commitment, so an executor has to understand it |
//!
//! Both did the same with the rest, and it stays: the host in small letters; a default port left out, also an empty one; port 0 and those
//! beyond 65535 refused; `.` and `..` in a path resolved, slashes at its end left out; an IPv6 address in its shortest form, also one that
//! carries an IPv4 address ([`Endpoint::check_address`] refuses that one); no path behind `grpc` and `grpcs`.

use std::str::FromStr;

use url::{Host, ParseError, Url};
use uuid::Uuid;

use crate::{Endpoint, EndpointError, Protocol};

/// The longest endpoint, in bytes.
pub const ENDPOINT_LIMIT: usize = 2048;

/// The scheme as it is written, what is spoken, and the scheme whose rules hold for host and port.
const SCHEMES: &[(&str, Protocol, &str)] = &[
    ("http", Protocol::Http, "http"),
    ("https", Protocol::Http, "https"),
    ("grpc", Protocol::Grpc, "http"),
    ("grpcs", Protocol::Grpc, "https"),
];

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        if text.len() > ENDPOINT_LIMIT {
            return Err(EndpointError::TooLong);
        }
        if let Ok(uuid) = Uuid::try_parse(text) {
            // Elsewhere the text itself becomes a part of the host name, so that another spelling would lead to another host.
            return match text.len() == uuid::fmt::Hyphenated::LENGTH {
                true => Ok(Self::deployment(uuid)),
                false => Err(EndpointError::UuidSpelling),
            };
        }
        // URL parsers read it as a slash, resolvers do not.
        if text.contains('\\') {
            return Err(EndpointError::Backslash);
        }
        // The URL parser would drop tabs and line ends silently, and write the others in another way.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>^`{|}".contains(&byte)) {
            return Err(EndpointError::Characters);
        }
        parse_url(text)
    }
}

/// A text of characters that a URL can have.
fn parse_url(text: &str) -> Result<Endpoint, EndpointError> {
    let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
    let known = SCHEMES.iter().find(|(known, ..)| scheme.eq_ignore_ascii_case(known));
    let Some(&(_, protocol, reads_as)) = known else {
        return Err(EndpointError::Scheme);
    };
    // The parser would skip further slashes and take what follows for the host.
    if rest.is_empty() || rest.starts_with('/') {
        return Err(EndpointError::NoHost);
    }
    if rest.contains('@') {
        return Err(EndpointError::UserName);
    }
    if rest.contains(['?', '#']) {
        return Err(EndpointError::Query);
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('%') {
        return Err(EndpointError::PercentHost);
    }
    let mut url = Url::parse(&format!("{reads_as}://{rest}")).map_err(of_url)?;
    check_host(&url, authority)?;
    if protocol == Protocol::Grpc && url.path() != "/" {
        return Err(EndpointError::GrpcPath);
    }
    if url.port() == Some(0) {
        return Err(EndpointError::PortZero);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(Endpoint::checked(protocol, url))
}

fn of_url(error: ParseError) -> EndpointError {
    match error {
        ParseError::EmptyHost => EndpointError::NoHost,
        ParseError::InvalidPort => EndpointError::Port,
        ParseError::IdnaError => EndpointError::Punycode,
        ParseError::InvalidIpv4Address => EndpointError::NoIpv4,
        ParseError::InvalidIpv6Address => EndpointError::NoIpv6,
        ParseError::InvalidDomainCharacter => EndpointError::HostCharacters,
        _ => EndpointError::NoUrl,
    }
}

/// `authority` is what was written: host, perhaps a port.
fn check_host(url: &Url, authority: &str) -> Result<(), EndpointError> {
    match url.host() {
        None | Some(Host::Domain("")) => Err(EndpointError::NoHost),
        Some(Host::Domain(name)) => {
            let labels = name.strip_suffix('.').unwrap_or(name);
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if !labels.bytes().all(known) {
                return Err(EndpointError::HostCharacters);
            }
            if !labels.split('.').all(|label| (1..=63).contains(&label.len())) {
                return Err(EndpointError::HostPart);
            }
            Ok(())
        }
        Some(Host::Ipv4(address)) => {
            let written = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            if written == address.to_string() { Ok(()) } else { Err(EndpointError::Ipv4Spelling) }
        }
        Some(Host::Ipv6(_)) => Ok(()),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
