//! Receives into a [`Destination`], or into whatever takes verified blocks.

mod disk;
mod into_folder;
mod sink;
mod worker;

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_blocking,
};

pub use self::sink::FileSink;
use self::{
    into_folder::IntoFolder,
    sink::IntoSink,
    worker::{Keeper, ReceiveWorker},
};
use super::{
    handshake::{self, Allowance, HandshakeStream},
    io_loop::{CHUNK_BYTES, IoLoop, IoLoopConfig, TransferIoError},
    progress::{OnProgress, Summary},
};
use crate::{
    Entry, Manifest, NameRules,
    session::{
        Abort, Limits, ReceiverEvent, ReceiverSession, RefuseReason, Reviewed, SessionError,
        WORKING, review,
    },
    store::{Destination, OnConflict, Planned, Planner},
};

/// How to receive.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until something is received with it"]
pub struct ReceiveConfig {
    name: String,
    limits: Limits,
    on_conflict: OnConflict,
    keep_executable: bool,
    busy: bool,
    handshake_timeout: Duration,
    offer_timeout: Option<Duration>,
    idle_timeout: Duration,
    stall_timeout: Duration,
    on_progress: OnProgress,
}

impl Default for ReceiveConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            limits: Limits::default(),
            on_conflict: OnConflict::default(),
            keep_executable: false,
            busy: false,
            handshake_timeout: Duration::from_secs(10),
            offer_timeout: None,
            idle_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(900),
            on_progress: OnProgress::default(),
        }
    }
}

impl ReceiveConfig {
    /// Display name shown to the user at the sender. Default: empty.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What is taken at most. Default: see [`Limits`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What to do about files that are there already. Default:
    /// [`OnConflict::Refuse`].
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.on_conflict = on_conflict;
        self
    }

    /// Whether a file that the sender may run as a program can be run here as well.
    /// Default: no, for a file should become a program only when its receiver says so.
    pub fn keep_executable(mut self, keep_executable: bool) -> Self {
        self.keep_executable = keep_executable;
        self
    }

    /// Whether the sender is told at once that others come first. Default: it
    /// is not.
    pub fn busy(mut self, busy: bool) -> Self {
        self.busy = busy;
        self
    }

    /// How long the sender may take to the end of its offer, in all; each
    /// 256 KiB that arrive earn it a second more, up to the
    /// [limit](Limits::max_manifest_bytes) of an offer. Default: 10 s.
    pub fn handshake_timeout(mut self, handshake_timeout: Duration) -> Self {
        self.handshake_timeout = handshake_timeout;
        self
    }

    /// How long a sender that has said hello may take to offer, as one that
    /// first asks its user. Default: no longer than
    /// [`handshake_timeout`](Self::handshake_timeout), which then counts from
    /// the beginning to the offer. For receivers that dial.
    pub fn offer_timeout(mut self, offer_timeout: Duration) -> Self {
        self.offer_timeout = Some(offer_timeout);
        self
    }

    /// How long no byte may move in either direction. Default: 30 s. It is not
    /// a limit for the whole transfer, and runs from the first moment.
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// How long a sender that is alive may send no bytes of files. Default: 15
    /// minutes, and a second more for each 10 MB of files that are here already:
    /// the sender reads them first, to compare.
    pub fn stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self
    }

    /// Called with each step of progress. Default: not called.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.on_progress = on_progress;
        self
    }
}

/// Waits for the sender at the other end of `stream` to make an offer.
///
/// It does not matter which side listened. Nothing is written before
/// [`Offer::accept`] or [`Offer::accept_into`].
///
/// # Errors
/// If the connection or the peer failed, or the offer is beyond the limits.
///
/// # Cancel safety
/// Not cancel safe; dropping the future drops the connection, and nothing has
/// been written.
pub async fn receive<S>(stream: S, config: &ReceiveConfig) -> Result<Offer<S>, ReceiveError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = config.limits.clone();
    let mut session = if config.busy {
        ReceiverSession::busy(&config.name, limits)
    } else {
        ReceiverSession::new(&config.name, limits)
    };
    let mut talk = HandshakeStream::new(stream, config.idle_timeout);
    match offered(&mut talk, &mut session, config).await {
        Ok((peer, manifest)) => Ok(Offer {
            reviewed: review(&manifest, NameRules::native()),
            talk,
            session,
            manifest,
            peer,
            config: config.clone(),
        }),
        Err(error) => {
            let reason = match &error {
                ReceiveError::Session(error) => error.abort(),
                ReceiveError::Io(TransferIoError::Slow { .. }) => Some(Abort::TimedOut),
                _ => return Err(error),
            };
            reason.into_iter().for_each(|reason| session.abort(reason));
            talk.part(session.poll_transmit()).await;
            Err(error)
        }
    }
}

/// Up to the offer; returns who makes it.
async fn offered<S>(
    talk: &mut HandshakeStream<S>,
    session: &mut ReceiverSession,
    config: &ReceiveConfig,
) -> Result<(String, Manifest), ReceiveError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let max_bytes = config.limits.offer_bytes();
    let mut allowance = Allowance::begin(config.handshake_timeout, max_bytes);
    let mut max_silence = Some(config.idle_timeout);
    let mut peer = String::new();
    let mut offered = None;
    while let Some(bytes) = session.poll_transmit() {
        talk.say(bytes);
    }
    loop {
        let mut input = talk.hear(max_silence, Some(allowance)).await?;
        while let Some(event) = session.handle_input(&mut input)? {
            match event {
                ReceiverEvent::Peer(hello) => {
                    peer = hello.name;
                    if let Some(timeout) = config.offer_timeout {
                        allowance = Allowance::begin(timeout, max_bytes);
                        max_silence = None;
                    }
                }
                // What came after it in the same read is the session's too.
                ReceiverEvent::Offered(manifest) => offered = Some(manifest),
                _ => unreachable!("nothing was accepted yet"),
            }
        }
        if let Some(manifest) = offered.take() {
            return Ok((peer, manifest));
        }
        if config.offer_timeout.is_some() && session.peer_beats() {
            max_silence = handshake::max_silence(true, config.idle_timeout);
        }
    }
}

/// An offer that waits for a decision.
#[derive(Debug)]
#[must_use = "the sender waits for an answer"]
pub struct Offer<S> {
    talk: HandshakeStream<S>,
    session: ReceiverSession,
    manifest: Manifest,
    reviewed: Vec<Reviewed>,
    peer: String,
    config: ReceiveConfig,
}

impl<S> Offer<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// What is on offer, as the peer announced it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the rules for names say to each entry.
    pub fn reviewed(&self) -> &[Reviewed] {
        &self.reviewed
    }

    /// Keeps those entries that `wanted` says yes to; the sender is told that the others
    /// are not wanted.
    pub fn select(mut self, mut wanted: impl FnMut(&Entry) -> bool) -> Self {
        let entries = self.manifest.entries.iter().zip(&mut self.reviewed);
        for (entry, reviewed) in entries {
            if reviewed.path().is_ok() && !wanted(entry) {
                *reviewed = Reviewed::Unwanted;
            }
        }
        self
    }

    /// What the peer calls itself, as it came: unproved, and to be shown through
    /// [`quote`](sockkit_codec::text::quote) only.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// What [`accept`](Self::accept) would do about each entry, by what is in
    /// `destination` now: for a user to decide by. It changes nothing, and what
    /// appears there later may change it.
    ///
    /// It looks at the disk once for each entry, and blocks the thread meanwhile. If
    /// names are on offer that differ in case alone, or the like, it makes an empty file
    /// and removes it, to see whether they are one there.
    pub fn plan(&self, destination: &Destination) -> Vec<Planned> {
        let mut planner = Planner::new(destination, self.config.on_conflict);
        let entries = self.manifest.entries.iter().zip(&self.reviewed);
        entries
            .map(|(entry, reviewed)| match reviewed.path() {
                Ok(_) if reviewed.is_twin() && planner.confuses_names() => {
                    Planned::Refuse(RefuseReason::Collision)
                }
                Ok(path) => planner.plan(path, entry),
                Err(reason) => Planned::Refuse(reason),
            })
            .collect()
    }

    /// Waits for `decision`, such as a user's, and tells the sender meanwhile
    /// that this side is alive. How long it takes is the caller's to bound.
    ///
    /// # Errors
    /// If the sender leaves first, or breaks the protocol.
    ///
    /// # Cancel safety
    /// Cancel safe: hold it again, accept or decline.
    pub async fn hold<T>(&mut self, decision: impl Future<Output = T>) -> Result<T, ReceiveError> {
        tokio::select! {
            biased;
            error = self.watch() => Err(error),
            decided = decision => Ok(decided),
        }
    }

    /// Says no.
    ///
    /// # Cancel safety
    /// Cancel safe in so far as the connection closes either way.
    pub async fn decline(self) {
        self.refuse(Abort::Declined).await;
    }

    /// Says no, and why.
    ///
    /// # Cancel safety
    /// Cancel safe in so far as the connection closes either way.
    pub async fn refuse(mut self, reason: Abort) {
        self.session.abort(reason);
        self.talk.close_after(self.session.poll_transmit()).await;
    }

    /// Receives what is on offer into `destination`.
    ///
    /// Entries that the rules, the [`OnConflict`] policy or the disk refuse are
    /// named in the summary; the others are received.
    ///
    /// # Errors
    /// If the connection, the peer or the disk failed as a whole. What was
    /// verified by then is kept, and the next attempt resumes there.
    ///
    /// # Cancel safety
    /// Not cancel safe in the sense that the session cannot be continued; but
    /// dropping the future is the way to stop a transfer. The worker thread
    /// ends at its next piece and keeps a part that can be resumed.
    pub async fn accept(self, destination: &Destination) -> Result<Summary, ReceiveError> {
        let Self {
            talk,
            session,
            manifest,
            reviewed,
            config,
            ..
        } = self;
        let keeper = IntoFolder::new(destination, manifest, reviewed, &config);
        run(talk, session, keeper, &config).await
    }

    /// Receives what is on offer into `sink`, and gives it back.
    ///
    /// Entries that the rules or the sink refuse are named in the summary; the others
    /// are received. How long a call to the sink may take is bounded by the sender's
    /// patience, 5 minutes by default.
    ///
    /// # Errors
    /// If the connection or the peer failed. Then the sink is dropped.
    ///
    /// # Cancel safety
    /// As [`accept`](Self::accept); nothing can be resumed.
    pub async fn accept_into<T: FileSink>(self, sink: T) -> Result<(Summary, T), ReceiveError> {
        let Self {
            talk,
            session,
            manifest,
            reviewed,
            config,
            ..
        } = self;
        let keeper = IntoSink::new(sink, manifest, reviewed, &config);
        run(talk, session, keeper, &config).await
    }

    /// Returns why when the sender has left.
    async fn watch(&mut self) -> ReceiveError {
        loop {
            let beats = self.session.peer_beats();
            let max_silence = handshake::max_silence(beats, self.config.idle_timeout);
            let mut input = match self.talk.hear(max_silence, None).await {
                Ok(input) => input,
                Err(error) => return error.into(),
            };
            match self.session.handle_input(&mut input) {
                Ok(None) => {}
                Ok(Some(_)) => unreachable!("nothing was accepted yet"),
                Err(error) => return error.into(),
            }
        }
    }
}

/// The rest of the transfer, on a thread and beside it.
async fn run<S, K>(
    talk: HandshakeStream<S>,
    session: ReceiverSession,
    keeper: K,
    config: &ReceiveConfig,
) -> Result<K::Kept, ReceiveError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    K: Keeper + Send + 'static,
    K::Kept: Send + 'static,
{
    let stream = talk.into_stream().await?;
    let (io_loop, link) = IoLoop::new(IoLoopConfig {
        idle_timeout: config.idle_timeout,
        patience: config.stall_timeout,
        read_buffer_bytes: CHUNK_BYTES,
        heartbeat: Some(WORKING),
    });
    let worker = ReceiveWorker::new(session, link, keeper);
    let worker = spawn_blocking(move || worker.run());
    let pumped = io_loop.run(stream).await;
    let worked = worker.await.unwrap_or(Err(ReceiveError::Worker));
    match (worked, pumped) {
        // The worker only saw its channel close; the pump knows why.
        (Err(ReceiveError::Io(TransferIoError::Closed)), Err(error)) => Err(error.into()),
        (worked, _) => worked,
    }
}

impl<S> Offer<S> {
    /// The connection to the sender, to look at.
    pub fn get_ref(&self) -> &S {
        self.talk.get_ref()
    }

    /// Makes [`OnConflict`] another one for this offer.
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.config.on_conflict = on_conflict;
        self
    }

    /// Called with each step of this transfer's progress.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.config.on_progress = on_progress;
        self
    }
}

/// Why files could not be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The connection or the peer failed: try again, it can be resumed.
    #[error(transparent)]
    Io(#[from] TransferIoError),
    /// The peer broke the protocol, or ended the session and said why.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// There is not enough room: free some, then resume.
    #[error("{needed_bytes} bytes are needed, {available_bytes} are free")]
    NoSpace {
        /// Bytes still to come.
        needed_bytes: u64,
        /// Bytes free at the destination.
        available_bytes: u64,
    },
    /// There is room for the bytes, but not for as many files: remove some, then
    /// resume.
    #[error("{needed} files and folders are to be made, there is room for {available}")]
    NoInodes {
        /// Files and folders still to be made.
        needed: u64,
        /// How many more the file system takes.
        available: u64,
    },
    /// The user may have no more on that disk: remove some, then resume.
    #[error(
        "cannot write {path}: your quota on that disk is used up; remove some files, then resume"
    )]
    Quota {
        /// The file, relative to the destination.
        path: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The file system is full, though it has bytes free: it has run out of
    /// inodes, or keeps the rest for others.
    #[error(
        "cannot write {path}: the file system takes no more, though bytes are free \
         (out of inodes, a quota or a reserve); remove some files, then resume"
    )]
    Full {
        /// The file, relative to the destination.
        path: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The file system does not say how much room it has.
    #[error("cannot find out how much room the destination has")]
    Room(#[source] io::Error),
    /// The destination failed while `path` was written.
    #[error("cannot write {path}")]
    Write {
        /// The file, relative to the destination.
        path: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// What had arrived could not be synced. It is not kept: the next attempt
    /// fetches it again.
    #[error("cannot sync the destination")]
    Sync(#[source] io::Error),
    /// The worker thread was lost, as when the runtime shuts down.
    #[error("worker thread was stopped")]
    Worker,
}
