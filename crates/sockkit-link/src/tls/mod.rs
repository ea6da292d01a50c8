//! TLS over TCP: a handler for servers, and the settings of a node.

pub use tokio_rustls::{TlsConnector, TlsStream, client, rustls, server};

mod handler;
mod keys;

pub use self::handler::Tls;
#[cfg(feature = "pairing")]
pub(crate) use self::keys::constant_name;
pub(crate) use self::keys::{Keys, name_of};
