//! Who may fetch and submit tasks.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use kinitro_transcode::Problem;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{Config, Error};

/// Keys shorter than this can be guessed.
const SHORT_KEY: usize = 16;

/// The rule for the routes that executors use.
#[derive(Clone)]
pub(crate) enum Access {
    Everybody,
    /// Those who know the key, of which only the digest is kept.
    KeyHolders([u8; 32]),
}

impl Access {
    /// The rule that the settings ask for at this address.
    pub fn new(config: &Config, address: SocketAddr) -> Result<Self, Error> {
        if !config.no_auth {
            let key = config.key().ok_or(Error::NoApiKey)?;
            if key.len() < SHORT_KEY {
                tracing::warn!("the API key is short and can be guessed; use at least {SHORT_KEY} random characters");
            }
            return Ok(Self::KeyHolders(Sha256::digest(key).into()));
        }
        if !address.ip().to_canonical().is_loopback() {
            if !config.no_auth_on_any_address {
                return Err(Error::OpenToOthers(address));
            }
            tracing::warn!(%address, "AUTHENTICATION IS OFF at an address that others can reach: everybody may submit results");
        } else {
            tracing::warn!(%address, "AUTHENTICATION IS OFF: everybody on this machine may fetch tasks and submit results");
        }
        Ok(Self::Everybody)
    }

    /// Lets a request in, or says why not. Digests are compared, in constant time, so the time taken tells neither the
    /// key's length nor how much of it was right.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Self::KeyHolders(expected) = self else { return Ok(()) };
        let Some(token) = bearer_token(headers) else {
            return Err(refused(
                r#"Bearer realm="kinitro""#,
                "this route needs a key: send authorization: Bearer <key>",
            ));
        };
        let given: [u8; 32] = Sha256::digest(token).into();
        if bool::from(given.ct_eq(expected)) {
            Ok(())
        } else {
            Err(refused(r#"Bearer realm="kinitro", error="invalid_token""#, "the key is not the one of this backend"))
        }
    }
}

/// The token of the only `authorization` header; `None` when there is none, or it has another form.
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = only.as_bytes().split_at_checked("Bearer ".len())?;
    let well_formed = !token.is_empty() && token.iter().all(u8::is_ascii_graphic);
    (scheme.eq_ignore_ascii_case(b"Bearer ") && well_formed).then_some(token)
}

fn refused(challenge: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", detail)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}
