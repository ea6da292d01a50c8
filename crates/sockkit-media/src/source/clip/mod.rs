//! Clips: files of moving pictures, played again and again.
//!
//! A thread reads ahead by a few pictures, so that no disk holds up a task. It
//! ends when its `Clip` is dropped.

mod error;
#[cfg(feature = "h264")]
mod h264;
#[cfg(test)]
mod hostile;
mod mjpeg;
#[cfg(feature = "record")]
mod mp4;
mod y4m;

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read, Seek},
    path::PathBuf,
    thread,
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{error::Elapsed, timeout},
};

pub use self::error::ClipError;
use super::{SourceError, config::SourceConfig};
use crate::picture::Picture;

/// The clip that comes with this crate: Motion JPEG of 640x480 pixels, made for
/// 25 pictures a second.
///
/// From *Big Buck Bunny*, © 2008 Blender Foundation, peach.blender.org, under
/// CC BY 3.0.
pub const fn bundled() -> &'static [u8] {
    include_bytes!("../../../assets/bunny.mjpeg")
}

/// A clip being played.
#[derive(Debug)]
pub(super) struct Clip {
    frames: mpsc::Receiver<Result<ClipFrame, ClipError>>,
    /// Read while opening, so that a bad file is found there.
    first: Option<ClipFrame>,
    media: Media,
}

/// One picture of a clip, and how long it is shown if the clip says so.
#[derive(Clone, Debug)]
pub(super) struct ClipFrame {
    pub(super) frame: Picture,
    pub(super) duration: Option<Duration>,
}

/// A picture that does not say how long it is shown.
impl From<Picture> for ClipFrame {
    fn from(frame: Picture) -> Self {
        Self {
            frame,
            duration: None,
        }
    }
}

impl Clip {
    /// Starts the reading thread and waits for the first picture.
    pub(super) async fn open(media: Media, config: &SourceConfig) -> Result<Self, SourceError> {
        let (sender, frames) = mpsc::channel(READ_AHEAD_FRAMES);
        let (media_there, size_px) = (media.clone(), config.size_px);
        thread::Builder::new()
            .name("sockkit-clip".into())
            .spawn(move || play(&media_there, size_px, &sender))
            .map_err(|error| media.error(error.into()))?;
        let mut clip = Self {
            frames,
            first: None,
            media,
        };
        clip.first = Some(clip.next().await?);
        Ok(clip)
    }

    /// The next picture; after the last one comes the first again.
    ///
    /// # Cancel safety
    /// Cancel safe: a picture not taken stays in the channel.
    pub(super) async fn next(&mut self) -> Result<ClipFrame, SourceError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let frame = timeout(READ_TIMEOUT, self.frames.recv())
            .await
            .map_err(|_: Elapsed| ClipError::Stalled)
            // The thread ends after an error; asked again, it is gone.
            .and_then(|frame| frame.unwrap_or(Err(ClipError::Ended)));
        frame.map_err(|error| self.media.error(error))
    }
}

/// Where the bytes are, and how to read them.
#[derive(Clone, Debug)]
pub(super) enum Media {
    Bundled,
    File { path: PathBuf, format: ClipFormat },
}

/// The container of a clip.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClipFormat {
    Mjpeg,
    Y4m,
    #[cfg(feature = "record")]
    Mp4,
}

impl ClipFormat {
    /// Begins at the first picture.
    fn open(self, input: impl Input + 'static) -> Result<Box<dyn Pictures>, ClipError> {
        Ok(match self {
            Self::Mjpeg => Box::new(mjpeg::Mjpeg::new(input)),
            Self::Y4m => Box::new(y4m::Y4m::new(BufReader::new(input))?),
            #[cfg(feature = "record")]
            Self::Mp4 => Box::new(mp4::Mp4::new(input)?),
        })
    }
}

/// Plays the bytes of a clip once through, or until so many pictures were
/// shown; says how many.
#[cfg(any(test, fuzzing))]
pub(crate) fn play_through(
    format: ClipFormat,
    bytes: Vec<u8>,
    most: usize,
) -> Result<usize, ClipError> {
    let mut pictures = format.open(Cursor::new(bytes))?;
    let mut shown = 0;
    while shown < most && pictures.next()?.is_some() {
        shown += 1;
    }
    Ok(shown)
}

impl Media {
    fn error(&self, source: ClipError) -> SourceError {
        let path = match self {
            Self::Bundled => PathBuf::from("bundled clip"),
            Self::File { path, .. } => path.clone(),
        };
        SourceError::Clip { path, source }
    }

    /// Begins at the first picture.
    fn open(&self) -> Result<Box<dyn Pictures>, ClipError> {
        match self {
            Self::Bundled => ClipFormat::Mjpeg.open(Cursor::new(bundled())),
            Self::File { path, format } => {
                let file = File::open(path)?;
                if file.metadata()?.is_dir() {
                    return Err(ClipError::Io(io::ErrorKind::IsADirectory.into()));
                }
                format.open(file)
            }
        }
    }
}

/// The pictures of a clip, once through.
trait Pictures {
    fn next(&mut self) -> Result<Option<ClipFrame>, ClipError>;
}

/// Bytes that can be read from any place.
trait Input: Read + Seek {}

impl<T: Read + Seek> Input for T {}

/// The reading thread: plays until nobody listens, or something is wrong.
fn play(
    media: &Media,
    size_px: Option<(u32, u32)>,
    out: &mpsc::Sender<Result<ClipFrame, ClipError>>,
) {
    loop {
        match play_once(media, size_px, out) {
            Ok(Played::ToTheEnd) => {}
            Ok(Played::UntilUnheard) => return,
            Err(error) => {
                // Nobody may be there to hear it.
                let _ = out.blocking_send(Err(error));
                return;
            }
        }
    }
}

enum Played {
    ToTheEnd,
    UntilUnheard,
}

fn play_once(
    media: &Media,
    size_px: Option<(u32, u32)>,
    out: &mpsc::Sender<Result<ClipFrame, ClipError>>,
) -> Result<Played, ClipError> {
    let mut pictures = media.open()?;
    let mut played = 0_u64;
    while let Some(mut next) = pictures.next()? {
        if let Some((width_px, height_px)) = size_px {
            next.frame = next.frame.resize(width_px, height_px)?;
        }
        if out.blocking_send(Ok(next)).is_err() {
            return Ok(Played::UntilUnheard);
        }
        played += 1;
    }
    // A clip without pictures would be played for ever in no time.
    if played == 0 {
        return Err(ClipError::Empty);
    }
    Ok(Played::ToTheEnd)
}

/// Enough to bridge a slow read; small, for pictures may be large.
const READ_AHEAD_FRAMES: usize = 4;

/// Local files answer in milliseconds; a named pipe may never.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A picture of more bytes than this is taken for an error.
const MAX_IMAGE_BYTES: usize = 16 << 20;
