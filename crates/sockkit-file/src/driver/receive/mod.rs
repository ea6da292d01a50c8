//! Receives into a [`Destination`], or into a sink for verified blocks.

pub(crate) mod disk;
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

/// Settings for receiving.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until something is received with it"]
pub struct ReceiveConfig {
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) on_conflict: OnConflict,
    pub(crate) name_rules: NameRules,
    keep_executable: bool,
    busy: bool,
    handshake_timeout: Duration,
    offer_timeout: Option<Duration>,
    idle_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) on_progress: OnProgress,
}

impl Default for ReceiveConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            limits: Limits::default(),
            on_conflict: OnConflict::default(),
            name_rules: NameRules::native(),
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

    /// Limits of an offer. Default: see [`Limits`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What to do if a file already exists. Default: [`OnConflict::Refuse`].
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.on_conflict = on_conflict;
        self
    }

    /// Accepted names. Default: those that the system supports.
    ///
    /// Use others for a folder that is shared with other systems.
    pub fn name_rules(mut self, name_rules: NameRules) -> Self {
        self.name_rules = name_rules;
        self
    }

    /// Whether to keep the executable bit of files. Default: no, because a file
    /// should become a program only if its receiver wants it to.
    pub fn keep_executable(mut self, keep_executable: bool) -> Self {
        self.keep_executable = keep_executable;
        self
    }

    /// Whether to tell the sender at once that other peers come first. Default:
    /// no.
    pub fn busy(mut self, busy: bool) -> Self {
        self.busy = busy;
        self
    }

    /// Timeout until the sender's offer is complete. Each 256 KiB received
    /// extend it by a second, up to the [limit](Limits::max_manifest_bytes) of
    /// an offer. Default: 10 s.
    pub fn handshake_timeout(mut self, handshake_timeout: Duration) -> Self {
        self.handshake_timeout = handshake_timeout;
        self
    }

    /// Timeout between the sender's hello and its offer, for a sender that
    /// first asks its user. Default: included in
    /// [`handshake_timeout`](Self::handshake_timeout), which then covers
    /// everything up to the offer. For receivers that dial.
    pub fn offer_timeout(mut self, offer_timeout: Duration) -> Self {
        self.offer_timeout = Some(offer_timeout);
        self
    }

    /// Ends the transfer if no byte moves in either direction for this long.
    /// Default: 30 s. It applies from the start, and does not limit the whole
    /// transfer.
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Ends the transfer if a sender that sends keep-alives sends no file data
    /// for this long. Default: 15 minutes, plus a second for each 10 MB of
    /// files that are already present, because the sender reads them first, to
    /// compare.
    pub fn stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self
    }

    /// Callback for progress events. Default: none.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.on_progress = on_progress;
        self
    }
}

/// Waits for an offer from the sender at the other end of `stream`.
///
/// Either side may have listened. Nothing is written before [`Offer::accept`]
/// or [`Offer::accept_into`] is called.
///
/// # Errors
/// If the connection or the peer failed, or the offer exceeds the limits.
///
/// # Cancel safety
/// Not cancel safe: dropping the future closes the connection. Nothing has been
/// written by then.
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
            reviewed: review(&manifest, config.name_rules),
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
            talk.close_after(session.poll_transmit()).await;
            Err(error)
        }
    }
}

/// Handles everything up to the offer; also returns the sender's name.
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
                // Further input from the same read belongs to the session, too.
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
    /// The manifest, as announced by the peer.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Result of checking each entry against the naming rules.
    pub fn reviewed(&self) -> &[Reviewed] {
        &self.reviewed
    }

    /// Keeps only the entries for which `wanted` returns `true`; the sender is
    /// told that the others are not wanted.
    pub fn select(mut self, mut wanted: impl FnMut(&Entry) -> bool) -> Self {
        let entries = self.manifest.entries.iter().zip(&mut self.reviewed);
        for (entry, reviewed) in entries {
            if reviewed.path().is_ok() && !wanted(entry) {
                *reviewed = Reviewed::Unwanted;
            }
        }
        self
    }

    /// The peer's name as received: unauthenticated, and to be printed with
    /// [`quote`](sockkit_codec::text::quote) only.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Returns what [`accept`](Self::accept) would do with each entry, given
    /// the current contents of `destination`, so that a user can decide. It
    /// changes nothing, and files that appear later may change the result.
    ///
    /// Accesses the disk once per entry, and blocks the thread meanwhile. If
    /// the offer contains names that differ only in case or the like, it
    /// creates and removes an empty file, to see whether the file system
    /// distinguishes them.
    pub fn plan(&self, destination: &Destination) -> Vec<Planned> {
        let planner = Planner::new(destination, self.config.on_conflict);
        let mut planner = planner.integrity(self.manifest.integrity);
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

    /// Waits for `decision`, for example a user's, and sends keep-alives to the
    /// sender in the meantime. There is no timeout.
    ///
    /// # Errors
    /// If the sender disconnects first, or violates the protocol.
    ///
    /// # Cancel safety
    /// Cancel safe: hold the offer again, accept it or decline it.
    pub async fn hold<T>(&mut self, decision: impl Future<Output = T>) -> Result<T, ReceiveError> {
        tokio::select! {
            biased;
            error = self.watch() => Err(error),
            decided = decision => Ok(decided),
        }
    }

    /// Declines the offer.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping it closes the connection without a reply.
    pub async fn decline(self) {
        self.refuse(Abort::Declined).await;
    }

    /// Refuses the offer with a reason.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping it closes the connection without a reply.
    pub async fn refuse(mut self, reason: Abort) {
        self.session.abort(reason);
        self.talk.close_after(self.session.poll_transmit()).await;
    }

    /// Receives the offered files into `destination`.
    ///
    /// Entries that are refused by the naming rules, the [`OnConflict`] policy
    /// or the disk are listed in the summary; the others are received.
    ///
    /// # Errors
    /// If the connection, the peer or the disk failed as a whole. Verified data
    /// is kept, and the next attempt resumes from it.
    ///
    /// # Cancel safety
    /// Not cancel safe, because the session cannot be continued. Dropping the
    /// future is the way to stop a transfer: the worker thread ends at its next
    /// chunk and keeps the verified part, which can be resumed.
    pub async fn accept(self, destination: &Destination) -> Result<Summary, ReceiveError> {
        let keeper = |manifest, reviewed, config: &_| {
            IntoFolder::new(destination, manifest, reviewed, config)
        };
        self.keep(keeper).await
    }

    /// Receives the offered files into `sink`, and returns it.
    ///
    /// Entries that are refused by the naming rules or the sink are listed in
    /// the summary; the others are received. A call to the sink may take no
    /// longer than the sender's stall timeout, 5 minutes by default.
    ///
    /// # Errors
    /// If the connection or the peer failed. The sink is then dropped.
    ///
    /// # Cancel safety
    /// As [`accept`](Self::accept), but nothing can be resumed.
    pub async fn accept_into<T: FileSink>(self, sink: T) -> Result<(Summary, T), ReceiveError> {
        let keeper =
            |manifest, reviewed, config: &_| IntoSink::new(sink, manifest, reviewed, config);
        self.keep(keeper).await
    }

    /// Runs the rest of the transfer, on a worker thread and in an I/O loop.
    async fn keep<K>(
        self,
        keeper: impl FnOnce(Manifest, Vec<Reviewed>, &ReceiveConfig) -> K,
    ) -> Result<K::Kept, ReceiveError>
    where
        K: Keeper + Send + 'static,
        K::Kept: Send + 'static,
    {
        let config = &self.config;
        let keeper = keeper(self.manifest, self.reviewed, config);
        let stream = self.talk.into_stream().await?;
        let (io_loop, link) = IoLoop::new(IoLoopConfig {
            idle_timeout: config.idle_timeout,
            stall_timeout: config.stall_timeout,
            read_buffer_bytes: CHUNK_BYTES,
            heartbeat: Some(WORKING),
        });
        let worker = ReceiveWorker::new(self.session, link, keeper);
        let worker = spawn_blocking(move || worker.run());
        let pumped = io_loop.run(stream).await;
        let worked = worker.await.unwrap_or(Err(ReceiveError::Worker));
        match (worked, pumped) {
            // The worker only saw its channel close; the I/O loop knows why.
            (Err(ReceiveError::Io(TransferIoError::Closed)), Err(error)) => Err(error.into()),
            (worked, _) => worked,
        }
    }

    /// Returns an error when the sender has disconnected.
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

impl<S> Offer<S> {
    /// The connection to the sender, for inspection.
    pub fn get_ref(&self) -> &S {
        self.talk.get_ref()
    }

    /// Overrides [`OnConflict`] for this offer.
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.config.on_conflict = on_conflict;
        self
    }

    /// Callback for progress events of this transfer.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.config.on_progress = on_progress;
        self
    }
}

/// Error from receiving files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The connection or the peer failed: try again, the transfer resumes.
    #[error(transparent)]
    Io(#[from] TransferIoError),
    /// The peer violated the protocol, or ended the session with a reason.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The disk is full: free some space, then resume.
    #[error("{needed_bytes} bytes are needed, {available_bytes} are free")]
    NoSpace {
        /// Bytes still to come.
        needed_bytes: u64,
        /// Bytes free at the destination.
        available_bytes: u64,
    },
    /// The file system has space, but too few inodes: remove some files, then
    /// resume.
    #[error("{needed} files and folders are needed, {available} can be created")]
    NoInodes {
        /// Files and folders still to be created.
        needed: u64,
        /// How many more the file system can hold.
        available: u64,
    },
    /// The user's disk quota is exhausted: remove some files, then resume.
    #[error(
        "cannot write {path}: your quota on that disk is used up; remove some files, then resume"
    )]
    Quota {
        /// The file, relative to the destination.
        path: String,
        /// Error from the operating system.
        #[source]
        error: io::Error,
    },
    /// The file system rejects the data although it has free space: it has run out
    /// of inodes, or reserves the rest.
    #[error(
        "cannot write {path}: the file system is full although it has free space \
         (out of inodes, a quota or a reserve); remove some files, then resume"
    )]
    Full {
        /// The file, relative to the destination.
        path: String,
        /// Error from the operating system.
        #[source]
        error: io::Error,
    },
    /// The file system does not report its free space.
    #[error("cannot determine the free space at the destination")]
    Room(#[source] io::Error),
    /// The destination failed while `path` was written.
    #[error("cannot write {path}")]
    Write {
        /// The file, relative to the destination.
        path: String,
        /// Error from the operating system.
        #[source]
        error: io::Error,
    },
    /// The received data could not be synced. It is discarded: the next attempt
    /// transfers it again.
    #[error("cannot sync the destination")]
    Sync(#[source] io::Error),
    /// The worker thread was stopped, for example because the runtime shut down.
    #[error("worker thread was stopped")]
    Worker,
}
