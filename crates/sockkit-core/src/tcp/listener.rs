//! Listening.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::TcpListener;

use super::Connection;
use crate::{BindError, options::SocketOptions};

/// A socket that accepts connections.
///
/// It accepts and nothing more: limits, timeouts and an orderly shutdown are
/// the business of [`Server`](crate::server::Server), which takes it.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

/// How to listen.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a listener is bound with it"]
pub struct ListenConfig {
    options: SocketOptions,
    backlog: u16,
}

impl Listener {
    /// Listens at `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`BindError::Address`] if the address cannot be bound, [`BindError::Io`]
    /// if the system has no socket left.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind_with(address, &ListenConfig::default())
    }

    /// Listens at `address` with options that are set before.
    ///
    /// Accepted connections inherit them, buffer sizes included.
    ///
    /// ```
    /// # use sockkit_core as sockkit;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use sockkit::options::SocketOptions;
    /// use sockkit::tcp::{ListenConfig, Listener};
    ///
    /// let options = SocketOptions::new().receive_buffer_bytes(1 << 20);
    /// let config = ListenConfig::default().options(options).backlog(16);
    /// let listener = Listener::bind_with(([127, 0, 0, 1], 0).into(), &config)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`bind`](Self::bind), and [`BindError::Options`], which names the
    /// option that could not be set.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind_with(address: SocketAddr, config: &ListenConfig) -> Result<Self, BindError> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        // Windows' option of that name lets others steal the port.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        config.options.apply(&socket)?;
        let failed = |source| BindError::Address { address, source };
        socket.bind(&SockAddr::from(address)).map_err(failed)?;
        // Two sockets may bind a port that they share; the second to listen fails.
        socket.listen(config.backlog.into()).map_err(failed)?;
        socket.set_nonblocking(true)?;
        let tcp = TcpListener::from_std(StdListener::from(socket))?;
        Ok(Self {
            tcp,
            read_timeout: config.options.wanted_read_timeout(),
            write_timeout: config.options.wanted_write_timeout(),
        })
    }

    /// Takes over a socket that listens already, such as one of a
    /// [service manager](crate::activation). Its `SO_RCVTIMEO` and
    /// `SO_SNDTIMEO` become the timeouts of its connections.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn from_std(listener: StdListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (read_timeout, write_timeout) = {
            let socket = SockRef::from(&listener);
            (socket.read_timeout()?, socket.write_timeout()?)
        };
        Ok(Self {
            tcp: TcpListener::from_std(listener)?,
            read_timeout,
            write_timeout,
        })
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// What the system says. An error is about one connection, or about a want
    /// of descriptors or memory; the listener stays good. Pause before the next
    /// call if it fails again, as [`Server`](crate::server::Server) does.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(Connection, SocketAddr)> {
        let (tcp, peer) = self.tcp.accept().await?;
        Ok((Connection::new(tcp)?, peer))
    }

    /// The address bound, with the port that the system chose.
    ///
    /// # Errors
    /// Passes on what the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The timeouts of reads and writes that its options ask for.
    pub(crate) fn timeouts(&self) -> (Option<Duration>, Option<Duration>) {
        (self.read_timeout, self.write_timeout)
    }

    /// The socket below, to look at and to set options of.
    pub fn get_ref(&self) -> &TcpListener {
        &self.tcp
    }

    /// The socket itself, which still listens, without timeouts.
    pub fn into_inner(self) -> TcpListener {
        self.tcp
    }
}

impl ListenConfig {
    /// Options to set before the address is bound. Default: none.
    ///
    /// `SO_REUSEADDR` is on in any case (but on Windows), so that a server can
    /// start again at once.
    pub fn options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }

    /// How many connections may wait to be accepted. Default: 1024.
    ///
    /// Linux adds one, and caps the number at `net.core.somaxconn`; whoever
    /// comes beyond it is not answered and tries again.
    pub fn backlog(mut self, connections: u16) -> Self {
        self.backlog = connections;
        self
    }
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            options: SocketOptions::new(),
            backlog: 1024,
        }
    }
}
