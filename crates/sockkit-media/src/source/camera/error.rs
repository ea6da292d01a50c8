//! Errors of cameras.

use std::{error::Error, fmt, io, time::Duration};

use super::CameraId;

/// Error from opening a camera or taking a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// The camera does not exist.
    #[error("there is no {camera}; this machine has {known} cameras")]
    NotFound {
        /// The requested camera.
        camera: CameraId,
        /// Number of cameras found.
        known: usize,
    },
    /// The user has no permission to open it.
    #[error(
        "no permission to open {camera}; join the group that owns it (often `video`) and log in again"
    )]
    Denied {
        /// The camera.
        camera: CameraId,
        /// Error from the operating system.
        #[source]
        source: io::Error,
    },
    /// Another program uses it: close that program first.
    #[error("{camera} is in use by another program{}", Holders(programs))]
    Busy {
        /// The camera.
        camera: CameraId,
        /// The programs that use it, as far as this user may see them.
        programs: Vec<String>,
    },
    /// It offers no supported pixel format.
    #[error("{camera} offers no supported pixel format")]
    NoFormat {
        /// The camera.
        camera: CameraId,
    },
    /// It is open but currently delivers no pictures. It is reopened
    /// automatically: ask for the next picture.
    #[error("{camera} gives no signal: {reason}")]
    NoSignal {
        /// The camera.
        camera: CameraId,
        /// The reason, if known.
        reason: SignalLoss,
    },
    /// The driver did not respond for 10 s.
    #[error("driver of {camera} does not respond")]
    Stalled {
        /// The camera.
        camera: CameraId,
    },
    /// The camera or its driver failed.
    #[error("{camera} failed")]
    Failed {
        /// The camera.
        camera: CameraId,
        /// The error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Why an open camera delivers no pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignalLoss {
    /// It is unplugged; it resumes when plugged in again.
    Unplugged,
    /// It is silent, or all its pictures are damaged.
    Silent {
        /// For how long.
        after: Duration,
    },
    /// Another program uses it.
    Busy,
    /// Its driver reports an error.
    Failed,
}

impl fmt::Display for SignalLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplugged => f.write_str("it is unplugged"),
            Self::Silent { after } => write!(f, "no picture for {after:.1?}"),
            Self::Busy => f.write_str("another program uses it"),
            Self::Failed => f.write_str("its driver reports an error"),
        }
    }
}

impl CameraError {
    /// Classifies an error of the operating system.
    #[cfg(target_os = "linux")]
    pub(super) fn of_io(camera: &CameraId, path: &std::path::Path, source: io::Error) -> Self {
        use rustix::io::Errno;

        let camera = camera.clone();
        match Errno::from_io_error(&source) {
            Some(Errno::BUSY) => Self::Busy {
                camera,
                programs: super::v4l2::holders(path),
            },
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied { camera, source },
            Some(Errno::NODEV | Errno::NXIO | Errno::NOENT) => Self::NoSignal {
                camera,
                reason: SignalLoss::Unplugged,
            },
            _ => Self::Failed {
                camera,
                source: source.into(),
            },
        }
    }

    /// The same error, as the state of a camera that was open before.
    pub(super) const fn as_loss(&self) -> SignalLoss {
        match self {
            Self::Busy { .. } => SignalLoss::Busy,
            Self::NoSignal { reason, .. } => *reason,
            Self::NotFound { .. } => SignalLoss::Unplugged,
            _ => SignalLoss::Failed,
        }
    }
}

/// ` (ffmpeg, cheese)`, or nothing.
struct Holders<'a>(&'a [String]);

impl fmt::Display for Holders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            programs => write!(f, " ({})", programs.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_camera_names_who_has_it() {
        let busy = |programs: &[&str]| {
            CameraError::Busy {
                camera: CameraId::Index(0),
                programs: programs.iter().map(|&name| name.to_owned()).collect(),
            }
            .to_string()
        };
        assert_eq!(busy(&[]), "camera 0 is in use by another program");
        assert_eq!(
            busy(&["cheese", "obs"]),
            "camera 0 is in use by another program (cheese, obs)"
        );
    }
}
