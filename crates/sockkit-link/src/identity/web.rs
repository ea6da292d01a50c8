//! The second key of this machine, for pages: browsers accept no Ed25519.

use std::{fmt, io, sync::Arc};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use sha2::{Digest as _, Sha256};
use sockkit_core::server::{Handler, Stream};

use super::{Damage, StateError, StateFolder, stored_key};
use crate::{
    certificate::provider,
    tls::{Tls, server::TlsStream},
};

/// An ECDSA P-256 key with a self-signed certificate, to serve pages over `https`.
///
/// Browsers warn of it, because no authority has signed it. A user who compares the
/// fingerprint that the browser shows knows that there is no attacker in between.
///
/// ```
/// # mod sockkit { pub use ::sockkit_link as link; pub use ::sockkit_core::server; }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sockkit::{link::identity::WebCertificate, server::{Handled, Peer}};
///
/// async fn hello<S>(stream: S, peer: Peer) -> Handled {
///     Ok(())
/// }
///
/// let certificate = WebCertificate::throw_away(["192.168.1.20"])?;
/// println!("compare: {}", certificate.fingerprint());
/// let handler = certificate.secure(hello)?;
/// # let _ = handler;
/// # Ok(())
/// # }
/// ```
pub struct WebCertificate {
    certificate: rcgen::Certificate,
    key: PrivatePkcs8KeyDer<'static>,
}

impl WebCertificate {
    /// Uses the key in `folder`, and creates one there if there is none. The certificate
    /// is made at each start, for `hosts`: names and addresses.
    ///
    /// # Errors
    /// As [`Identity::open`](super::Identity::open).
    pub fn open<H: Into<String>>(
        folder: &StateFolder,
        hosts: impl IntoIterator<Item = H>,
    ) -> Result<Self, StateError> {
        let pair = stored_key(folder, FILE, &PKCS_ECDSA_P256_SHA256, Damage::NoWebKey)?;
        Self::of(&pair, hosts).map_err(|error| folder.failed(FILE, "use", error))
    }

    /// With a key that is not stored.
    ///
    /// # Errors
    /// If a host is not a name, or the system's random source fails.
    pub fn throw_away<H: Into<String>>(hosts: impl IntoIterator<Item = H>) -> io::Result<Self> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        Self::of(&pair, hosts).map_err(io::Error::other)
    }

    fn of<H: Into<String>>(
        pair: &KeyPair,
        hosts: impl IntoIterator<Item = H>,
    ) -> Result<Self, rcgen::Error> {
        let hosts: Vec<String> = hosts.into_iter().map(Into::into).collect();
        Ok(Self {
            certificate: CertificateParams::new(hosts)?.self_signed(pair)?,
            key: pair.serialize_der().into(),
        })
    }

    /// The certificate's SHA-256 digest, as browsers show it.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.certificate.der());
        let bytes: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// Encrypts the connections of `handler`.
    ///
    /// # Errors
    /// If the TLS library refuses the certificate.
    pub fn secure<H>(&self, handler: H) -> io::Result<Tls<H>>
    where
        H: Handler<TlsStream<Stream>>,
    {
        Ok(Tls::new(self.server_config()?, handler))
    }

    /// Settings of a TLS server that presents this certificate to browsers.
    ///
    /// # Errors
    /// If the TLS library refuses the certificate.
    pub fn server_config(&self) -> io::Result<Arc<ServerConfig>> {
        let key = PrivateKeyDer::from(self.key.clone_key());
        let mut tls = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .map_err(io::Error::other)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(tls))
    }
}

impl fmt::Debug for WebCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebCertificate({})", self.fingerprint())
    }
}

const FILE: &str = "web.pem";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn its_key_is_kept_beside_the_identity_and_is_another() {
        let home = tempfile::tempdir().unwrap();
        let folder = StateFolder::at(home.path().join("state"));
        let first = WebCertificate::open(&folder, ["192.0.2.1"]).unwrap();
        let identity = Identity::open(&folder).unwrap();
        let second = WebCertificate::open(&folder, ["desk.lan"]).unwrap();
        assert_eq!(first.key, second.key);
        let key = PrivateKeyDer::from(first.key.clone_key());
        assert_ne!(key, identity.key());
    }

    #[test]
    fn the_key_of_the_identity_is_no_key_for_pages() {
        let home = tempfile::tempdir().unwrap();
        let folder = StateFolder::at(home.path().join("state"));
        Identity::open(&folder).unwrap();
        let state = home.path().join("state");
        std::fs::copy(state.join("identity.pem"), state.join(FILE)).unwrap();
        let error = WebCertificate::open(&folder, ["192.0.2.1"]).unwrap_err();
        assert!(error.to_string().contains("no ECDSA key"), "{error}");
    }
}
