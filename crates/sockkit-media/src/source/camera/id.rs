//! How cameras are called.

use std::{fmt, path::PathBuf};

/// Which camera.
///
/// A number is a place in [`list`](super::list()); a path is a device of Linux.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CameraId {
    /// The camera at this place of the list, from 0.
    Index(u32),
    /// The camera behind this device, `/dev/video2` say.
    Path(PathBuf),
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "camera {index}"),
            Self::Path(path) => write!(f, "camera {}", path.display()),
        }
    }
}
