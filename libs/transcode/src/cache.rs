//! Entity tags, and whether the client has the body already.

use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest as _, Sha256};

/// What may be kept of a route's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// Ask again each time; the entity tag makes that cheap.
    Revalidate,
    /// What was answered once never changes.
    Immutable,
}

impl CachePolicy {
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Revalidate => "no-cache",
            Self::Immutable => "public, max-age=31536000, immutable",
        })
    }
}

/// The strong entity tag of a body: half of its SHA-256, in quotes.
pub(crate) fn entity_tag(body: &[u8]) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(body);
    let mut tag = Vec::with_capacity(34);
    tag.push(b'"');
    for byte in &digest[..16] {
        tag.push(DIGITS[usize::from(byte >> 4)]);
        tag.push(DIGITS[usize::from(byte & 15)]);
    }
    tag.push(b'"');
    HeaderValue::from_bytes(&tag).expect("hex digits in quotes are a header value")
}

/// `If-None-Match` names this tag, or `*`. Weak tags match too, as RFC 9110 says for this header.
pub(crate) fn has_already(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|listed| {
        listed.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == *tag)
    })
}
