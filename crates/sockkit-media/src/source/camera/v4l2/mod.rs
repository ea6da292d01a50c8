//! Cameras on Linux.
//!
//! # Source
//! The kernel's media documentation, part I, "Video for Linux API".

mod backend;
mod clock;
mod node;
mod offers;
mod stream;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use moq_v4l::{Device as Handle, video::Capture as _};
use nokhwa::{
    Camera,
    utils::{ApiBackend, CameraIndex},
};

use self::{backend::Backend, node::Node, stream::SharedStream};
use super::{
    CameraConfig, CameraError, CameraFormat, CameraId, CameraInfo, SignalLoss,
    device::{Device, Identity},
    format::choose,
};

pub(super) fn list() -> Vec<CameraInfo> {
    let infos = (0..).zip(node::cameras()).map(|(index, node)| {
        let id = CameraId::Path(node.path.clone());
        let offers = Handle::with_path(&node.path)
            .map(|handle| offers::of(&handle))
            .map_err(|error| CameraError::of_io(&id, &node.path, error));
        let (formats, problem) = match offers {
            Ok(formats) => (formats, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        CameraInfo {
            index,
            name: node.identity.name,
            path: Some(node.path),
            formats,
            problem,
        }
    });
    infos.collect()
}

/// Opens a camera and starts it.
pub(super) fn open(id: &CameraId, config: &CameraConfig) -> Result<Device, CameraError> {
    let cameras = node::cameras();
    let known = cameras.len();
    let not_found = || CameraError::NotFound {
        camera: id.clone(),
        known,
    };
    match id {
        CameraId::Index(index) => {
            let place = usize::try_from(*index).unwrap_or(usize::MAX);
            let node = cameras.into_iter().nth(place).ok_or_else(not_found)?;
            open_node(id, node, config)
        }
        CameraId::Path(path) => {
            if !path.exists() {
                return Err(not_found());
            }
            let node =
                node::look_at(path).ok_or_else(|| CameraError::NoFormat { camera: id.clone() })?;
            open_node(id, node, config)
        }
    }
}

/// Reopens the same camera, at whatever device it is now.
pub(super) fn reopen(
    id: &CameraId,
    identity: &Identity,
    config: &CameraConfig,
) -> Result<Device, CameraError> {
    let node = node::cameras()
        .into_iter()
        .find(|node| node.identity == *identity)
        .ok_or_else(|| CameraError::NoSignal {
            camera: id.clone(),
            reason: SignalLoss::Unplugged,
        })?;
    open_node(id, node, config)
}

fn open_node(id: &CameraId, node: Node, config: &CameraConfig) -> Result<Device, CameraError> {
    #[cfg(feature = "nokhwa-v4l2")]
    if config.by_nokhwa {
        let index = CameraIndex::Index(node.number().unwrap_or_default());
        return super::nokhwa_input::open(id, &index, node.identity, config);
    }
    let failed = |error: io::Error| CameraError::of_io(id, &node.path, error);
    let handle = Handle::with_path(&node.path).map_err(failed)?;
    let offers = offers::of(&handle);
    let format = choose(&offers, config.wish())
        .ok_or_else(|| CameraError::NoFormat { camera: id.clone() })?;
    let (format, stride_bytes) = set(&handle, format).map_err(failed)?;
    let stream = SharedStream::start(&handle, id.clone(), node.path.clone()).map_err(failed)?;
    let backend = Backend::new(&node.identity, format, offers, stream.clone());
    let camera = Camera::with_custom(
        CameraIndex::String(node.path.display().to_string()),
        ApiBackend::Video4Linux,
        Box::new(backend),
    );
    Ok(Device {
        camera,
        beside: Box::new(stream),
        identity: node.identity,
        format,
        stride_bytes,
    })
}

/// Sets size, pixel format and rate; returns what the driver made of them.
fn set(handle: &Handle, format: CameraFormat) -> io::Result<(CameraFormat, usize)> {
    let fourcc = offers::fourcc(format.encoding);
    let wanted = moq_v4l::Format::new(format.width_px, format.height_px, fourcc);
    let set = handle.set_format(&wanted)?;
    let encoding = offers::encoding(set.fourcc).ok_or(io::ErrorKind::Unsupported)?;
    // Some drivers have a single rate and cannot report it.
    let rate_hz = handle
        .set_params(&offers::interval(format.rate_hz))
        .map(|set| set.interval)
        .ok()
        .and_then(|interval| offers::rate(&interval));
    let stride_bytes = match encoding.pixel_format() {
        Some(pixels) => usize::try_from(set.stride)
            .map_err(io::Error::other)?
            .max(pixels.row_bytes(set.width)),
        None => 0,
    };
    let format = CameraFormat {
        encoding,
        width_px: set.width,
        height_px: set.height,
        rate_hz: rate_hz.unwrap_or(format.rate_hz),
    };
    Ok((format, stride_bytes))
}

/// The programs that have a device open, as far as this user may see them.
pub(super) fn holders(device: &Path) -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut programs: Vec<String> = processes
        .flatten()
        .map(|process| process.path())
        .filter(|process| holds(process, device))
        .filter_map(|process| {
            let name = fs::read_to_string(process.join("comm")).ok()?;
            // `self` and similar entries are aliases of numbered processes.
            let number: u32 = process.file_name()?.to_str()?.parse().ok()?;
            Some(format!("{} {number}", name.trim()))
        })
        .collect();
    programs.sort_unstable();
    programs
}

fn holds(process: &Path, device: &Path) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    files
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target: PathBuf| target == device))
}
