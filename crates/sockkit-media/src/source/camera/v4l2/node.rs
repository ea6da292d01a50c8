//! Devices that are cameras.

use std::{
    fs,
    path::{Path, PathBuf},
};

use moq_v4l::{Device as Handle, capability::Flags};

use super::Identity;

/// A device that delivers pictures.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
}

#[cfg(feature = "nokhwa-v4l2")]
impl Node {
    /// The N of `/dev/videoN`.
    pub(super) fn number(&self) -> Option<u32> {
        number(self.path.file_name()?.to_str()?)
    }
}

/// All cameras, in the order of their device numbers.
pub(super) fn cameras() -> Vec<Node> {
    let Ok(entries) = fs::read_dir("/dev") else {
        return Vec::new();
    };
    let mut numbers: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| number(entry.file_name().to_str()?))
        .collect();
    numbers.sort_unstable();
    numbers
        .into_iter()
        .filter_map(|number| look_at(&PathBuf::from(format!("/dev/video{number}"))))
        .collect()
}

/// Inspects a device; returns it if it delivers pictures or cannot be opened.
pub(super) fn look_at(path: &Path) -> Option<Node> {
    let identity = match Handle::with_path(path) {
        Ok(handle) => {
            let abilities = handle.query_caps().ok()?;
            let needed = Flags::VIDEO_CAPTURE | Flags::STREAMING;
            if !abilities.capabilities.contains(needed) {
                return None;
            }
            Identity {
                name: abilities.card,
                port: abilities.bus,
            }
        }
        Err(_) => unopened(path)?,
    };
    Some(Node {
        path: path.to_owned(),
        identity,
    })
}

/// The kernel's information about a device that may not be opened.
fn unopened(path: &Path) -> Option<Identity> {
    let about = Path::new("/sys/class/video4linux").join(path.file_name()?);
    let fact = |name| {
        fs::read_to_string(about.join(name))
            .ok()
            .map(|fact| fact.trim().to_owned())
    };
    // The second device of a webcam delivers metadata.
    (fact("index")? == "0").then_some(())?;
    Some(Identity {
        name: fact("name")?,
        port: String::new(),
    })
}

/// The N of `videoN`; `None` for other names.
fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("video")?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbered_devices_count() {
        assert_eq!(number("video0"), Some(0));
        assert_eq!(number("video63"), Some(63));
        for other in [
            "video",
            "videofoo",
            "video1a",
            "video+1",
            "audio0",
            "video99999999999",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_is_no_device_is_no_camera() {
        assert!(look_at(Path::new("/dev/null")).is_none());
        assert!(look_at(Path::new("/nowhere/video0")).is_none());
    }
}
