//! An MP4 recorder: Motion JPEG, nothing encoded twice, readable after a crash.
//! H.264 by choice.
//!
//! The file is fragmented: every half second a fragment goes to the operating
//! system, so that a killed program loses at most the last second. Times are
//! exact to the microsecond, whatever the rate. What plays such files is told in
//! `docs/recording.md`.

mod boxes;
mod config;
mod encoder;
mod error;
#[cfg(feature = "h264")]
mod h264;
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
/// JPEGs go into the file as they are; other pictures are compressed first.
/// [`Codec`] has smaller files at the price of compressing all of them. A thread
/// writes the file; it ends when the recorder is dropped, and the file then is
/// whole as well, but only [`finish`](Self::finish) says so.
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
    /// What became of the thread; taken when it has been told.
    ended: Option<oneshot::Receiver<Result<RecordSummary, RecordError>>>,
    codec: Codec,
    size_px: Option<(u32, u32)>,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RecordSummary {
    /// Pictures in the file.
    pub frames: u64,
    /// The file's length; 0 if there was no picture and hence is no file.
    pub bytes: u64,
    /// From the first picture to the end of the last.
    pub duration: Duration,
}

impl Recorder {
    /// Makes the file.
    ///
    /// # Errors
    /// [`RecordError::Exists`] if there is one and it is not to be replaced,
    /// [`RecordError::Create`] if the file cannot be made,
    /// [`RecordError::BadRate`] and, of H.264, `RecordError::BadBitrate` if the
    /// config cannot be.
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
            // Nobody may be there to hear how it ended.
            .spawn(move || drop(end.send(writer.run(&pictures))))
            .map_err(failed)?;
        Ok(Self {
            path,
            queue,
            places: Arc::new(Semaphore::new(QUEUE_FRAMES)),
            ended: Some(ended),
            codec,
            size_px: None,
        })
    }

    /// Records one picture; waits while the disk is behind.
    ///
    /// The first picture sets the recording's size.
    ///
    /// # Errors
    /// [`RecordError::Picture`], [`RecordError::SizeChanged`] and, of H.264,
    /// `RecordError::H264Size` are about this picture alone; after any other the
    /// recording has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: the picture then is not recorded.
    pub async fn push(&mut self, frame: &Picture) -> Result<(), RecordError> {
        let number = frame.number();
        let frame = tidied(frame).map_err(|source| RecordError::Picture { number, source })?;
        let (width_px, height_px) = (frame.width_px(), frame.height_px());
        let (recorded_width_px, recorded_height_px) = self.size_px.unwrap_or((width_px, height_px));
        if (recorded_width_px, recorded_height_px) != (width_px, height_px) {
            return Err(RecordError::SizeChanged {
                width_px,
                height_px,
                recorded_width_px,
                recorded_height_px,
            });
        }
        encoder::check_size(&self.codec, &frame)?;
        let place = timeout(DISK_TIMEOUT, self.places.clone().acquire_owned())
            .await
            .ok()
            // It is never closed.
            .and_then(Result::ok)
            .ok_or_else(|| self.stalled())?;
        self.size_px = Some((width_px, height_px));
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
    /// Pictures that do not fit the recording are logged and left out.
    ///
    /// # Errors
    /// [`RecordError`] if the recording has ended, or if H.264 cannot have
    /// pictures of this size.
    ///
    /// # Cancel safety
    /// Cancel safe but for one picture, which may not be recorded.
    pub async fn follow(&mut self, pictures: &mut Subscriber<Picture>) -> Result<(), RecordError> {
        while let Some(frame) = pictures.next().await {
            match self.push(&frame).await {
                Err(error @ (RecordError::Picture { .. } | RecordError::SizeChanged { .. })) => {
                    tracing::warn!(error = &error as &dyn Error, "picture not recorded");
                }
                pushed => pushed?,
            }
        }
        Ok(())
    }

    /// Ends the recording: the file is whole and on the disk.
    ///
    /// A recording without a picture leaves no file.
    ///
    /// # Errors
    /// [`RecordError::Write`] if the disk did not take it all.
    ///
    /// # Cancel safety
    /// Not cancel safe: the recording ends, but nobody hears how.
    pub async fn finish(mut self) -> Result<RecordSummary, RecordError> {
        // The thread ends when there is no sender any more.
        self.queue = mpsc::channel().0;
        self.thread_end(FINISH_TIMEOUT).await
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What became of the thread, which is ending or has ended.
    async fn thread_end(&mut self, patience: Duration) -> Result<RecordSummary, RecordError> {
        let ended = self.ended.take();
        let failed = || RecordError::Ended {
            path: self.path.clone(),
        };
        timeout(patience, ended.ok_or_else(failed)?)
            .await
            .map_err(|_| self.stalled())?
            // It panicked, so nothing was sent.
            .unwrap_or_else(|_| Err(failed()))
    }

    fn stalled(&self) -> RecordError {
        RecordError::Stalled {
            path: self.path.clone(),
        }
    }
}

/// A second of pictures: enough for a disk that takes a breath.
const QUEUE_FRAMES: usize = 32;

const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// A slow stick may hold a minute of writing in memory when the recording ends.
const FINISH_TIMEOUT: Duration = Duration::from_secs(60);
