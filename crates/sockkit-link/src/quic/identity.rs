//! What a connection proves of its ends: that they have their keys, and no more.

use std::{io, sync::Arc};

use quinn::{
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig},
    rustls::{self, client::Resumption, pki_types::PrivateKeyDer},
};

use super::Config;
#[cfg(feature = "pairing")]
use crate::pairing;
use crate::{
    Fingerprint,
    certificate::{AnyCertificate, provider},
};

/// What a listener shows: the certificate of its identity, or one that nobody
/// signed, with a key that nobody else ever has.
pub(super) fn listener(config: &Config) -> io::Result<(QuicServerConfig, Fingerprint)> {
    #[cfg(feature = "pairing")]
    if let Some(identity) = &config.identity {
        let tls = identity.listener(&pairing::protocol(&config.protocol))?;
        let tls = QuicServerConfig::try_from(tls).map_err(no_suite)?;
        return Ok((tls, identity.fingerprint()));
    }
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other)?;
    let certificate = made.cert.der().clone();
    let fingerprint = Fingerprint::of(&certificate)?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key)
        })
        .map_err(io::Error::other)?;
    tls.alpn_protocols = vec![config.protocol.clone()];
    // Nobody comes back: the next connection has another certificate.
    tls.send_tls13_tickets = 0;
    let tls = QuicServerConfig::try_from(tls).map_err(no_suite)?;
    Ok((tls, fingerprint))
}

/// What a dialler needs, who takes any certificate, and shows that of its identity.
pub(super) fn dialler(config: &Config) -> io::Result<QuicClientConfig> {
    #[cfg(feature = "pairing")]
    if let Some(identity) = &config.identity {
        let tls = identity.dialler(&pairing::protocol(&config.protocol))?;
        return QuicClientConfig::try_from(tls).map_err(no_suite);
    }
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new()))
        .with_no_client_auth();
    tls.alpn_protocols = vec![config.protocol.clone()];
    tls.resumption = Resumption::disabled();
    QuicClientConfig::try_from(tls).map_err(no_suite)
}

fn no_suite(error: NoInitialCipherSuite) -> io::Error {
    io::Error::other(error)
}

/// What a dialler asks for; no name is checked.
pub(super) const NAME: &str = "sockkit";
