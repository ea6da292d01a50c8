//! Moves bytes between a stream and a worker thread.
//!
//! The worker reads, hashes and writes files. These calls block, so they do not
//! belong on an async thread; waiting for the network does not belong on the
//! worker. Full buffers travel between them through bounded channels and return
//! empty, so memory is constant and the disk and the network are busy at once.
//!
//! ```text
//!   file ─▶ worker ═▶ outbound ═▶ writes ─▶ stream ─▶ reads ═▶ inbound ═▶ worker ─▶ file
//!             ▲─── outbound_free ◀──┘                   ▲──── inbound_free ◀───┘
//! ```
//!
//! # Who wakes whom
//!
//! [`IoLoop::run`] polls three futures in one task: reads, writes, and a watch
//! for timeouts. They never block one another; each waits for exactly one thing:
//!
//! - *reads* waits for the stream, then for space in `inbound`, which the worker
//!   makes by receiving. While it waits for space nothing is read, so the peer's
//!   sends stop by the stream's own flow control.
//! - *writes* waits for a chunk in `outbound`, which wakes it, or for the
//!   keep-alive interval.
//! - the worker blocks in `inbound.blocking_recv` or in
//!   `outbound.blocking_send`. It cannot be woken in any other way, so both
//!   channels must close for it to stop: `inbound` when the peer closes,
//!   `outbound` when `run` ends, whatever the reason.
//!
//! Buffers are returned with `try_send`: a full free list drops the buffer, so
//! returning one never waits, and the two directions cannot deadlock.
//!
//! # Shutdown
//!
//! The worker drops its ends when it is done. That closes `outbound`; writes
//! drains what is queued and shuts the stream's write half down. Reads then
//! continues for at most 5 seconds, and discards what it reads: closing a TCP
//! socket with unread input sends a RST, which can destroy our last message
//! before the peer has read it. After a timeout of the peer there is no
//! reason to wait, and that step is skipped.

use std::{
    future::ready,
    io,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

/// The worker's end of the channels.
#[derive(Debug)]
pub(super) struct WorkerChannels {
    pub(super) outbound: mpsc::Sender<Chunk>,
    pub(super) outbound_free: mpsc::Receiver<Chunk>,
    pub(super) inbound: mpsc::Receiver<Vec<u8>>,
    pub(super) inbound_free: mpsc::Sender<Vec<u8>>,
    pub(super) activity: Arc<Activity>,
}

impl WorkerChannels {
    /// Whether the transfer is still running.
    ///
    /// # Errors
    /// [`TransferIoError::Closed`] if the connection has failed, or the
    /// transfer was stopped.
    pub(super) fn check(&self) -> Result<(), TransferIoError> {
        match self.outbound.is_closed() {
            true => Err(TransferIoError::Closed),
            false => Ok(()),
        }
    }
}

impl Drop for WorkerChannels {
    /// Writing the rest is not the worker's job.
    fn drop(&mut self) {
        self.activity.wait_for_peer(0);
    }
}

/// The stream's end of the channels.
#[derive(Debug)]
pub(super) struct IoLoop {
    pub(super) outbound: mpsc::Receiver<Chunk>,
    outbound_free: mpsc::Sender<Chunk>,
    inbound: mpsc::Sender<Vec<u8>>,
    inbound_free: mpsc::Receiver<Vec<u8>>,
    activity: Arc<Activity>,
    config: IoLoopConfig,
}

/// How the I/O loops of the two sides differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct IoLoopConfig {
    pub(super) idle_timeout: Duration,
    pub(super) stall_timeout: Duration,
    pub(super) read_buffer_bytes: usize,
    /// A keep-alive to write while there is nothing else to write.
    pub(super) heartbeat: Option<&'static [u8]>,
}

/// Bytes on their way to the stream.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Never changes its length, so that it is zeroed only once.
    pub(super) buffer: Vec<u8>,
    pub(super) filled: usize,
}

impl Chunk {
    pub(super) fn new() -> Self {
        Self::of(vec![0; CHUNK_BYTES], 0)
    }

    pub(super) fn of(buffer: Vec<u8>, filled: usize) -> Self {
        Self { buffer, filled }
    }
}

/// Why the I/O loop stopped before both sides were done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferIoError {
    /// The stream failed.
    #[error("connection failed")]
    Io(#[source] io::Error),
    /// No byte moved in either direction.
    #[error("peer was silent for {} s", after.as_secs())]
    Silent {
        /// For how long.
        after: Duration,
    },
    /// The peer did not complete its handshake: a port scanner, a peer that
    /// trickles bytes, or an extremely slow link.
    #[error("peer did not complete its handshake within {} s", timeout.as_secs())]
    Slow {
        /// The timeout, without extensions.
        timeout: Duration,
    },
    /// The peer sends keep-alives, but the transfer makes no progress.
    #[error("peer is alive, but the transfer has not moved for {} s", stall.as_secs())]
    Stalled {
        /// For how long.
        stall: Duration,
    },
    /// The peer closed before it was done.
    #[error("peer closed the connection before the transfer was complete")]
    Closed,
}

impl From<io::Error> for TransferIoError {
    /// A peer that is killed, or closes before it has read everything, resets the
    /// connection, and ends TLS without a goodbye.
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
        };
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof => {
                Self::Closed
            }
            _ => Self::Io(error),
        }
    }
}

impl IoLoop {
    pub(super) fn new(config: IoLoopConfig) -> (Self, WorkerChannels) {
        let (to_stream, outbound) = mpsc::channel(QUEUE);
        let (to_worker, inbound) = mpsc::channel(QUEUE);
        let (outbound_free, from_stream) = mpsc::channel(2 * QUEUE);
        let (inbound_free, from_worker) = mpsc::channel(2 * QUEUE);
        let activity = Arc::new(Activity::new());
        let worker = WorkerChannels {
            outbound: to_stream,
            outbound_free: from_stream,
            inbound,
            inbound_free,
            activity: Arc::clone(&activity),
        };
        let io_loop = Self {
            outbound,
            outbound_free,
            inbound: to_worker,
            inbound_free: from_worker,
            activity,
            config,
        };
        (io_loop, worker)
    }

    /// Runs until the worker has dropped its end and everything is written, or
    /// until the stream fails.
    pub(super) async fn run(
        self,
        stream: impl AsyncRead + AsyncWrite,
    ) -> Result<(), TransferIoError> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let Self {
            outbound,
            outbound_free,
            inbound,
            mut inbound_free,
            activity,
            config,
        } = self;
        let mut reads = Reads {
            reader: &mut reader,
            inbound: Some(inbound),
            free: &mut inbound_free,
            activity: &activity,
            buffer_bytes: config.read_buffer_bytes,
        };
        let mut writes = Writes {
            writer: &mut writer,
            outbound,
            free: outbound_free,
            activity: &activity,
            heartbeat: config.heartbeat,
            quiet: HEARTBEAT,
        };
        let written = {
            let reading = reads.run();
            let writing = writes.run();
            let watching = activity.watch(config);
            tokio::pin!(reading, writing, watching);
            let mut read_ended = false;
            loop {
                tokio::select! {
                    written = &mut writing => break written.map_err(TransferIoError::from),
                    error = &mut watching => break Err(error),
                    // The worker learns of the end from its closed channel,
                    // after everything that arrived before it.
                    _ended = &mut reading, if !read_ended => read_ended = true,
                }
            }
        };
        // A worker that still wants to send must not wait for the following.
        drop(writes);
        // The peer's last message may still be on its way. Closing with unread
        // input would reset the connection and discard our own last message.
        if !matches!(
            written,
            Err(TransferIoError::Silent { .. } | TransferIoError::Stalled { .. })
        ) {
            let _ = timeout(LINGER, reads.run()).await;
        }
        written
    }
}

struct Reads<'a, S> {
    reader: &'a mut ReadHalf<S>,
    inbound: Option<mpsc::Sender<Vec<u8>>>,
    free: &'a mut mpsc::Receiver<Vec<u8>>,
    activity: &'a Activity,
    buffer_bytes: usize,
}

impl<S: AsyncRead> Reads<'_, S> {
    /// Reads until the peer closes; after the worker is gone, discards the
    /// input.
    async fn run(&mut self) -> io::Result<()> {
        let result = self.read_to_end().await;
        self.inbound = None;
        result
    }

    async fn read_to_end(&mut self) -> io::Result<()> {
        loop {
            let mut buffer = match self.free.try_recv() {
                Ok(free) => free,
                Err(_) => Vec::with_capacity(self.buffer_bytes),
            };
            buffer.clear();
            if self.reader.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            // Data that is already available goes into the same buffer.
            while buffer.len() < buffer.capacity() {
                tokio::select! {
                    biased;
                    more = self.reader.read_buf(&mut buffer) => if more? == 0 { break },
                    () = ready(()) => break,
                }
            }
            self.activity.touch();
            if let Some(inbound) = &self.inbound {
                self.activity.inbound_is_full.store(true, Relaxed);
                let sent = inbound.send(buffer).await;
                self.activity.inbound_is_full.store(false, Relaxed);
                self.activity.touch();
                if sent.is_err() {
                    self.inbound = None;
                }
            }
        }
    }
}

struct Writes<'a, S> {
    writer: &'a mut WriteHalf<S>,
    outbound: mpsc::Receiver<Chunk>,
    free: mpsc::Sender<Chunk>,
    activity: &'a Activity,
    heartbeat: Option<&'static [u8]>,
    quiet: Duration,
}

impl<S: AsyncWrite> Writes<'_, S> {
    /// Writes until the worker drops its end, then closes the sending side.
    async fn run(&mut self) -> io::Result<()> {
        loop {
            let Ok(next) = timeout(self.quiet, self.outbound.recv()).await else {
                if let Some(heartbeat) = self.heartbeat {
                    self.writer.write_all(heartbeat).await?;
                    self.writer.flush().await?;
                }
                continue;
            };
            let Some(mut chunk) = next else {
                return self.writer.shutdown().await;
            };
            let mut written = 0;
            while written < chunk.filled {
                match self
                    .writer
                    .write(&chunk.buffer[written..chunk.filled])
                    .await?
                {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    bytes => written += bytes,
                }
                self.activity.touch_payload();
            }
            // If the queue of free chunks is full, there are enough.
            chunk.filled = 0;
            let _ = self.free.try_send(chunk);
            // TLS keeps what the socket has no room for, and the peer may wait for it.
            if self.outbound.is_empty() {
                self.writer.flush().await?;
            }
        }
    }
}

/// Times of the last activity, in milliseconds since the start.
///
/// Written by the worker thread and the I/O task, and polled by the watch in
/// the I/O task. `Relaxed` is enough for the times: no other memory is published
/// through them (buffers travel through channels, which synchronize), and the
/// watch may see a time late, since it looks eight times per timeout. Only
/// `is_working` is ordered: a watch that sees it cleared must also see the times that
/// exclude the work, or the work would count as the peer's silence.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    any: AtomicU64,
    payload: AtomicU64,
    /// The worker takes no more input for now, which is not the peer's fault.
    inbound_is_full: AtomicBool,
    /// The worker is busy with the local disk, which is not the peer's fault
    /// either.
    is_working: AtomicBool,
    work_began: AtomicU64,
    /// How much longer the peer may take, to read what it compares.
    comparing: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            any: AtomicU64::new(0),
            payload: AtomicU64::new(0),
            inbound_is_full: AtomicBool::new(false),
            is_working: AtomicBool::new(false),
            work_began: AtomicU64::new(0),
            comparing: AtomicU64::new(0),
        }
    }

    /// The worker waits for the peer, which must read `compared_bytes` of its
    /// own files before it can only send. The time that this side has worked
    /// does not count as the peer's silence.
    pub(super) fn wait_for_peer(&self, compared_bytes: u64) {
        let comparing = compared_bytes / COMPARED_BYTES_PER_MILLISECOND;
        self.comparing.store(comparing, Relaxed);
        // Only the worker writes `is_working` and `work_began`, so it reads its
        // own stores.
        if self.is_working.load(Relaxed) {
            let worked = self.since(&self.work_began).as_millis();
            let worked = u64::try_from(worked).unwrap_or(u64::MAX);
            self.payload.fetch_add(worked, Relaxed);
            self.touch();
            self.is_working.store(false, Release);
        }
    }

    /// The worker is busy until it waits again.
    pub(super) fn work(&self) {
        self.work_began.store(self.now(), Relaxed);
        self.is_working.store(true, Relaxed);
    }

    /// The peer is alive.
    pub(super) fn touch(&self) {
        self.any.store(self.now(), Relaxed);
    }

    /// The transfer makes progress.
    pub(super) fn touch_payload(&self) {
        self.payload.store(self.now(), Relaxed);
        self.touch();
    }

    async fn watch(&self, config: IoLoopConfig) -> TransferIoError {
        loop {
            sleep(config.idle_timeout.min(config.stall_timeout) / 8).await;
            // The flags before the times: the worker corrects the times, then
            // clears its flag. `inbound_is_full` is written by this task.
            if self.inbound_is_full.load(Relaxed) || self.is_working.load(Acquire) {
                continue;
            }
            let silence = self.since(&self.any);
            let stall = self.since(&self.payload);
            let comparing = Duration::from_millis(self.comparing.load(Relaxed));
            if silence > config.idle_timeout {
                return TransferIoError::Silent { after: silence };
            }
            if stall > config.stall_timeout.saturating_add(comparing) {
                return TransferIoError::Stalled { stall };
            }
        }
    }

    fn since(&self, moment: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(moment.load(Relaxed)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Large enough that passing a chunk costs nothing compared with filling it,
/// small enough to stay in the cache until it is written.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// Interval of keep-alives when nothing else is sent. Independent of the local
/// timeout: the peer's may be as short as three of these.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);
/// A disk that reads 10 MB/s is slow, not stalled.
const COMPARED_BYTES_PER_MILLISECOND: u64 = 10_000;
/// Number of chunks in flight in each direction.
const QUEUE: usize = 4;
/// How long to wait for the peer's last message, or for EOF.
const LINGER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio::io::BufStream;

    use super::*;
    use crate::session::WORKING;

    const SECOND: Duration = Duration::from_secs(1);

    fn config(idle_timeout: Duration) -> IoLoopConfig {
        IoLoopConfig {
            idle_timeout,
            stall_timeout: 900 * SECOND,
            read_buffer_bytes: 1_024,
            heartbeat: Some(WORKING),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_side_is_heard_within_its_peers_short_timeout() {
        let (busy, patient) = tokio::io::duplex(1_024);
        let (busy_loop, busy_worker) = IoLoop::new(config(30 * SECOND));
        let (io_loop, mut worker) = IoLoop::new(config(5 * SECOND));
        let twelve_seconds = async {
            let hearing = async { while worker.inbound.recv().await.is_some() {} };
            let _ = timeout(12 * SECOND, hearing).await;
            drop((worker, busy_worker));
        };
        let (busy_ended, ended, ()) =
            tokio::join!(busy_loop.run(busy), io_loop.run(patient), twelve_seconds);
        ended.expect("the peer was alive");
        busy_ended.expect("the peer was alive");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_stream_keeps_is_flushed_before_the_next_wait() {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let config = IoLoopConfig {
            heartbeat: None,
            ..config(30 * SECOND)
        };
        let (io_loop, worker) = IoLoop::new(config);
        let running = tokio::spawn(io_loop.run(BufStream::new(near)));
        let chunk = Chunk::of(b"the last words".to_vec(), 14);
        worker.outbound.send(chunk).await.unwrap();
        let mut heard = [0; 14];
        let hearing = timeout(SECOND, far.read_exact(&mut heard)).await;
        hearing.expect("it was flushed").unwrap();
        assert_eq!(&heard, b"the last words");
        drop((worker, far));
        running.await.unwrap().unwrap();
    }

    /// What ends the watch over a peer that says each second that it works.
    async fn watch_alive(activity: &Activity) -> (TransferIoError, Duration) {
        let start = Instant::now();
        let alive = async {
            loop {
                sleep(SECOND).await;
                activity.touch();
            }
        };
        let ended = tokio::select! {
            error = activity.watch(config(30 * SECOND)) => error,
            () = alive => unreachable!("it never ends"),
        };
        (ended, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_works_without_a_step_has_stalled() {
        let (error, after) = watch_alive(&Activity::new()).await;
        assert!(
            matches!(error, TransferIoError::Stalled { .. }),
            "{error:?}"
        );
        assert!((900 * SECOND..910 * SECOND).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_gets_time_to_read_what_it_compares() {
        let activity = Activity::new();
        activity.work();
        activity.wait_for_peer(150_000_000_000);
        let (error, after) = watch_alive(&activity).await;
        assert!(
            matches!(error, TransferIoError::Stalled { .. }),
            "{error:?}"
        );
        let (least, most) = (15_900 * SECOND, 15_910 * SECOND);
        assert!((least..most).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_work_is_neither_silence_nor_stall_of_the_peer() {
        let activity = Activity::new();
        activity.work();
        let watching = activity.watch(config(30 * SECOND));
        tokio::pin!(watching);
        let working = timeout(3_600 * SECOND, &mut watching).await;
        assert!(working.is_err(), "{working:?}");
        activity.wait_for_peer(0);
        let start = Instant::now();
        let error = watching.await;
        assert!(matches!(error, TransferIoError::Silent { .. }), "{error:?}");
        assert!(start.elapsed() >= 30 * SECOND, "{:?}", start.elapsed());
    }
}
