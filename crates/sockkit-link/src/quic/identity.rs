//! The certificates of both sides. They prove possession of a key, and nothing
//! else.

use std::{io, sync::Arc};

use quinn::{
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig},
    rustls::{self, client::Resumption, pki_types::PrivateKeyDer},
};

use super::QuicConfig;
#[cfg(feature = "pairing")]
use crate::pairing;
use crate::{
    Fingerprint,
    certificate::{AnyCertificate, provider},
};

/// The TLS configuration of a listener: it presents the certificate of its identity,
/// or a self-signed one with a new key.
pub(super) fn listener(config: &QuicConfig) -> io::Result<(QuicServerConfig, Fingerprint)> {
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
    // Tickets would be useless: the next listener has another certificate.
    tls.send_tls13_tickets = 0;
    let tls = QuicServerConfig::try_from(tls).map_err(no_suite)?;
    Ok((tls, fingerprint))
}

/// The TLS configuration of a dialler: it accepts any certificate, and presents that
/// of its identity.
pub(super) fn dialler(config: &QuicConfig) -> io::Result<QuicClientConfig> {
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

/// The server name sent by a dialler, in the clear, and the one in all
/// certificates: it names no machine and no user, and is not verified.
pub(crate) const NAME: &str = "sockkit";
