//! Sources of pictures: cameras, patterns, clips, still images.

#[cfg(feature = "camera")]
pub mod camera;
pub mod clip;
mod config;
mod error;
pub mod pattern;
mod spec;
mod still;

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use tokio::{
    task::{JoinError, spawn_blocking},
    time::{Instant, sleep_until},
};

#[cfg(feature = "camera")]
use self::camera::{Camera, CameraConfig, CameraError, CameraId};
use self::{
    clip::{Clip, ClipError, ClipFormat, ClipFrame, Media},
    config::DEFAULT_RATE_HZ,
    pattern::{Stamp, paint},
    still::StillFormat,
};
pub use self::{config::SourceConfig, error::SourceError, spec::SourceSpec};
use crate::picture::Picture;

/// A running source of pictures.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::source::{Source, SourceConfig, SourceSpec};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = SourceConfig::default().size(320, 240).rate_hz(50.0);
/// let mut source = Source::open(&SourceSpec::Pattern, config).await?;
/// let first = source.next().await?;
/// let second = source.next().await?;
/// assert_eq!(second.number(), first.number() + 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Source {
    kind: Kind,
    /// When the next picture is due.
    due: Instant,
    /// Duration of pictures that have none of their own.
    interval: Duration,
    pace: Pace,
    next_number: u64,
}

impl Source {
    /// Opens a source.
    ///
    /// # Errors
    /// [`SourceError`] if the source does not exist or does not support the
    /// request.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing stays open.
    pub async fn open(spec: &SourceSpec, config: SourceConfig) -> Result<Self, SourceError> {
        let interval = config.interval(DEFAULT_RATE_HZ)?;
        let kind = Kind::open(spec, &config).await?;
        Ok(Self {
            kind,
            due: Instant::now(),
            interval,
            pace: match config.rate_hz {
                Some(_) => Pace::AsAsked,
                None => Pace::AsRecorded,
            },
            next_number: 0,
        })
    }

    /// Waits for the next picture, according to the source's rate.
    ///
    /// A camera has its own rate, numbers and timestamps. If its signal is
    /// lost, this waits for it to return, and logs that.
    ///
    /// # Errors
    /// [`SourceError`] if the source has failed.
    ///
    /// # Cancel safety
    /// Cancel safe: the next call returns the picture.
    pub async fn next(&mut self) -> Result<Picture, SourceError> {
        sleep_until(self.due).await;
        let ClipFrame { frame, duration } = match &mut self.kind {
            Kind::Clip(clip) => clip.next().await?,
            Kind::Still(frame) => frame.clone().into(),
            #[cfg(feature = "camera")]
            Kind::Camera(camera) => return next_of(camera).await,
            Kind::Pattern {
                width_px,
                height_px,
            } => {
                let stamp = Stamp {
                    number: self.next_number,
                    clock: SystemTime::now().into(),
                };
                paint(*width_px, *height_px, stamp)?.into()
            }
        };
        self.set_due(duration);
        let frame = match self.kind {
            // Its capture time is the one painted into it.
            Kind::Pattern { .. } => frame,
            _ => frame.captured_at(SystemTime::now().into()),
        };
        let frame = frame.numbered(self.next_number);
        self.next_number += 1;
        Ok(frame)
    }

    /// Number of pictures of a camera that were replaced by newer ones before
    /// they were taken. Other sources wait.
    pub fn missed(&self) -> u64 {
        match &self.kind {
            #[cfg(feature = "camera")]
            Kind::Camera(camera) => camera.missed(),
            _ => 0,
        }
    }

    /// Keeps the rate on average; drops delays that are too long to catch up.
    fn set_due(&mut self, duration: Option<Duration>) {
        self.due += match self.pace {
            Pace::AsRecorded => duration.unwrap_or(self.interval),
            Pace::AsAsked => self.interval,
        };
        let now = Instant::now();
        if self.due + MAX_LAG < now {
            self.due = now;
        }
    }
}

/// Which rate applies.
#[derive(Clone, Copy, Debug)]
enum Pace {
    AsRecorded,
    AsAsked,
}

/// The kinds of sources.
#[derive(Debug)]
enum Kind {
    Pattern {
        width_px: u32,
        height_px: u32,
    },
    Clip(Clip),
    Still(Picture),
    #[cfg(feature = "camera")]
    Camera(Box<Camera>),
}

impl Kind {
    async fn open(spec: &SourceSpec, config: &SourceConfig) -> Result<Self, SourceError> {
        match spec {
            SourceSpec::Pattern => {
                let (width_px, height_px) = config.size_px.unwrap_or(pattern::DEFAULT_SIZE_PX);
                // An unsupported size is detected here, not at the first
                // picture.
                paint(width_px, height_px, Stamp::default())?;
                Ok(Self::Pattern {
                    width_px,
                    height_px,
                })
            }
            SourceSpec::Clip => Ok(Self::Clip(Clip::open(Media::Bundled, config).await?)),
            SourceSpec::File(path) => match FileFormat::of(path) {
                Some(FileFormat::Clip(format)) => {
                    let media = Media::File {
                        path: path.clone(),
                        format,
                    };
                    Ok(Self::Clip(Clip::open(media, config).await?))
                }
                Some(FileFormat::Still(format)) => open_still(path, format, config).await,
                None => Err(SourceError::Unknown { spec: spec.clone() }),
            },
            #[cfg(feature = "camera")]
            SourceSpec::Camera { index } => open_camera(CameraId::Index(*index), config).await,
            #[cfg(feature = "camera")]
            SourceSpec::Device(path) => open_camera(CameraId::Path(path.clone()), config).await,
            #[cfg(not(feature = "camera"))]
            SourceSpec::Camera { .. } | SourceSpec::Device(_) => {
                Err(SourceError::Unknown { spec: spec.clone() })
            }
        }
    }
}

#[cfg(feature = "camera")]
async fn open_camera(id: CameraId, config: &SourceConfig) -> Result<Kind, SourceError> {
    let mut wish = CameraConfig::default();
    if let Some((width_px, height_px)) = config.size_px {
        wish = wish.size(width_px, height_px);
    }
    if let Some(rate_hz) = config.rate_hz {
        wish = wish.rate_hz(rate_hz);
    }
    let camera = Camera::open(id, wish).await?;
    Ok(Kind::Camera(Box::new(camera)))
}

#[cfg(feature = "camera")]
async fn next_of(camera: &mut Camera) -> Result<Picture, SourceError> {
    loop {
        match camera.next().await {
            // The capture thread has logged it and reopens the camera.
            Err(CameraError::NoSignal { .. }) => {}
            next => return Ok(next?),
        }
    }
}

async fn open_still(
    path: &Path,
    format: StillFormat,
    config: &SourceConfig,
) -> Result<Kind, SourceError> {
    let (there, size_px) = (path.to_owned(), config.size_px);
    spawn_blocking(move || still::read(&there, format, size_px))
        .await
        .map_err(|_: JoinError| ClipError::Ended)
        .flatten()
        .map(Kind::Still)
        .map_err(|source| SourceError::Clip {
            path: path.to_owned(),
            source,
        })
}

/// File formats, by file name extension.
enum FileFormat {
    Clip(ClipFormat),
    Still(StillFormat),
}

impl FileFormat {
    fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "mjpeg" | "mjpg" => Self::Clip(ClipFormat::Mjpeg),
            "y4m" => Self::Clip(ClipFormat::Y4m),
            #[cfg(feature = "record")]
            "mp4" | "m4v" | "mov" => Self::Clip(ClipFormat::Mp4),
            "jpg" | "jpeg" => Self::Still(StillFormat::Jpeg),
            "png" => Self::Still(StillFormat::Png),
            _ => return None,
        })
    }
}

/// A source that is later than this shows its next picture at once and
/// continues from there.
const MAX_LAG: Duration = Duration::from_millis(100);
