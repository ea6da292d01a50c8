//! Clips: video files, played in a loop.
//!
//! A thread reads a few pictures ahead, so that the disk blocks no task. It
//! ends when its `Clip` is dropped.

mod error;
#[cfg(feature = "record")]
mod fragments;
#[cfg(feature = "h264")]
mod h264;
#[cfg(test)]
mod hostile;
mod mjpeg;
#[cfg(feature = "record")]
mod mp4;
#[cfg(feature = "record")]
mod track;
mod y4m;

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read, Seek},
    path::{Path, PathBuf},
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

/// The clip bundled with this crate: Motion JPEG of 640x480 pixels at 25
/// pictures a second.
///
/// From *Big Buck Bunny*, © 2008 Blender Foundation, peach.blender.org, under
/// CC BY 3.0.
pub const fn bundled() -> &'static [u8] {
    include_bytes!("../../../assets/bunny.mjpeg")
}

/// A clip that is playing.
#[derive(Debug)]
pub(super) struct Clip {
    frames: mpsc::Receiver<Result<ClipFrame, ClipError>>,
    /// Read on opening, so that a bad file is detected then.
    first: Option<ClipFrame>,
    media: Media,
}

/// One picture of a clip, with its duration if known.
#[derive(Clone, Debug)]
pub(super) struct ClipFrame {
    pub(super) frame: Picture,
    pub(super) duration: Option<Duration>,
}

/// A picture without a duration.
impl From<Picture> for ClipFrame {
    fn from(frame: Picture) -> Self {
        Self {
            frame,
            duration: None,
        }
    }
}

impl Clip {
    /// Starts the reader thread and waits for the first picture.
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

    /// Returns the next picture; the first one follows after the last.
    ///
    /// # Cancel safety
    /// Cancel safe: a picture that was not returned stays in the channel.
    pub(super) async fn next(&mut self) -> Result<ClipFrame, SourceError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let frame = timeout(READ_TIMEOUT, self.frames.recv())
            .await
            .map_err(|_: Elapsed| ClipError::Stalled)
            // The thread ends after an error.
            .and_then(|frame| frame.unwrap_or(Err(ClipError::Ended)));
        frame.map_err(|error| self.media.error(error))
    }
}

/// Location of the data, and its format.
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
    /// Starts at the first picture.
    fn open(self, input: impl Input + 'static) -> Result<Box<dyn Pictures>, ClipError> {
        Ok(match self {
            Self::Mjpeg => Box::new(mjpeg::Mjpeg::new(input)),
            Self::Y4m => Box::new(y4m::Y4m::new(BufReader::new(input))?),
            #[cfg(feature = "record")]
            Self::Mp4 => Box::new(mp4::Mp4::new(input)?),
        })
    }
}

/// Plays a clip once, or until that many pictures were shown. Returns how many.
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
    match pictures.left_out() {
        0 => Ok(shown),
        _ => Err(ClipError::Empty),
    }
}

impl Media {
    fn error(&self, source: ClipError) -> SourceError {
        SourceError::Clip {
            path: self.path().to_owned(),
            source,
        }
    }

    /// For messages.
    fn path(&self) -> &Path {
        match self {
            Self::Bundled => Path::new("bundled clip"),
            Self::File { path, .. } => path,
        }
    }

    /// Starts at the first picture.
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

/// The pictures of a clip, once.
trait Pictures {
    /// The next picture. [`ClipError::Picture`] is about one alone, and the next may
    /// be good; after any other error there is none.
    fn next(&mut self) -> Result<Option<ClipFrame>, ClipError>;

    /// Pictures that `next` has passed over so far.
    fn left_out(&self) -> u64 {
        0
    }

    /// Whether the file ended inside a picture, or inside the table of some.
    fn is_cut_off(&self) -> bool {
        false
    }
}

/// Seekable input.
trait Input: Read + Seek {}

impl<T: Read + Seek> Input for T {}

/// The reading thread: plays until the clip is dropped, or something is wrong.
fn play(
    media: &Media,
    size_px: Option<(u32, u32)>,
    out: &mpsc::Sender<Result<ClipFrame, ClipError>>,
) {
    let mut damage = Damage::default();
    loop {
        match play_once(media, size_px, out, &mut damage) {
            Ok(Played::ToTheEnd) => damage.report(media),
            Ok(Played::UntilDropped) => return,
            Err(error) => {
                // The clip may be dropped by now.
                let _ = out.blocking_send(Err(error));
                return;
            }
        }
    }
}

enum Played {
    ToTheEnd,
    UntilDropped,
}

fn play_once(
    media: &Media,
    size_px: Option<(u32, u32)>,
    out: &mpsc::Sender<Result<ClipFrame, ClipError>>,
    damage: &mut Damage,
) -> Result<Played, ClipError> {
    let mut pictures = media.open()?;
    let mut played = 0_u64;
    let mut last_error = None;
    loop {
        match next_resized(&mut *pictures, size_px) {
            Ok(Some(next)) => {
                if out.blocking_send(Ok(next)).is_err() {
                    return Ok(Played::UntilDropped);
                }
                played += 1;
            }
            Ok(None) => break,
            Err(error @ ClipError::Picture(_)) => {
                damage.left_out += 1;
                last_error = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    damage.left_out += pictures.left_out();
    damage.is_cut_off |= pictures.is_cut_off();
    // A clip without pictures would be played for ever in no time.
    match played {
        0 => Err(last_error.unwrap_or(ClipError::Empty)),
        _ => Ok(Played::ToTheEnd),
    }
}

fn next_resized(
    pictures: &mut dyn Pictures,
    size_px: Option<(u32, u32)>,
) -> Result<Option<ClipFrame>, ClipError> {
    let mut next = pictures.next()?;
    if let (Some(next), Some((width_px, height_px))) = (&mut next, size_px) {
        next.frame = next.frame.resize(width_px, height_px)?;
    }
    Ok(next)
}

/// What is wrong with a clip, of which the log tells once, however often it is played.
#[derive(Debug, Default)]
struct Damage {
    left_out: u64,
    is_cut_off: bool,
    is_told: bool,
}

impl Damage {
    fn report(&mut self, media: &Media) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let path = media.path();
        if self.left_out > 0 {
            tracing::warn!(
                "{}: {} pictures cannot be shown, and are left out",
                path.display(),
                self.left_out
            );
        }
        if self.is_cut_off {
            tracing::warn!("{} is cut off at its end", path.display());
        }
    }
}

/// Enough to bridge a slow read; small, because pictures may be large.
const READ_AHEAD_FRAMES: usize = 4;

/// Local files respond in milliseconds; a named pipe may never.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A larger picture counts as an error.
const MAX_IMAGE_BYTES: usize = 16 << 20;
