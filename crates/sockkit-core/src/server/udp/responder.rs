//! What a UDP server does with each request.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;

/// One datagram that wants an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The payload, whole.
    pub bytes: Bytes,
    /// Who asks, by their own word.
    pub from: SocketAddr,
    /// The address it was sent to, if the system tells.
    pub to: Option<IpAddr>,
    /// The interface it came in by, if the system tells.
    pub interface_index: Option<u32>,
}

/// Answers requests: what Python's `socketserver.DatagramRequestHandler` does
/// in `handle()`.
///
/// Implemented by any `Fn(Request) -> Future`, so an async closure will do; a
/// type of its own is for responders with state and a name.
///
/// The future is dropped, at an await, when the reply timeout passes or a
/// shutdown does not wait longer. A panic costs its own request only.
pub trait Responder: Send + Sync + 'static {
    /// Answers one request; `None` keeps silent.
    ///
    /// # Errors
    /// Whatever keeps the responder from answering; it is logged and counted,
    /// and the client hears nothing.
    fn reply(&self, request: Request) -> impl Future<Output = Replied> + Send;
}

/// What a responder returns: any error will do.
pub type Replied = Result<Option<Bytes>, Box<dyn Error + Send + Sync>>;

impl<F, Fut> Responder for F
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Replied> + Send,
{
    fn reply(&self, request: Request) -> impl Future<Output = Replied> + Send {
        self(request)
    }
}
