//! Receives into a [`Destination`].

mod disk;
mod worker;

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_blocking,
};

use self::worker::ReceiveWorker;
use super::{
    handshake,
    progress::{OnProgress, Summary},
    pump::{LinkError, PIECE_BYTES, Pump, PumpConfig},
};
use crate::{
    Manifest,
    session::{
        Abort, Limits, ReceiverEvent, ReceiverSession, Reviewed, SessionError, WORKING, review,
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
            idle_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(900),
            on_progress: OnProgress::default(),
        }
    }
}

impl ReceiveConfig {
    /// Who the sender's person is told that it is. Default: nobody.
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

    /// Who is told of progress. Default: nobody.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.on_progress = on_progress;
        self
    }
}

/// Waits for the sender at the other end of `stream` to make an offer.
///
/// It does not matter which side listened. Nothing is written before
/// [`Incoming::accept`].
///
/// # Errors
/// If the connection or the peer failed, or the offer is beyond the limits.
///
/// # Cancel safety
/// Not cancel safe; dropping the future drops the connection, and nothing has
/// been written.
pub async fn receive<S>(mut stream: S, config: &ReceiveConfig) -> Result<Incoming<S>, ReceiveError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut session = ReceiverSession::new(&config.name, config.limits.clone());
    let mut buffer = Vec::new();
    let mut peer = String::new();
    let offered = async {
        let mut offered = None;
        loop {
            while let Some(bytes) = session.poll_transmit() {
                handshake::write(&mut stream, &bytes, config.idle_timeout).await?;
            }
            handshake::read(&mut stream, &mut buffer, config.idle_timeout).await?;
            let mut input = buffer.as_slice();
            while let Some(event) = session.handle_input(&mut input)? {
                match event {
                    ReceiverEvent::Peer(hello) => peer = hello.name,
                    // What came after it in the same read is the session's too.
                    ReceiverEvent::Offered(manifest) => offered = Some(manifest),
                    _ => unreachable!("nothing was accepted yet"),
                }
            }
            if let Some(manifest) = offered.take() {
                return Ok(manifest);
            }
        }
    };
    match offered.await {
        Ok(manifest) => Ok(Incoming {
            reviewed: review(&manifest),
            stream,
            session,
            manifest,
            peer,
            config: config.clone(),
        }),
        Err(error) => {
            if let ReceiveError::Session(error) = &error {
                error
                    .abort()
                    .into_iter()
                    .for_each(|abort| session.abort(abort));
                handshake::part(&mut stream, session.poll_transmit()).await;
            }
            Err(error)
        }
    }
}

/// An offer that waits for a decision.
#[derive(Debug)]
#[must_use = "the sender waits for an answer"]
pub struct Incoming<S> {
    stream: S,
    session: ReceiverSession,
    manifest: Manifest,
    reviewed: Vec<Reviewed>,
    peer: String,
    config: ReceiveConfig,
}

impl<S> Incoming<S>
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

    /// What the peer calls itself, as it came: unproved, and to be shown through
    /// [`quote`](sockkit_codec::text::quote) only.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// What [`accept`](Self::accept) would do about each entry, by what is in
    /// `destination` now: for a user to decide by. It changes nothing, and what
    /// appears there later may change it.
    ///
    /// It looks at the disk once for each entry, and blocks the thread meanwhile.
    pub fn plan(&self, destination: &Destination) -> Vec<Planned> {
        let mut planner = Planner::new(destination, self.config.on_conflict);
        let entries = self.manifest.entries.iter().zip(&self.reviewed);
        entries
            .map(|(entry, reviewed)| match reviewed.path() {
                Ok(path) => planner.plan(path, entry),
                Err(reason) => Planned::Refuse(reason),
            })
            .collect()
    }

    /// Says no.
    ///
    /// # Cancel safety
    /// Cancel safe in so far as the connection closes either way.
    pub async fn decline(mut self) {
        self.session.abort(Abort::Declined);
        handshake::part(&mut self.stream, self.session.poll_transmit()).await;
    }

    /// Receives what is on offer into `destination`.
    ///
    /// Entries that the rules, the [`OnConflict`] policy or the disk refuse are
    /// named in the summary; the others are received.
    ///
    /// # Errors
    /// If the connection, the peer or the disk failed as a whole. What was
    /// verified by then is kept, and the next attempt goes on from it.
    ///
    /// # Cancel safety
    /// Not cancel safe in the sense that the session cannot be continued; but
    /// dropping the future is the way to stop a transfer. The worker thread
    /// ends at its next piece and keeps a part that can be resumed.
    pub async fn accept(self, destination: &Destination) -> Result<Summary, ReceiveError> {
        let (pump, link) = Pump::new(PumpConfig {
            idle_timeout: self.config.idle_timeout,
            patience: self.config.stall_timeout,
            read_buffer_bytes: PIECE_BYTES,
            heartbeat: Some(WORKING),
        });
        let worker = ReceiveWorker::new(
            self.session,
            self.manifest,
            self.reviewed,
            destination,
            link,
            &self.config,
        );
        let worker = spawn_blocking(move || worker.run());
        let pumped = pump.run(self.stream).await;
        let worked = worker.await.unwrap_or(Err(ReceiveError::Worker));
        match (worked, pumped) {
            // The worker only saw its channel close; the pump knows why.
            (Err(ReceiveError::Link(LinkError::Closed)), Err(error)) => Err(error.into()),
            (worked, _) => worked,
        }
    }
}

impl<S> Incoming<S> {
    /// Makes [`OnConflict`] another one for this offer.
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.config.on_conflict = on_conflict;
        self
    }

    /// Who is told of this transfer's progress.
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
    Link(#[from] LinkError),
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
