//! TLS over TCP: a server's handler, and what a node needs.

pub use tokio_rustls::{TlsConnector, TlsStream, client, rustls, server};

mod handler;
mod keys;

pub use self::handler::Tls;
pub(crate) use self::keys::{Keys, connect};
