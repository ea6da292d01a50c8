//! TLS 1.3 with certificates on both sides.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, ServerConfig, client::Resumption, server::NoServerSessionStorage, version::TLS13,
};

use super::Identity;
use crate::certificate::{AnyCertificate, provider};

impl Identity {
    /// The configuration of a dialler of `protocol`.
    pub(crate) fn dialler(&self, protocol: &[u8]) -> io::Result<ClientConfig> {
        let mut tls = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::ed25519()))
            .with_client_auth_cert(self.chain(), self.key())
            .map_err(io::Error::other)?;
        tls.alpn_protocols = vec![protocol.to_vec()];
        // Every connection authenticates both keys itself.
        tls.resumption = Resumption::disabled();
        tls.enable_early_data = false;
        Ok(tls)
    }

    /// The configuration of a listener of `protocol`.
    pub(crate) fn listener(&self, protocol: &[u8]) -> io::Result<ServerConfig> {
        let mut tls = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .with_client_cert_verifier(Arc::new(AnyCertificate::ed25519()))
            .with_single_cert(self.chain(), self.key())
            .map_err(io::Error::other)?;
        tls.alpn_protocols = vec![protocol.to_vec()];
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        tls.max_early_data_size = 0;
        Ok(tls)
    }
}
