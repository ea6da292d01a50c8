//! TLS over TCP: a handler for servers, and the settings of a node.

pub use tokio_rustls::{TlsConnector, TlsStream, client, rustls, server};

mod handler;
mod keys;

pub use self::handler::Tls;
pub(crate) use self::keys::{Keys, connect};
