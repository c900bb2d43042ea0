//! What a process shows to the services that it calls, and what it asks of its callers.

use std::net::SocketAddr;

use http::HeaderValue;

use super::MeshToken;
use crate::ChassisError;

/// Made once a process. The default has no token: for services that listen on loopback, in development and in tests.
#[derive(Debug, Clone, PartialEq)]
pub struct MeshAccess {
    current: Option<MeshToken>,
    previous: Option<MeshToken>,
    reflection: bool,
}

impl MeshAccess {
    pub(super) fn new(current: Option<MeshToken>, previous: Option<MeshToken>, reflection: bool) -> Self {
        Self { current, previous, reflection }
    }

    /// The same with this token as the current one.
    pub fn with_token(self, token: MeshToken) -> Self {
        Self { current: Some(token), ..self }
    }

    /// Whether callers must show a token.
    pub fn has_token(&self) -> bool {
        self.current.is_some()
    }

    /// Whether services describe themselves.
    pub fn reflection(&self) -> bool {
        self.reflection
    }

    /// Whether a service may listen there: without a token on loopback only.
    ///
    /// # Errors
    /// [`ChassisError::OpenToOthers`] with the remedy.
    pub fn may_listen(&self, service: &'static str, address: SocketAddr) -> Result<(), ChassisError> {
        if self.has_token() || address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(ChassisError::OpenToOthers { service, address })
    }

    /// What is sent as `authorization`.
    pub(super) fn credentials(&self) -> Option<HeaderValue> {
        self.current.as_ref().map(MeshToken::header)
    }

    /// Whether a caller's token is one of ours. Both are always compared, so that the time taken does not tell which one it is.
    pub(super) fn knows(&self, token: &[u8]) -> bool {
        let is = |ours: &Option<MeshToken>| ours.as_ref().is_some_and(|ours| ours.is(token));
        is(&self.current) | is(&self.previous)
    }
}

impl Default for MeshAccess {
    fn default() -> Self {
        Self::new(None, None, true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn token(text: &str) -> Option<MeshToken> {
        Some(MeshToken::new(text, "here").unwrap())
    }

    #[test]
    fn while_a_token_is_changed_both_are_accepted_and_the_new_one_is_sent() {
        let access = MeshAccess::new(token("new-token-of-the-mesh"), token("old-token-of-the-mesh"), true);
        assert!(access.knows(b"new-token-of-the-mesh") && access.knows(b"old-token-of-the-mesh"));
        assert!(!access.knows(b"") && !access.knows(b"a-token-of-no-mesh"));
        assert_eq!(access.credentials().unwrap(), "Bearer new-token-of-the-mesh");
        let changed = MeshAccess::new(token("new-token-of-the-mesh"), None, true);
        assert!(!changed.knows(b"old-token-of-the-mesh"));
    }

    #[test]
    fn without_a_token_a_service_listens_on_loopback_only() {
        let (open, closed) = (MeshAccess::default(), MeshAccess::default().with_token(token(&"x".repeat(16)).unwrap()));
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            open.may_listen("scoring", address.parse().unwrap()).unwrap();
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", "[2001:db8::1]:1"] {
            let error = open.may_listen("scoring", address.parse().unwrap()).unwrap_err().to_string();
            assert!(error.contains("scoring") && error.contains("KINITRO_MESH_TOKEN_FILE"), "{error}");
            closed.may_listen("scoring", address.parse().unwrap()).unwrap();
        }
    }
}
