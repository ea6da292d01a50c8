//! What can be wrong with a camera.

use std::{error::Error, fmt, io, time::Duration};

use super::CameraId;

/// Why a camera does not open, or gives no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// There is no such camera.
    #[error("there is no {camera}; this machine has {known} cameras")]
    NotFound {
        /// The camera asked for.
        camera: CameraId,
        /// How many there are.
        known: usize,
    },
    /// The user has no right to open it.
    #[error(
        "{camera} may not be opened; join the group that owns it (often `video`) and log in again"
    )]
    Denied {
        /// The camera.
        camera: CameraId,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Another program has it: close that one first.
    #[error("{camera} is in use by another program{}", Holders(programs))]
    Busy {
        /// The camera.
        camera: CameraId,
        /// The programs that hold it, as far as this user may see them.
        programs: Vec<String>,
    },
    /// It offers nothing that can be read here.
    #[error("{camera} offers no pixel format that is known here")]
    NoFormat {
        /// The camera.
        camera: CameraId,
    },
    /// It opened and gives no picture now. It is tried again and again: ask for
    /// the next picture.
    #[error("{camera} gives no signal: {reason}")]
    NoSignal {
        /// The camera.
        camera: CameraId,
        /// Why, as far as one can tell.
        reason: SignalLoss,
    },
    /// The driver did not answer for 10 s.
    #[error("driver of {camera} does not answer")]
    Stalled {
        /// The camera.
        camera: CameraId,
    },
    /// The camera or its driver failed.
    #[error("{camera} failed")]
    Failed {
        /// The camera.
        camera: CameraId,
        /// What went wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Why a camera that was open gives no pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignalLoss {
    /// It is gone; plugged in again, it goes on by itself.
    Unplugged,
    /// It is there and silent, or its pictures are all broken.
    Silent {
        /// For how long.
        after: Duration,
    },
    /// Another program took it in the meantime.
    Busy,
    /// Its driver reports an error.
    Failed,
}

impl fmt::Display for SignalLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplugged => f.write_str("it is unplugged"),
            Self::Silent { after } => write!(f, "no picture for {after:.1?}"),
            Self::Busy => f.write_str("another program took it"),
            Self::Failed => f.write_str("its driver reports an error"),
        }
    }
}

impl CameraError {
    /// Sorts an error of the operating system.
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

    /// The same, as the state of a camera that was open before.
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
