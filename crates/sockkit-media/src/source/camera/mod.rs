//! Cameras that never hang.
//!
//! A thread of its own takes the pictures, so that a driver that does not answer
//! holds up nobody, and hands on the newest. A camera that is unplugged or
//! falls silent is reported and opened again as soon as it is back. On Linux
//! nokhwa is given a backend on V4L2 that knows time limits, exact lengths, the kernel's
//! sequence numbers and its clock; on macOS and Windows nokhwa's own inputs are
//! used, which nobody has run yet with this crate. `docs/cameras.md` has the rest.

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

/// Lists the cameras of this machine, with what they offer.
///
/// Devices that give no pictures, such as the metadata device beside each
/// webcam, are left out. A camera that may not be opened is listed with the
/// reason.
///
/// # Errors
/// [`CameraError::Stalled`] if a driver does not answer for 10 s.
///
/// # Cancel safety
/// Cancel safe: it only looks.
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
    /// Its place in the list: what `camera:N` means.
    pub index: u32,
    /// What it calls itself.
    pub name: String,
    /// Its device; Linux only.
    pub path: Option<PathBuf>,
    /// What it offers, best sizes last.
    pub formats: Vec<CameraFormat>,
    /// Why it could not be asked what it offers.
    pub problem: Option<CameraError>,
}

/// What to ask of a camera.
///
/// Each is a wish: the camera's nearest is taken, and
/// [`Camera::format`] says what that is.
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

    /// How long a camera may be silent before it counts as lost and is opened
    /// anew. Default: 1 s.
    ///
    /// A camera that makes pictures more slowly than this never gives one.
    pub const fn signal_timeout(mut self, timeout: Duration) -> Self {
        self.signal_timeout = timeout;
        self
    }

    /// Takes nokhwa's own V4L2 input instead of this crate's.
    ///
    /// For comparison. It has no time limit: a camera that falls silent holds
    /// its thread for ever. Its pictures have neither the kernel's time nor its
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
/// driver answers; [`close`](Self::close) waits for that.
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

/// Whether an open camera gives pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CameraSignal {
    /// It does.
    Live,
    /// It does not, and is tried again.
    Lost(SignalLoss),
}

impl Camera {
    /// Opens a camera and starts it.
    ///
    /// # Errors
    /// [`CameraError`] if there is none, another program has it, this user may not,
    /// or it offers nothing of use.
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

    /// Waits for a picture newer than the last.
    ///
    /// Numbers are the driver's, so that a gap is a picture that was not taken in
    /// time; they go on growing after the camera was away. The capture time
    /// is the kernel's on Linux.
    ///
    /// # Errors
    /// [`CameraError::NoSignal`] as soon as the signal is lost, and about once a second
    /// while it stays so: ask again, and the pictures go on when the camera is
    /// back. Any other error is final.
    ///
    /// # Cancel safety
    /// Cancel safe: a picture not taken is given next time, unless there is a
    /// newer one.
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
                        // The driver holds the thread.
                        CameraSignal::Live => self.no_signal(SignalLoss::Silent { after: self.signal_timeout }),
                    });
                }
            }
        }
    }

    /// Whether it gives pictures now.
    pub fn signal(&self) -> CameraSignal {
        *self.signal.borrow()
    }

    /// What was chosen of what it offers.
    pub const fn format(&self) -> CameraFormat {
        self.format
    }

    /// Pictures that were replaced by newer ones before they were asked for.
    pub fn missed(&self) -> u64 {
        self.pictures.missed()
    }

    /// Closes the camera, so that another program may have it.
    ///
    /// # Errors
    /// [`CameraError::Stalled`] if the driver does not let go of it for 10 s.
    ///
    /// # Cancel safety
    /// Cancel safe: the camera is closed nevertheless.
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

/// A driver that takes longer than this does not answer at all.
const DRIVER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the thread may need to tell of a silence.
const SLACK: Duration = Duration::from_millis(500);
