//! Certificates of policies are checked as the operating system would.

use std::{error::Error, io, sync::Arc};

use kinitro_domain::Cause;
use rustls::{CertificateError, ClientConfig};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::Fault;

/// What TLS connections are made with, or why none can be made.
#[derive(Clone)]
pub(crate) struct Tls(Result<ClientConfig, rustls::Error>);

impl Tls {
    /// Loads the certificates that the operating system trusts. Without any, plain endpoints still work.
    pub(crate) fn load() -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier())
            .map(|builder| builder.with_no_client_auth());
        if let Err(error) = &tls {
            tracing::warn!(%error, "no certificates to check https and grpcs policies with; install ca-certificates");
        }
        Self(tls)
    }

    /// Trusts one certificate and no other.
    #[cfg(test)]
    pub(crate) fn trusting(certificate: rustls::pki_types::CertificateDer<'static>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Self(builder.map(|builder| builder.with_root_certificates(roots).with_no_client_auth()))
    }

    /// The configuration. That there is none is the executor's fault.
    pub(crate) fn config(&self) -> Result<ClientConfig, Fault> {
        self.0.clone().map_err(|error| Fault::new(Cause::Executor, format!("no TLS on this executor: {error}")))
    }
}

/// An error of a connection for evidence: without addresses, which the operating system's own errors never have, and without the names
/// that a certificate tells.
pub(crate) fn discreet_text(error: &(dyn Error + 'static)) -> String {
    let (io, inner) = match error.downcast_ref::<io::Error>() {
        Some(io) => (Some(io.kind()), io.get_ref().map(|inner| inner as &(dyn Error + 'static))),
        None => (None, Some(error)),
    };
    let wrong_name = |error: &rustls::Error| {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        matches!(error, rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
    };
    match (inner, io) {
        (Some(inner), _) if inner.downcast_ref().is_some_and(wrong_name) => {
            "the certificate is not valid for the endpoint's name".to_owned()
        }
        (Some(inner), _) => inner.to_string(),
        (None, Some(kind)) => kind.to_string(),
        (None, None) => error.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rustls::pki_types::ServerName;

    use super::*;

    #[test]
    fn an_error_tells_no_address_and_no_name_of_a_certificate() {
        let refused = std::net::TcpStream::connect("127.0.0.1:1").unwrap_err();
        assert_eq!(discreet_text(&refused), "connection refused");
        let expected = ServerName::try_from("asked.example").unwrap();
        let presented = vec!["DnsName(\"secret.example\")".to_owned()];
        let wrong = CertificateError::NotValidForNameContext { expected, presented };
        let wrong = io::Error::other(rustls::Error::InvalidCertificate(wrong));
        assert!(wrong.to_string().contains("secret.example"));
        assert_eq!(discreet_text(&wrong), "the certificate is not valid for the endpoint's name");
        let other = io::Error::other(rustls::Error::InvalidCertificate(CertificateError::Expired));
        assert!(discreet_text(&other).contains("Expired"));
    }
}
