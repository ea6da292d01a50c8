//! Self-signed certificates: only possession of the key is verified.

use std::{
    io,
    sync::{Arc, LazyLock},
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use crate::Fingerprint;

/// Accepts any certificate, but verifies that the peer has its key: otherwise a
/// fingerprint could be copied. TLS 1.3 only.
#[derive(Debug)]
pub(crate) struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
    schemes: Vec<SignatureScheme>,
}

impl AnyCertificate {
    /// Accepts keys of any algorithm.
    pub(crate) fn new() -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Self {
            algorithms,
            schemes: algorithms.supported_schemes(),
        }
    }

    /// Accepts Ed25519 keys only, as identities have.
    #[cfg(feature = "pairing")]
    pub(crate) fn ed25519() -> Self {
        Self {
            schemes: vec![SignatureScheme::ED25519],
            ..Self::new()
        }
    }

    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if !self.schemes.contains(&signature.scheme) {
            return Err(rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// Verifies the dialler's certificate, which a listener with an identity
/// requires.
impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// The provider ring, independent of other providers that are linked.
///
/// AES-128 comes first, as in browsers: it has fewer rounds, and its handshake uses SHA-256,
/// which more processors have instructions for than SHA-384.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let first = &ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
        let mut provider = ring::default_provider();
        provider.cipher_suites.sort_by_key(|suite| suite != first);
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

/// The fingerprint of the certificate that the peer has presented.
pub(crate) fn fingerprint(shown: Option<&[CertificateDer<'_>]>) -> io::Result<Fingerprint> {
    let first = shown.and_then(<[_]>::first);
    Fingerprint::of(first.ok_or(io::ErrorKind::InvalidData)?)
}
