//! One TCP connection.

use std::{
    fs::File,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use super::{End, Timeout, deadline::Deadline};
use crate::options::{Live, OptionError, SocketOptions};

/// A TCP connection with counters and timeouts that knows why it ended.
///
/// Read and write it with tokio's `AsyncReadExt` and `AsyncWriteExt`: `read`,
/// `read_exact`, `write_all`, `write_vectored`, and `shutdown`, which closes
/// only the sending side (FIN). Dropping it closes it in the background.
///
/// It has no buffer. To use both directions at once, call `tokio::io::split`.
#[derive(Debug)]
pub struct Connection {
    tcp: TcpStream,
    counters: Counters,
    end: Option<End>,
    reads: Deadline,
    writes: Deadline,
}

/// Byte counters of a connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Bytes read.
    pub received_bytes: u64,
    /// Bytes accepted by the kernel; they may not have been delivered.
    pub sent_bytes: u64,
}

impl Connection {
    /// Wraps a connected socket.
    ///
    /// `SO_RCVTIMEO` and `SO_SNDTIMEO` of the socket become the connection's
    /// timeouts.
    ///
    /// # Errors
    /// If the operating system cannot read them.
    pub fn new(tcp: TcpStream) -> io::Result<Self> {
        let (read, write) = {
            let socket = socket2::SockRef::from(&tcp);
            (socket.read_timeout()?, socket.write_timeout()?)
        };
        Ok(Self {
            tcp,
            counters: Counters::default(),
            end: None,
            reads: Deadline::new(read, Timeout::Read),
            writes: Deadline::new(write, Timeout::Write),
        })
    }

    /// The local address.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The peer's address.
    ///
    /// # Errors
    /// The operating system's error; a reset connection has no peer address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }

    /// Byte counters so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Why the connection ended, as observed by reads and writes. The first
    /// reason is kept, except that an error after the peer's FIN replaces it.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Timeout of one read; `None` and `Duration::MAX` mean none.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.reads.timeout()
    }

    /// Timeout of one write; `None` and `Duration::MAX` mean none.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.writes.timeout()
    }

    /// Sets the timeout of one read. A read that stays pending longer fails
    /// with [`Timeout::Read`], and the connection remains usable.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.reads.set(timeout);
    }

    /// Sets the timeout of one write. A write that stays pending longer fails
    /// with [`Timeout::Write`], and the connection remains usable.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.writes.set(timeout);
    }

    /// Reads the socket's options, one by one or as a table, including the
    /// kernel's statistics (`TCP_INFO`).
    ///
    /// # Errors
    /// As [`Live::of`].
    pub fn options(&self) -> Result<Live<'_>, OptionError> {
        Live::of(&self.tcp)
    }

    /// Sets options of the connected socket.
    ///
    /// # Errors
    /// [`OptionError`] for the option that failed.
    pub fn set_options(&mut self, options: &SocketOptions) -> Result<(), OptionError> {
        options.apply(&self.tcp)?;
        if options.wanted_read_timeout().is_some() {
            self.reads.set(options.wanted_read_timeout());
        }
        if options.wanted_write_timeout().is_some() {
            self.writes.set(options.wanted_write_timeout());
        }
        Ok(())
    }

    /// Waits for data and copies it without consuming it; 0 means EOF.
    ///
    /// # Errors
    /// The error that ended the connection, or [`Timeout::Read`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let peeking = self.tcp.peek(buffer);
        let result = match self.reads.timeout() {
            None => peeking.await,
            Some(limit) => match timeout(limit, peeking).await {
                Ok(result) => result,
                Err(_) => Err(Timeout::Read.into()),
            },
        };
        if let Err(error) = &result {
            self.note(End::from_io(error));
        }
        result
    }

    /// Sends `bytes` of `file` from `offset` on, through the kernel: on Linux
    /// they never enter this process (`sendfile`), elsewhere they are copied.
    /// Returns the number of bytes sent, which is smaller if the file ends
    /// first.
    ///
    /// The file's own position is not used. A file that is not in the page
    /// cache is read from the disk on this thread; where that can take long,
    /// use a multi-threaded runtime.
    ///
    /// # Errors
    /// The error that ended the connection, [`Timeout::Write`], or an error of
    /// the file.
    ///
    /// # Cancel safety
    /// Not cancel safe: [`counters`](Self::counters) tells how much was sent.
    pub async fn send_file(&mut self, file: &File, offset: u64, bytes: u64) -> io::Result<u64> {
        let mut sent = 0;
        while sent < bytes {
            match self.send_some_of(file, offset + sent, bytes - sent).await? {
                0 => break,
                some => sent += some as u64,
            }
        }
        Ok(sent)
    }

    #[cfg(target_os = "linux")]
    async fn send_some_of(&mut self, file: &File, offset: u64, bytes: u64) -> io::Result<usize> {
        let mut offset = offset;
        let sending = super::sendfile::send_some(&self.tcp, file, &mut offset, bytes);
        let result = match self.writes.timeout() {
            None => sending.await,
            Some(limit) => match timeout(limit, sending).await {
                Ok(result) => result,
                Err(_) => Err(Timeout::Write.into()),
            },
        };
        self.sent(&result);
        result
    }

    #[cfg(not(target_os = "linux"))]
    async fn send_some_of(&mut self, file: &File, offset: u64, bytes: u64) -> io::Result<usize> {
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX).min(64 << 10)];
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(file, &mut buffer, offset)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(file, &mut buffer, offset)?;
        self.write_all(&buffer[..read]).await?;
        Ok(read)
    }

    /// Closes the connection gracefully: sends FIN, discards data that the peer
    /// still sends, and waits for its FIN, for at most `timeout`.
    ///
    /// Returns [`End::Finished`] if the peer closed, too, and [`End::TimedOut`]
    /// with [`Timeout::Close`] if it keeps sending or does not close. Closing
    /// with unread data would reset the connection, and the peer could lose
    /// data that it has not read yet.
    ///
    /// # Cancel safety
    /// Cancel safe: the socket is closed in the background in any case.
    pub async fn close(mut self, timeout: Duration) -> End {
        self.reads.set(None);
        match tokio::time::timeout(timeout, self.finish()).await {
            Ok(Ok(())) => End::Finished,
            Ok(Err(error)) => End::from_io(&error),
            Err(_) => End::TimedOut(Timeout::Close),
        }
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.shutdown().await?;
        let mut rest = [0; 4096];
        while self.read(&mut rest).await? > 0 {}
        Ok(())
    }

    /// Aborts the connection with RST: undelivered data is lost, and the peer
    /// notices at once.
    pub fn abort(self) -> End {
        // Fails if the socket is already reset.
        let _ = self.tcp.set_zero_linger();
        End::Aborted
    }

    /// The underlying socket, for inspection and options.
    ///
    /// Data read or written through it is not counted.
    pub fn get_ref(&self) -> &TcpStream {
        &self.tcp
    }

    /// Returns the socket, without counters and timeouts.
    pub fn into_inner(self) -> TcpStream {
        self.tcp
    }

    fn note(&mut self, end: End) {
        // The connection remains usable after one of its own timeouts.
        if !matches!(end, End::TimedOut(_)) && matches!(self.end, None | Some(End::Finished)) {
            self.end = Some(end);
        }
    }

    fn sent(&mut self, result: &io::Result<usize>) {
        match result {
            Ok(bytes) => self.counters.sent_bytes += *bytes as u64,
            Err(error) => self.note(End::from_io(error)),
        }
    }

    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let result = self.writes.watch(cx, result);
        if let Poll::Ready(result) = &result {
            self.sent(result);
        }
        result
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let (room, before) = (buf.remaining(), buf.filled().len());
        let result = Pin::new(&mut this.tcp).poll_read(cx, buf);
        let result = this.reads.watch(cx, result);
        let bytes = buf.filled().len() - before;
        this.counters.received_bytes += bytes as u64;
        match &result {
            Poll::Ready(Ok(())) if bytes == 0 && room > 0 => this.note(End::Finished),
            Poll::Ready(Err(error)) => this.note(End::from_io(error)),
            _ => {}
        }
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.watch_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.watch_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Connection {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Connection {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.tcp.as_socket()
    }
}
