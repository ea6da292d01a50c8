//! TCP listeners.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::TcpListener;

use super::Connection;
use crate::{BindError, options::SocketOptions};

/// A TCP socket that accepts connections.
///
/// It only accepts. Limits, timeouts and graceful shutdown are provided by
/// [`Server`](crate::server::Server), which takes a listener.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

/// Settings of a listener.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a listener is bound with it"]
pub struct ListenConfig {
    options: SocketOptions,
    backlog: u16,
}

impl Listener {
    /// Binds `address` and listens; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`BindError::Address`] if the address cannot be bound, [`BindError::Io`]
    /// if no socket is available.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind_with(address, &ListenConfig::default())
    }

    /// Binds with socket options that are set before.
    ///
    /// Accepted connections inherit the options, including buffer sizes.
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
    /// As [`bind`](Self::bind), and [`BindError::Options`] for an option that
    /// could not be set.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind_with(address: SocketAddr, config: &ListenConfig) -> Result<Self, BindError> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        // On Windows this option would allow another program to take over the
        // port.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        config.options.apply(&socket)?;
        let failed = |source| BindError::Address { address, source };
        socket.bind(&SockAddr::from(address)).map_err(failed)?;
        // Two sockets may bind a shared port; listening on the second fails.
        socket.listen(config.backlog.into()).map_err(failed)?;
        socket.set_nonblocking(true)?;
        let tcp = TcpListener::from_std(StdListener::from(socket))?;
        Ok(Self {
            tcp,
            read_timeout: config.options.wanted_read_timeout(),
            write_timeout: config.options.wanted_write_timeout(),
        })
    }

    /// Wraps a listening socket, such as one passed by a [service
    /// manager](crate::activation). Its `SO_RCVTIMEO` and `SO_SNDTIMEO` become
    /// the timeouts of its connections.
    ///
    /// # Errors
    /// The operating system's error.
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
    /// The operating system's error, which concerns one connection or a lack of
    /// descriptors or memory; the listener remains usable. If it fails
    /// repeatedly, pause before the next call, as
    /// [`Server`](crate::server::Server) does.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub async fn accept(&self) -> io::Result<(Connection, SocketAddr)> {
        let (tcp, peer) = self.tcp.accept().await?;
        Ok((Connection::new(tcp)?, peer))
    }

    /// The local address, with the port chosen by the system.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The read and write timeouts from its options.
    pub(crate) fn timeouts(&self) -> (Option<Duration>, Option<Duration>) {
        (self.read_timeout, self.write_timeout)
    }

    /// The underlying socket, for inspection and options.
    pub fn get_ref(&self) -> &TcpListener {
        &self.tcp
    }

    /// Returns the listening socket, without timeouts.
    pub fn into_inner(self) -> TcpListener {
        self.tcp
    }
}

impl ListenConfig {
    /// Options to set before binding. Default: none.
    ///
    /// `SO_REUSEADDR` is always on (except on Windows), so that a server can
    /// restart immediately.
    pub fn options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }

    /// Maximum number of connections that wait to be accepted. Default: 1024.
    ///
    /// Linux adds one, and caps the value at `net.core.somaxconn`. Further
    /// clients get no reply and retry.
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
