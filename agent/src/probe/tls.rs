//! What a TLS probe trusts.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use super::ProbeError;
use super::http::without_brackets;
use crate::config::settings::HttpProbe;

/// How to speak TLS to one server, and the name its certificate must bear.
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl Tls {
    /// Reads the certificates that the probe trusts.
    pub(super) fn new(probe: &HttpProbe, describe: &str) -> Result<Self, ProbeError> {
        let host = without_brackets(probe.server_name.as_deref().unwrap_or(&probe.host));
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            ProbeError::new(describe, &format!("no certificate can bear the name {host:?}"))
                .hint("set server_name to the name in its certificate")
                .because(error)
        })?;
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ProbeError::new(describe, "TLS can't be set up").because(error))?;
        let config = if probe.insecure {
            config.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        } else {
            config.with_root_certificates(roots(probe.ca.as_deref(), describe)?)
        };
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

/// The authorities in the PEM file, or the system's; never none.
fn roots(ca: Option<&Path>, describe: &str) -> Result<RootCertStore, ProbeError> {
    let (certificates, place, unreadable) = match ca {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| {
                ProbeError::new(describe, &format!("{} can't be read", path.display()))
                    .hint("ca must name a PEM file with the authority's certificate")
                    .because(error)
            })?;
            (certificates, path.display().to_string(), None)
        }
        None => {
            let mut system = rustls_native_certs::load_native_certs();
            let place = "the system's store".to_owned();
            (system.certs, place, system.errors.pop())
        }
    };
    let mut roots = RootCertStore::empty();
    // A system's store may hold a certificate that nobody can use; what is left still counts.
    let (usable, _) = roots.add_parsable_certificates(certificates);
    if usable > 0 {
        return Ok(roots);
    }
    let error = ProbeError::new(describe, &format!("there is no certificate in {place}"))
        .hint("set ca to the PEM file of the authority to trust");
    Err(match unreadable {
        Some(cause) => error.because(cause),
        None => error,
    })
}

/// Believes any certificate, but still asks for proof that the server holds its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
