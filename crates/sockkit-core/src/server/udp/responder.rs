//! Answers each request of a UDP server.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;

/// One received datagram.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The payload.
    pub bytes: Bytes,
    /// The source address. It is not authenticated and can be forged.
    pub from: SocketAddr,
    /// The address it was sent to, if the system reports it.
    pub to: Option<IpAddr>,
    /// The interface it arrived on, if the system reports it.
    pub interface_index: Option<u32>,
}

/// Answers requests, like `handle()` of Python's
/// `socketserver.DatagramRequestHandler`.
///
/// Implemented by every `Fn(Request) -> Future`, so an async closure is enough;
/// implement it for your own type if the responder has state or a name.
///
/// The future is dropped at an await when the reply timeout passes or a
/// shutdown stops waiting. A panic affects only its own request.
pub trait Responder: Send + Sync + 'static {
    /// Answers one request; `None` sends no reply.
    ///
    /// # Errors
    /// Any error of the responder. It is logged and counted, and the client
    /// receives nothing.
    fn reply(&self, request: Request) -> impl Future<Output = Replied> + Send;
}

/// Result of a responder; the error may be of any type.
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
