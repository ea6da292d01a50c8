//! Connections that begin with HTTP in the clear, where a server speaks TLS.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{Handled, Handler, LogLimit, Peer, Stream};
use crate::tcp::Timeout;

/// A layer in front of a handler over TLS: an HTTP request in the clear, as of a browser
/// that was given `http://`, gets no response.
///
/// A warning says what to type, once a minute for each host. Everything else is passed to
/// the handler, once its first byte has arrived, for which a peer has 10 s.
///
/// ```
/// # use sockkit_core as sockkit;
/// # fn example(tls: impl sockkit::server::Handler) -> Result<(), Box<dyn std::error::Error>> {
/// use sockkit::{server::{EncryptedOnly, Server, ServerConfig}, tcp::Listener};
///
/// let listener = Listener::bind(([127, 0, 0, 1], 8443).into())?;
/// let server = Server::start_handler(listener, ServerConfig::default(), EncryptedOnly::new(tls))?;
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EncryptedOnly<H> {
    handler: H,
    log_limit: LogLimit,
}

impl<H: Handler> EncryptedOnly<H> {
    /// Passes what is encrypted to `handler`.
    pub fn new(handler: H) -> Self {
        Self {
            handler,
            log_limit: LogLimit::default(),
        }
    }

    fn warn(&self, local: SocketAddr, peer: &Peer) {
        let now = Instant::now().into_std();
        let Some(ip) = peer.address().ip() else {
            return;
        };
        let Some(untold) = self.log_limit.note(now, "in the clear", ip) else {
            return;
        };
        let more = match untold {
            0 => String::new(),
            untold => format!(", and {untold} more times"),
        };
        let (ip, local) = (
            ip.to_canonical(),
            SocketAddr::new(local.ip().to_canonical(), local.port()),
        );
        tracing::warn!(
            "{ip} asked for http://{local}{more}; the page is at https://{local}: type https:// \
             in place of http://"
        );
    }
}

impl<H: Handler> Handler for EncryptedOnly<H> {
    async fn handle(&self, stream: Stream, peer: Peer) -> Handled {
        let first = tokio::select! {
            biased;
            first = timeout(BEGIN_WITHIN, first_byte(stream.get_ref())) => first,
            // It has asked for nothing.
            () = peer.draining() => return Ok(()),
        };
        let first = first.map_err(|_| io::Error::from(Timeout::Handshake))??;
        // Methods are written in capitals; TLS begins with 22.
        if first.is_some_and(|byte| byte.is_ascii_uppercase()) {
            self.warn(stream.local_addr()?, &peer);
            return Ok(());
        }
        self.handler.handle(stream, peer).await
    }
}

/// Leaves it to be read; `None` if the peer has closed.
async fn first_byte(stream: &TcpStream) -> io::Result<Option<u8>> {
    let mut byte = [0];
    Ok(match stream.peek(&mut byte).await? {
        0 => None,
        _ => Some(byte[0]),
    })
}

const BEGIN_WITHIN: Duration = Duration::from_secs(10);
