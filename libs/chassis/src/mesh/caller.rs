//! Who calls: the one place that judges the credentials of a call.

use http::{HeaderMap, header::AUTHORIZATION};
use tonic::Status;

use super::MeshAccess;
use crate::{ErrorCode, status};

const REMEDY: &str = "send the metadata `authorization: Bearer <token>` with the token of this deployment; services and \
    commands take it from KINITRO_MESH_TOKEN_FILE or KINITRO_MESH_TOKEN (that of `kinitro up` is the file mesh-token in its \
    data directory)";

/// Who a caller has shown to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// It has the mesh token: a service of this deployment, or its operator.
    Mesh,
    /// This process has no token, so that it is reached from this machine alone.
    Local,
    /// Not known, and not asked: what it calls answers everyone.
    Anyone,
}

impl Caller {
    /// As the log names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Local => "local",
            Self::Anyone => "anyone",
        }
    }
}

impl MeshAccess {
    /// Who makes this call. `for_everyone` says that what is called answers without credentials.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` with the remedy: there is no token, or another one.
    pub(crate) fn identify(&self, headers: &HeaderMap, for_everyone: bool) -> Result<Caller, Status> {
        if for_everyone {
            return Ok(Caller::Anyone);
        }
        if !self.has_token() {
            return Ok(Caller::Local);
        }
        match bearer_token(headers) {
            Some(token) if self.knows(token) => Ok(Caller::Mesh),
            Some(_) => Err(refused("MESH_TOKEN_WRONG", "the mesh token of this call is not the one of this service")),
            None => Err(refused("MESH_TOKEN_MISSING", "this call shows no mesh token")),
        }
    }
}

fn refused(reason: &'static str, problem: &str) -> Status {
    status(ErrorCode::Unauthenticated, reason, format!("{problem}: {REMEDY}"))
}

/// The token of the only `authorization` header; `None` when there is none, or it has another form.
fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = only.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{ErrorInfo, MeshToken};

    const TOKEN: &str = "0123456789abcdef";

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap())).collect()
    }

    #[test]
    fn one_bearer_token_that_is_right_is_let_in_and_nothing_else() {
        let access = MeshAccess::default().with_token(MeshToken::new(TOKEN, "here").unwrap());
        for right in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef"] {
            assert_eq!(access.identify(&headers(&[right]), false).unwrap(), Caller::Mesh);
        }
        let bearer = format!("Bearer {TOKEN}");
        let cases: [(&[&str], &str); 8] = [
            (&[], "MESH_TOKEN_MISSING"),
            (&[""], "MESH_TOKEN_MISSING"),
            (&[TOKEN], "MESH_TOKEN_MISSING"),
            (&["Basic 0123456789abcdef"], "MESH_TOKEN_MISSING"),
            (&[&bearer, &bearer], "MESH_TOKEN_MISSING"),
            (&["Bearer "], "MESH_TOKEN_WRONG"),
            (&["Bearer 0123456789abcde"], "MESH_TOKEN_WRONG"),
            (&["Bearer  0123456789abcdef"], "MESH_TOKEN_WRONG"),
        ];
        for (given, reason) in cases {
            let refused = access.identify(&headers(given), false).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::Unauthenticated);
            assert_eq!(ErrorInfo::from_status(&refused).unwrap().reason, reason, "{given:?}");
            assert!(refused.message().contains("KINITRO_MESH_TOKEN_FILE"), "{}", refused.message());
        }
    }

    #[test]
    fn what_is_for_everyone_asks_for_nothing_and_a_process_without_a_token_neither() {
        let access = MeshAccess::default().with_token(MeshToken::new(TOKEN, "here").unwrap());
        assert_eq!(access.identify(&headers(&["Bearer wrong"]), true).unwrap(), Caller::Anyone);
        assert_eq!(MeshAccess::default().identify(&headers(&[]), false).unwrap(), Caller::Local);
    }
}
