//! A sender's connection to one member: two tasks, so that a slow member delays
//! only itself.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::mpsc,
    task::{AbortHandle, JoinHandle, spawn_blocking},
    time::timeout,
};

use super::{
    GroupError, MemberId, ShardId, ToMember, ToSender,
    bundle::Bundle,
    frames::{self, ALIVE},
};

/// What a member's tasks tell.
pub(super) enum Event {
    Said(ToSender),
    /// A fetch was answered.
    Served,
    /// The connection has failed, for this reason.
    Gone(String),
}

enum Job {
    Greet(Arc<[u8]>),
    Tell(ToMember),
    Serve(u32, Vec<Range<u16>>),
}

/// The tasks of a member.
pub(super) struct Handle {
    jobs: Option<mpsc::Sender<Job>>,
    reader: AbortHandle,
    writer: JoinHandle<()>,
}

/// Starts both tasks. The member's messages may be as long as `max_bytes`.
pub(super) fn spawn<S>(
    stream: S,
    id: MemberId,
    events: mpsc::Sender<(MemberId, Event)>,
    bundle: Arc<Mutex<Bundle>>,
    max_bytes: u32,
) -> Handle
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (reading, writing) = tokio::io::split(stream);
    let (jobs, todo) = mpsc::channel(JOBS);
    let told = events.clone();
    let reader = tokio::spawn(async move {
        let why = listen(reading, id, &told, max_bytes).await;
        let _ = told.send((id, Event::Gone(describe(&why)))).await;
    });
    let writer = Writer {
        stream: writing,
        id,
        todo,
        events,
        bundle,
    };
    let writer = tokio::spawn(writer.run());
    Handle {
        jobs: Some(jobs),
        reader: reader.abort_handle(),
        writer,
    }
}

impl Handle {
    /// Sends the first messages, as frames.
    pub(super) fn greet(&self, frames: Arc<[u8]>) {
        self.job(Job::Greet(frames));
    }

    /// Sends a message. One that does not read so much is given up elsewhere.
    pub(super) fn tell(&self, message: ToMember) {
        self.job(Job::Tell(message));
    }

    /// Sends a message, unless others wait to be written.
    pub(super) fn tell_unless_busy(&self, message: ToMember) {
        let is_free = |jobs: &&mpsc::Sender<Job>| jobs.capacity() > JOBS / 2;
        if self.jobs.as_ref().filter(is_free).is_some() {
            self.job(Job::Tell(message));
        }
    }

    /// Sends shards of a block.
    pub(super) fn serve(&self, block: u32, ranges: Vec<Range<u16>>) {
        self.job(Job::Serve(block, ranges));
    }

    fn job(&self, job: Job) {
        if let Some(jobs) = &self.jobs
            && jobs.try_send(job).is_err()
        {
            // It is not reading, or gone.
            self.reader.abort();
        }
    }

    /// Writes what was told, and closes the connection.
    pub(super) fn finish(&mut self) {
        self.hang_up();
        self.reader.abort();
    }

    /// Writes what was told, and listens until the other side closes the connection.
    pub(super) fn hang_up(&mut self) {
        self.jobs = None;
    }

    /// Ends the connection at once.
    pub(super) fn cut(&mut self) {
        self.finish();
        self.writer.abort();
    }

    /// Whether everything is written, or never will be.
    pub(super) fn has_ended(&self) -> bool {
        self.writer.is_finished()
    }

    /// Waits until everything is written.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn ended(&mut self) {
        if !self.has_ended() {
            let _ = (&mut self.writer).await;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Returns why it ended.
async fn listen<S: AsyncRead>(
    mut stream: ReadHalf<S>,
    id: MemberId,
    events: &mpsc::Sender<(MemberId, Event)>,
    max_bytes: u32,
) -> GroupError {
    let hello = timeout(HELLO, frames::read(&mut stream, max_bytes)).await;
    match hello {
        Ok(Ok(ToSender::Hello(_))) => {}
        Ok(Ok(_)) => return GroupError::Protocol("hello comes first"),
        Ok(Err(error)) => return error,
        Err(_elapsed) => return GroupError::Silent { after: HELLO },
    }
    loop {
        match frames::read(&mut stream, max_bytes).await {
            Ok(said) => {
                if events.send((id, Event::Said(said))).await.is_err() {
                    return GroupError::Worker;
                }
            }
            Err(error) => return error,
        }
    }
}

struct Writer<S> {
    stream: WriteHalf<S>,
    id: MemberId,
    todo: mpsc::Receiver<Job>,
    events: mpsc::Sender<(MemberId, Event)>,
    bundle: Arc<Mutex<Bundle>>,
}

impl<S: AsyncWrite> Writer<S> {
    async fn run(mut self) {
        match self.work().await {
            // The reader finds that out as well, after what the member has said last.
            Ok(()) | Err(GroupError::Gone) => {}
            Err(error) => {
                let event = Event::Gone(describe(&error));
                let _ = self.events.send((self.id, event)).await;
            }
        }
        let _ = timeout(CLOSING, self.stream.shutdown()).await;
    }

    async fn work(&mut self) -> Result<(), GroupError> {
        loop {
            match timeout(ALIVE, self.todo.recv()).await {
                Err(_elapsed) => frames::write(&mut self.stream, &ToMember::Working).await?,
                Ok(Some(Job::Greet(greeting))) => {
                    for bytes in greeting.chunks(GREETING_BYTES) {
                        frames::write_bytes(&mut self.stream, bytes).await?;
                    }
                }
                Ok(Some(Job::Tell(message))) => frames::write(&mut self.stream, &message).await?,
                Ok(Some(Job::Serve(block, ranges))) => self.serve(block, ranges).await?,
                Ok(None) => return Ok(()),
            }
        }
    }

    async fn serve(&mut self, block: u32, ranges: Vec<Range<u16>>) -> Result<(), GroupError> {
        let step = usize::from(SHARDS_A_MESSAGE);
        for range in ranges {
            for start in range.clone().step_by(step) {
                let indexes = start..range.end.min(start.saturating_add(SHARDS_A_MESSAGE));
                let shards = ToMember::Shards {
                    first: ShardId {
                        block,
                        index: start,
                    },
                    bytes: read(Arc::clone(&self.bundle), block, indexes).await?,
                };
                frames::write(&mut self.stream, &shards).await?;
            }
        }
        // Before the member knows, which may then ask for more at once.
        let _ = self.events.send((self.id, Event::Served)).await;
        frames::write(&mut self.stream, &ToMember::Fetched).await
    }
}

/// A few shards at a time: a member holds little memory, however slow it is.
async fn read(
    bundle: Arc<Mutex<Bundle>>,
    block: u32,
    indexes: Range<u16>,
) -> Result<Vec<u8>, GroupError> {
    let reading = spawn_blocking(move || {
        let mut bundle = bundle.lock().unwrap_or_else(PoisonError::into_inner);
        bundle.shards(block, indexes)
    });
    Ok(reading.await.map_err(|_panic| GroupError::Worker)??)
}

/// The error with its causes.
fn describe(error: &GroupError) -> String {
    if matches!(error, GroupError::Gone) {
        return "the receiver went away".to_owned();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Messages that wait to be written.
const JOBS: usize = 64;
/// Each such part of the first messages has its own timeout.
const GREETING_BYTES: usize = 128 << 10;
/// About 64 KiB.
const SHARDS_A_MESSAGE: u16 = 45;
const HELLO: Duration = Duration::from_secs(10);
pub(super) const CLOSING: Duration = Duration::from_secs(2);
