//! Cameras that never block.
//!
//! A dedicated thread takes the pictures and passes on the newest, so that a
//! driver that does not respond blocks no task. A camera that is unplugged or
//! silent is reported, and reopened as soon as it is back. On Linux, nokhwa
//! uses a V4L2 backend of this crate with timeouts, exact lengths, and the
//! kernel's sequence numbers and timestamps. On macOS and Windows nokhwa's own
//! inputs are used, which have not been run with this crate. See
//! `docs/cameras.md`.

mod device;
mod error;
mod format;
mod id;
#[cfg(not(target_os = "linux"))]
mod native;
#[cfg(any(not(target_os = "linux"), feature = "nokhwa-v4l2"))]
mod nokhwa_input;
#[cfg(target_os = "linux")]
mod v4l2;
mod worker;

use std::{path::PathBuf, thread, time::Duration};

use tokio::{
    sync::{oneshot, watch},
    task::spawn_blocking,
    time::timeout,
};

#[cfg(not(target_os = "linux"))]
use self::native as platform;
#[cfg(target_os = "linux")]
use self::v4l2 as platform;
pub use self::{
    error::{CameraError, SignalLoss},
    format::CameraFormat,
    id::CameraId,
};
use self::{format::RequestedFormat, worker::Worker};
use crate::{
    latest::{self, Subscriber},
    picture::Picture,
};

/// Lists the cameras of this machine, with their formats.
///
/// Devices that deliver no pictures, such as the metadata device of a webcam,
/// are left out. A camera without permission is listed with the error.
///
/// # Errors
/// [`CameraError::Stalled`] if a driver does not respond for 10 s.
///
/// # Cancel safety
/// Cancel safe: it only reads.
pub async fn list() -> Result<Vec<CameraInfo>, CameraError> {
    let stalled = || CameraError::Stalled {
        camera: CameraId::Index(0),
    };
    timeout(DRIVER_TIMEOUT, spawn_blocking(platform::list))
        .await
        .map_err(|_| stalled())?
        .map_err(|_panicked| stalled())
}

/// A camera of this machine.
#[derive(Debug)]
#[non_exhaustive]
pub struct CameraInfo {
    /// Its index in the list, as in `camera:N`.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its device; Linux only.
    pub path: Option<PathBuf>,
    /// Its formats, with the best sizes last.
    pub formats: Vec<CameraFormat>,
    /// Error from listing its formats.
    pub problem: Option<CameraError>,
}

/// Requested settings of a camera.
///
/// The camera's closest format is used, which [`Camera::format`] returns.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a config does nothing until a camera is opened with it"]
pub struct CameraConfig {
    size_px: (u32, u32),
    rate_hz: f64,
    signal_timeout: Duration,
    #[cfg(all(target_os = "linux", feature = "nokhwa-v4l2"))]
    by_nokhwa: bool,
}

impl CameraConfig {
    /// Width and height, in pixels. Default: 640x480.
    pub const fn size(mut self, width_px: u32, height_px: u32) -> Self {
        self.size_px = (width_px, height_px);
        self
    }

    /// Pictures a second. Default: 30.
    pub const fn rate_hz(mut self, rate_hz: f64) -> Self {
        self.rate_hz = rate_hz;
        self
    }

    /// How long a camera may be silent before it counts as lost and is
    /// reopened. Default: 1 s.
    ///
    /// A camera whose pictures are further apart never delivers one.
    pub const fn signal_timeout(mut self, timeout: Duration) -> Self {
        self.signal_timeout = timeout;
        self
    }

    /// Uses nokhwa's own V4L2 input instead of this crate's.
    ///
    /// For comparison. It has no timeout: a silent camera blocks its thread for
    /// ever. Its pictures have neither the kernel's timestamp nor its sequence
    /// number.
    #[cfg(all(target_os = "linux", feature = "nokhwa-v4l2"))]
    pub const fn by_nokhwa(mut self) -> Self {
        self.by_nokhwa = true;
        self
    }

    const fn wish(&self) -> RequestedFormat {
        RequestedFormat {
            size_px: self.size_px,
            rate_hz: self.rate_hz,
        }
    }
}

impl Default for CameraConfig {
    fn default() -> Self {
        Self {
            size_px: (640, 480),
            rate_hz: 30.0,
            signal_timeout: Duration::from_secs(1),
            #[cfg(all(target_os = "linux", feature = "nokhwa-v4l2"))]
            by_nokhwa: false,
        }
    }
}

/// An open camera.
///
/// Dropping it ends the capture thread within a tenth of a second, or when the
/// driver responds; [`close`](Self::close) waits for that.
///
/// ```no_run
/// # use sockkit_media as sockkit;
/// use sockkit::source::camera::{Camera, CameraConfig, CameraError, CameraId};
///
/// # async fn example() -> Result<(), CameraError> {
/// let mut camera = Camera::open(CameraId::Index(0), CameraConfig::default()).await?;
/// println!("{}", camera.format());
/// loop {
///     match camera.next().await {
///         Ok(frame) => println!("picture {}", frame.number()),
///         Err(error @ CameraError::NoSignal { .. }) => println!("{error}"),
///         Err(error) => return Err(error),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Camera {
    id: CameraId,
    format: CameraFormat,
    pictures: Subscriber<Picture>,
    signal: watch::Receiver<CameraSignal>,
    signal_timeout: Duration,
}

/// Whether an open camera delivers pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CameraSignal {
    /// It does.
    Live,
    /// It does not, and is being reopened.
    Lost(SignalLoss),
}

impl Camera {
    /// Opens a camera and starts it.
    ///
    /// # Errors
    /// [`CameraError`] if it does not exist, is in use by another program, may
    /// not be opened by this user, or offers no usable format.
    ///
    /// # Cancel safety
    /// Cancel safe: the thread closes the camera again.
    pub async fn open(id: CameraId, config: CameraConfig) -> Result<Self, CameraError> {
        let (publisher, pictures) = latest::channel();
        let (signal_sender, signal) = watch::channel(CameraSignal::Live);
        let (opened, open) = oneshot::channel();
        let signal_timeout = config.signal_timeout.saturating_add(SLACK);
        let worker = Worker::new(id.clone(), config, publisher, signal_sender);
        let failed = |source: std::io::Error| CameraError::Failed {
            camera: id.clone(),
            source: source.into(),
        };
        thread::Builder::new()
            .name("sockkit-camera".into())
            .spawn(move || worker.run(opened))
            .map_err(failed)?;
        let format = timeout(DRIVER_TIMEOUT, open)
            .await
            .ok()
            // It panicked, so nothing was sent.
            .and_then(Result::ok)
            .unwrap_or_else(|| Err(CameraError::Stalled { camera: id.clone() }))?;
        tracing::info!(camera = %id, %format, "camera opened");
        Ok(Self {
            id,
            format,
            pictures,
            signal,
            signal_timeout,
        })
    }

    /// Waits for a newer picture.
    ///
    /// Numbers are the driver's, so that a gap is a missed picture. They keep
    /// increasing after an absence of the camera. On Linux, the capture time is
    /// the kernel's timestamp.
    ///
    /// # Errors
    /// [`CameraError::NoSignal`] when the signal is lost, and about once a
    /// second until it returns: call it again to wait for the camera. Any other
    /// error is final.
    ///
    /// # Cancel safety
    /// Cancel safe: the next call returns the picture, unless there is a newer
    /// one.
    pub async fn next(&mut self) -> Result<Picture, CameraError> {
        let silence = tokio::time::sleep(self.signal_timeout);
        tokio::pin!(silence);
        loop {
            tokio::select! {
                biased;
                frame = self.pictures.next() => return frame.ok_or_else(|| self.ended()),
                Ok(()) = self.signal.changed() => {
                    let signal = *self.signal.borrow_and_update();
                    if let CameraSignal::Lost(reason) = signal {
                        return Err(self.no_signal(reason));
                    }
                }
                () = &mut silence => {
                    return Err(match self.signal() {
                        CameraSignal::Lost(reason) => self.no_signal(reason),
                        // The driver blocks the thread.
                        CameraSignal::Live => self.no_signal(SignalLoss::Silent { after: self.signal_timeout }),
                    });
                }
            }
        }
    }

    /// Whether it currently delivers pictures.
    pub fn signal(&self) -> CameraSignal {
        *self.signal.borrow()
    }

    /// The format in use.
    pub const fn format(&self) -> CameraFormat {
        self.format
    }

    /// Number of pictures that were replaced by newer ones before they were
    /// taken.
    pub fn missed(&self) -> u64 {
        self.pictures.missed()
    }

    /// Closes the camera, so that other programs can use it.
    ///
    /// # Errors
    /// [`CameraError::Stalled`] if the driver does not release it within 10 s.
    ///
    /// # Cancel safety
    /// Cancel safe: the camera is closed in any case.
    pub async fn close(self) -> Result<(), CameraError> {
        let Self {
            id,
            pictures,
            mut signal,
            ..
        } = self;
        drop(pictures);
        // The thread drops its end last.
        let gone = async { while signal.changed().await.is_ok() {} };
        timeout(DRIVER_TIMEOUT, gone)
            .await
            .map_err(|_| CameraError::Stalled { camera: id })
    }

    fn no_signal(&self, reason: SignalLoss) -> CameraError {
        CameraError::NoSignal {
            camera: self.id.clone(),
            reason,
        }
    }

    fn ended(&self) -> CameraError {
        CameraError::Failed {
            camera: self.id.clone(),
            source: "the capture thread has ended".into(),
        }
    }
}

/// A driver that needs longer does not respond at all.
const DRIVER_TIMEOUT: Duration = Duration::from_secs(10);

/// Allows the thread some time to report silence.
const SLACK: Duration = Duration::from_millis(500);
