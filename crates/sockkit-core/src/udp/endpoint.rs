//! A bound UDP socket, optionally connected to one peer.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::{io::Interest, net::UdpSocket, time::timeout};

use super::{PeerError, ReceiveBatch, UdpError, peer_error::PeerErrors};
use crate::{BindError, options::SocketOptions, sys::datagram};

/// A bound UDP socket that sends and receives singly or in batches.
///
/// All calls take `&self`: share it between tasks with an `Arc`. Several tasks
/// may receive; each datagram goes to one of them.
#[derive(Debug)]
pub struct UdpEndpoint {
    pub(super) socket: UdpSocket,
    pub(super) is_connected: AtomicBool,
    pub(super) errors: Mutex<PeerErrors>,
    /// Segments at least this long are sent one by one; zero for all.
    pub(super) offload_below_bytes: AtomicUsize,
    pub(super) receive_offload: ReceiveOffload,
    /// Whether the kernel reports more about a datagram than its sender.
    pub(super) has_control_data: bool,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    /// A merged run that a single receive has found; the next receives take it.
    held: Mutex<Option<ReceiveBatch>>,
}

/// Whether the kernel may split and merge runs of datagrams.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Offload {
    /// If the kernel supports it. The default.
    ///
    /// A receiver whose buffer is full then loses a whole run instead of one
    /// datagram.
    #[default]
    Auto,
    /// Never: every datagram passes the network stack separately.
    Off,
}

/// Merging starts with the first batch received: single receives have room for
/// one datagram only.
#[derive(Debug)]
pub(super) struct ReceiveOffload {
    allowed: bool,
    pub(super) is_on: AtomicBool,
}

impl UdpEndpoint {
    /// Binds `address`; port 0 lets the system choose one.
    ///
    /// Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`BindError::Address`] if the address is in use, not local, or reserved;
    /// [`BindError::Io`] if no socket is available.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind_with(address, &SocketOptions::new())
    }

    /// Binds `address` with socket options that are set before.
    ///
    /// Their read and write timeouts apply to each call of this endpoint.
    ///
    /// ```
    /// # use sockkit_core as sockkit;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use std::time::Duration;
    /// use sockkit::options::SocketOptions;
    /// use sockkit::udp::{UdpEndpoint, UdpError};
    ///
    /// let options = SocketOptions::new()
    ///     .reuse_address(true)
    ///     .receive_buffer_bytes(1 << 20)
    ///     .read_timeout(Some(Duration::from_millis(10)));
    /// let endpoint = UdpEndpoint::bind_with(([127, 0, 0, 1], 0).into(), &options)?;
    /// let mut buffer = [0; 1500];
    /// let silence = endpoint.recv(&mut buffer).await;
    /// assert!(matches!(silence, Err(UdpError::TimedOut { .. })));
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
    pub fn bind_with(address: SocketAddr, options: &SocketOptions) -> Result<Self, BindError> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        options.apply(&socket)?;
        socket
            .bind(&SockAddr::from(address))
            .map_err(|source| BindError::Address { address, source })?;
        let mut endpoint = Self::from_std(socket.into())?;
        endpoint.read_timeout = options.wanted_read_timeout();
        endpoint.write_timeout = options.wanted_write_timeout();
        Ok(endpoint)
    }

    /// Wraps a socket that is already bound; keeps its options.
    ///
    /// # Errors
    /// If the operating system rejects an option that the endpoint needs.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        datagram::prepare(&socket)?;
        Ok(Self {
            has_control_data: datagram::has_control_data(&socket),
            is_connected: AtomicBool::new(socket.peer_addr().is_ok()),
            socket,
            errors: Mutex::default(),
            offload_below_bytes: AtomicUsize::new(usize::MAX),
            receive_offload: ReceiveOffload {
                allowed: true,
                is_on: AtomicBool::new(false),
            },
            read_timeout: None,
            write_timeout: None,
            held: Mutex::new(None),
        })
    }

    /// Sets whether the kernel may split and merge runs of datagrams.
    #[must_use = "the endpoint is returned"]
    pub fn offload(mut self, offload: Offload) -> Self {
        let allowed = offload == Offload::Auto;
        self.offload_below_bytes = AtomicUsize::new(if allowed { usize::MAX } else { 0 });
        self.receive_offload.allowed = allowed;
        self
    }

    /// Connects to `peer`: only its datagrams are received, and
    /// [`Transmit::to_peer`](super::Transmit::to_peer) sends to it.
    ///
    /// # Errors
    /// [`UdpError::Connect`] if there is no route to `peer`.
    pub fn connect(&self, peer: SocketAddr) -> Result<(), UdpError> {
        SockRef::from(&self.socket)
            .connect(&SockAddr::from(peer))
            .map_err(|source| UdpError::Connect { peer, source })?;
        self.is_connected.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Enables reporting of the address and interface of each datagram.
    pub(crate) fn with_packet_info(mut self) -> io::Result<Self> {
        datagram::ask_packet_info(&self.socket)?;
        self.has_control_data = datagram::has_control_data(&self.socket);
        Ok(self)
    }

    /// Waits until a receive would return a datagram or an error.
    ///
    /// # Errors
    /// [`UdpError::Io`] if the operating system fails.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn readable(&self) -> Result<(), UdpError> {
        // Held datagrams do not make the socket readable.
        if !self.holds_any() {
            self.socket.ready(RECEIVE_INTEREST).await?;
        }
        Ok(())
    }

    /// Returns the socket, in non-blocking mode. Datagrams of a merged run that
    /// [`recv`](Self::recv) has not returned yet are lost.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.socket.into_std()
    }

    /// The local address.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The address of the connected peer.
    ///
    /// # Errors
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// Takes the oldest ICMP error that has not been taken yet.
    ///
    /// The newest 64 are kept. See the [module](super) for why calls do not
    /// return them.
    pub fn take_peer_error(&self) -> Option<PeerError> {
        self.drain_errors();
        self.pop_error()
    }

    /// Whether a failed call should be repeated, because the error was an ICMP
    /// error about an earlier datagram.
    pub(super) fn absorb(&self, error: &io::Error) -> bool {
        if error.kind() == io::ErrorKind::WouldBlock {
            return false;
        }
        if self.drain_errors() > 0 {
            return true;
        }
        // The queue was full, or the system has none.
        let is_icmp_error = matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
        );
        if is_icmp_error {
            self.push_error(PeerError::refused_by_unknown());
        }
        is_icmp_error
    }

    pub(super) fn pop_error(&self) -> Option<PeerError> {
        self.errors().pop()
    }

    /// Enables merging if it is allowed and still off.
    pub(super) fn allow_joining(&self) {
        if self.receive_offload.allowed && !self.receive_offload.is_on.load(Ordering::Relaxed) {
            // Without it, datagrams arrive one by one, which works as well.
            let is_on = datagram::enable_coalescing(&self.socket).is_ok();
            self.receive_offload.is_on.store(is_on, Ordering::Relaxed);
        }
    }

    /// Runs `call` whenever the socket is ready, until it returns anything
    /// other than `WouldBlock`, or `limit` has passed.
    pub(super) async fn when_ready<T>(
        &self,
        interest: Interest,
        limit: Option<Duration>,
        call: impl FnMut() -> io::Result<T>,
    ) -> Result<io::Result<T>, UdpError> {
        let answer = self.socket.async_io(interest, call);
        match limit {
            None => Ok(answer.await),
            Some(limit) => timeout(limit, answer)
                .await
                .map_err(|_| UdpError::TimedOut { timeout: limit }),
        }
    }

    /// For modules that set options unknown to this one.
    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    fn errors(&self) -> MutexGuard<'_, PeerErrors> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Option<ReceiveBatch>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds_any(&self) -> bool {
        self.receive_offload.is_on.load(Ordering::Relaxed)
            && (self.held().as_ref()).is_some_and(|held| !held.is_empty())
    }

    /// Moves the kernel's queued errors to `errors`. Returns how many.
    fn drain_errors(&self) -> usize {
        let mut found = 0;
        // Bounded, so that a flood of ICMP errors cannot block the caller.
        for _ in 0..MAX_DRAINED {
            let Ok(Some(error)) = datagram::next_error(&self.socket) else {
                break;
            };
            if let Some(error) = PeerError::from_queue(error) {
                self.push_error(error);
                found += 1;
            }
        }
        found
    }

    fn push_error(&self, error: PeerError) {
        self.errors().push(error);
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for UdpEndpoint {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for UdpEndpoint {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}

/// ICMP errors wake only tasks that are interested in errors.
pub(super) const RECEIVE_INTEREST: Interest = Interest::READABLE.add(Interest::ERROR);

const MAX_DRAINED: usize = 64;
