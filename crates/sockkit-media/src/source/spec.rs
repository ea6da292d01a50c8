//! Selects a source, as typed by a user.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

/// Selects a source.
///
/// Written `camera`, `camera:1`, `/dev/video2`, `pattern`, `clip` (the bundled
/// one), or a file's path. Write `./pattern` for a file with one of these
/// names.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::source::SourceSpec;
///
/// assert_eq!("camera:1".parse(), Ok(SourceSpec::Camera { index: 1 }));
/// assert_eq!("pattern".parse(), Ok(SourceSpec::Pattern));
/// assert_eq!("/dev/video2".parse(), Ok(SourceSpec::Device("/dev/video2".into())));
/// assert_eq!("./walk.mjpeg".parse(), Ok(SourceSpec::File("./walk.mjpeg".into())));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SourceSpec {
    /// A camera by its index in the list.
    Camera {
        /// Its index, from 0.
        index: u32,
    },
    /// A camera by its device; Linux only.
    Device(PathBuf),
    /// The moving test pattern.
    Pattern,
    /// The clip bundled with this crate.
    Clip,
    /// A clip or a still image, recognised by its file name extension.
    File(PathBuf),
}

impl FromStr for SourceSpec {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let camera = text.strip_prefix("camera:").map(str::parse);
        Ok(match (text, camera) {
            ("camera", _) => Self::Camera { index: 0 },
            ("pattern", _) => Self::Pattern,
            ("clip", _) => Self::Clip,
            (_, Some(Ok(index))) => Self::Camera { index },
            _ if text.starts_with("/dev/video") => Self::Device(text.into()),
            _ => Self::File(text.into()),
        })
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Camera { index } => write!(f, "camera:{index}"),
            Self::Pattern => f.write_str("pattern"),
            Self::Clip => f.write_str("clip"),
            Self::File(path) | Self::Device(path) => path.display().fmt(f),
        }
    }
}
