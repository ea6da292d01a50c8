//! Cameras on macOS and Windows, through nokhwa's own inputs.
//!
//! Type checked for Windows; not run on either.

use nokhwa::utils::{ApiBackend, CameraInfo as NokhwaInfo};

use super::{
    CameraConfig, CameraError, CameraId, CameraInfo, SignalLoss,
    device::{Device, Identity},
    nokhwa_input,
};

pub(super) fn list() -> Vec<CameraInfo> {
    (0..)
        .zip(cameras())
        .map(|(index, info)| {
            let id = CameraId::Index(index);
            let offers = nokhwa_input::opened(&id, info.index())
                .and_then(|mut camera| nokhwa_input::offers(&id, &mut camera));
            let (formats, problem) = match offers {
                Ok(formats) => (formats, None),
                Err(problem) => (Vec::new(), Some(problem)),
            };
            CameraInfo {
                index,
                name: info.human_name(),
                path: None,
                formats,
                problem,
            }
        })
        .collect()
}

/// Opens a camera and starts it.
pub(super) fn open(id: &CameraId, config: &CameraConfig) -> Result<Device, CameraError> {
    let cameras = cameras();
    let known = cameras.len();
    let place = match id {
        CameraId::Index(index) => usize::try_from(*index).unwrap_or(usize::MAX),
        CameraId::Path(_) => usize::MAX,
    };
    let info = cameras
        .into_iter()
        .nth(place)
        .ok_or_else(|| CameraError::NotFound {
            camera: id.clone(),
            known,
        })?;
    open_found(id, &info, config)
}

/// Reopens the same camera, at whatever index it is now.
pub(super) fn reopen(
    id: &CameraId,
    identity: &Identity,
    config: &CameraConfig,
) -> Result<Device, CameraError> {
    let info = cameras()
        .into_iter()
        .find(|info| identity_of(info) == *identity)
        .ok_or_else(|| CameraError::NoSignal {
            camera: id.clone(),
            reason: SignalLoss::Unplugged,
        })?;
    open_found(id, &info, config)
}

fn open_found(
    id: &CameraId,
    info: &NokhwaInfo,
    config: &CameraConfig,
) -> Result<Device, CameraError> {
    nokhwa_input::open(id, info.index(), identity_of(info), config)
}

fn cameras() -> Vec<NokhwaInfo> {
    nokhwa::query(ApiBackend::Auto).unwrap_or_default()
}

fn identity_of(info: &NokhwaInfo) -> Identity {
    Identity {
        name: info.human_name(),
        port: info.misc(),
    }
}
