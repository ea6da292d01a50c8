//! An MP4 recorder. Motion JPEG by default, without re-encoding and readable
//! after a crash; H.264 optionally.
//!
//! The file is fragmented: every half second a fragment is written to the disk, so
//! that a killed program or a power cut loses at most the last second. Times are
//! exact to the microsecond, whatever the rate. What plays such files is told in
//! `docs/recording.md`. A file holds pictures of one size: where that changes, the next
//! file begins.

mod boxes;
mod config;
mod encoder;
mod error;
mod film;
#[cfg(feature = "h264")]
mod h264;
mod place;
mod timeline;
mod writer;

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, oneshot},
    task::{JoinError, spawn_blocking},
    time::timeout,
};

#[cfg(feature = "h264")]
pub use self::h264::H264Config;
use self::writer::{Queued, Writer, tidied};
pub use self::{
    config::{Codec, Existing, RecorderConfig, Timing},
    error::RecordError,
};
use crate::{latest::Subscriber, picture::Picture};

/// Records pictures to an MP4 file.
///
/// JPEG pictures are stored unchanged; others are compressed first. [`Codec`]
/// selects smaller files, for which every picture is compressed. A thread writes
/// the file. It ends when the recorder is dropped, after which the file is complete
/// as well, but only [`finish`](Self::finish) reports errors.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::{
///     sink::record::{Recorder, RecorderConfig},
///     source::{Source, SourceConfig, SourceSpec},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("pattern.mp4");
/// let config = SourceConfig::default().rate_hz(100.0);
/// let mut source = Source::open(&SourceSpec::Pattern, config).await?;
/// let mut recorder = Recorder::create(&path, RecorderConfig::default()).await?;
/// for _ in 0..5 {
///     recorder.push(&source.next().await?).await?;
/// }
/// assert_eq!(recorder.finish().await?.frames, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    queue: mpsc::Sender<Queued>,
    places: Arc<Semaphore>,
    /// Result of the thread; taken when it has been returned.
    ended: Option<oneshot::Receiver<Result<RecordSummary, RecordError>>>,
    codec: Codec,
}

/// What was recorded, in all files together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RecordSummary {
    /// Files: one, and one more each time that the pictures' size changed. None if there
    /// was no picture.
    pub files: Vec<PathBuf>,
    /// Pictures in the files.
    pub frames: u64,
    /// The files' lengths.
    pub bytes: u64,
    /// From the first picture to the end of the last.
    pub duration: Duration,
}

impl Recorder {
    /// Creates the file.
    ///
    /// # Errors
    /// [`RecordError::Exists`] if the file exists and is not to be replaced,
    /// [`RecordError::Create`] if it cannot be created, [`RecordError::BadRate`] and,
    /// for H.264, `RecordError::BadBitrate` if a setting is out of range.
    ///
    /// # Cancel safety
    /// Not cancel safe: an empty file may stay.
    pub async fn create(
        path: impl AsRef<Path>,
        config: RecorderConfig,
    ) -> Result<Self, RecordError> {
        config.check()?;
        let (path, codec) = (path.as_ref().to_owned(), config.codec);
        let (queue, pictures) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let target = path.clone();
        let failed = |source: io::Error| RecordError::Create {
            path: path.clone(),
            source,
        };
        let writer = spawn_blocking(move || Writer::create(&target, &config))
            .await
            .map_err(|error: JoinError| failed(error.into()))??;
        thread::Builder::new()
            .name("sockkit-record".into())
            // Fails if the recorder was dropped.
            .spawn(move || drop(end.send(writer.run(&pictures))))
            .map_err(failed)?;
        Ok(Self {
            path,
            queue,
            places: Arc::new(Semaphore::new(QUEUE_FRAMES)),
            ended: Some(ended),
            codec,
        })
    }

    /// Records one picture; waits while the disk is slow.
    ///
    /// A picture of another size than the one before begins another file: `walk-2.mp4`
    /// after `walk.mp4`.
    ///
    /// # Errors
    /// [`RecordError::Picture`] and, of H.264, `RecordError::H264Size` are about this
    /// picture alone; after any other the recording has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: the picture is not recorded then.
    pub async fn push(&mut self, frame: &Picture) -> Result<(), RecordError> {
        let number = frame.number();
        let frame = tidied(frame).map_err(|source| RecordError::Picture { number, source })?;
        encoder::check_size(&self.codec, &frame)?;
        let place = timeout(DISK_TIMEOUT, self.places.clone().acquire_owned())
            .await
            .ok()
            // The semaphore is never closed.
            .and_then(Result::ok)
            .ok_or_else(|| self.stalled())?;
        let queued = Queued {
            frame,
            _place: place,
        };
        if self.queue.send(queued).is_ok() {
            return Ok(());
        }
        self.thread_end(DISK_TIMEOUT).await.map(drop)
    }

    /// Records the newest pictures until their publisher is gone.
    ///
    /// A disk that is behind costs pictures, which `pictures` counts as missed.
    /// Damaged pictures are left out; the first one is logged.
    ///
    /// # Errors
    /// [`RecordError`] if the recording has ended, or if H.264 does not support
    /// the size of the pictures.
    ///
    /// # Cancel safety
    /// Cancel safe, except that one picture may not be recorded.
    pub async fn follow(&mut self, pictures: &mut Subscriber<Picture>) -> Result<(), RecordError> {
        let mut damaged = 0_u64;
        while let Some(frame) = pictures.next().await {
            match self.push(&frame).await {
                Err(error @ RecordError::Picture { .. }) => {
                    damaged += 1;
                    let error = &error as &dyn Error;
                    match damaged {
                        1 => tracing::warn!(error, "picture not recorded"),
                        _ => tracing::debug!(error, "picture not recorded"),
                    }
                }
                pushed => pushed?,
            }
        }
        Ok(())
    }

    /// Ends the recording: the file is complete and synced.
    ///
    /// A recording without a picture leaves no file.
    ///
    /// # Errors
    /// [`RecordError::Write`] if the disk rejected some of it.
    ///
    /// # Cancel safety
    /// Not cancel safe: the recording ends, but its result is lost.
    pub async fn finish(mut self) -> Result<RecordSummary, RecordError> {
        // The thread ends when there are no senders.
        self.queue = mpsc::channel().0;
        self.thread_end(FINISH_TIMEOUT).await
    }

    /// The first file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Result of the thread, which is ending or has ended.
    async fn thread_end(&mut self, limit: Duration) -> Result<RecordSummary, RecordError> {
        let ended = self.ended.take();
        let failed = || RecordError::Ended {
            path: self.path.clone(),
        };
        timeout(limit, ended.ok_or_else(failed)?)
            .await
            .map_err(|_| self.stalled())?
            // The thread panicked, so nothing was sent.
            .unwrap_or_else(|_| Err(failed()))
    }

    fn stalled(&self) -> RecordError {
        RecordError::Stalled {
            path: self.path.clone(),
        }
    }
}

/// A second of pictures: enough for a disk that stalls briefly.
const QUEUE_FRAMES: usize = 32;

const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// A slow USB stick may need a minute to write what is buffered when the
/// recording ends.
const FINISH_TIMEOUT: Duration = Duration::from_secs(60);
