//! TLS settings of a node.

use std::{io, net::IpAddr, sync::Arc};

use super::rustls::{self, pki_types::ServerName};
use crate::Host;

/// The certificates that a node presents and trusts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) client: Option<Arc<rustls::ClientConfig>>,
    pub(crate) server: Option<Arc<rustls::ServerConfig>>,
}

/// The name that a listener without an identity must prove.
pub(crate) fn name_of(host: &Host) -> io::Result<ServerName<'static>> {
    let bad = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
    match host {
        Host::V4(ip) => Ok(IpAddr::from(*ip).into()),
        Host::V6 { ip, .. } => Ok(IpAddr::from(*ip).into()),
        // A trailing full stop matters to the resolver, but not to
        // certificates.
        Host::Name(name) => {
            let name = name.trim_end_matches('.').to_owned();
            ServerName::try_from(name).map_err(|error| bad(error.to_string()))
        }
        Host::Unspecified => Err(bad("no host to authenticate".to_owned())),
    }
}

/// The name sent, in the clear, to a listener that proves its key instead. The
/// same as over QUIC.
#[cfg(feature = "pairing")]
pub(crate) fn constant_name() -> io::Result<ServerName<'static>> {
    ServerName::try_from(crate::quic::NAME).map_err(io::Error::other)
}
