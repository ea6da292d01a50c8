//! The capture thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::sleep,
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use super::{
    CameraConfig, CameraError, CameraFormat, CameraId, CameraSignal, SignalLoss,
    device::{Device, RawCapture},
    platform,
};
use crate::{
    latest::Publisher,
    picture::{Picture, PictureError, jpeg},
};

/// Keeps one camera open for as long as there are subscribers.
pub(super) struct Worker {
    id: CameraId,
    config: CameraConfig,
    pictures: Publisher<Picture>,
    signal: watch::Sender<CameraSignal>,
    numbers: Numbers,
}

impl Worker {
    pub(super) fn new(
        id: CameraId,
        config: CameraConfig,
        pictures: Publisher<Picture>,
        signal: watch::Sender<CameraSignal>,
    ) -> Self {
        Self {
            id,
            config,
            pictures,
            signal,
            numbers: Numbers::default(),
        }
    }

    /// Opens the camera, reports the result, and captures until there are no
    /// subscribers.
    pub(super) fn run(mut self, opened: oneshot::Sender<Result<CameraFormat, CameraError>>) {
        let device = match platform::open(&self.id, &self.config) {
            Ok(device) => device,
            Err(error) => {
                // Fails if the caller was cancelled.
                let _ = opened.send(Err(error));
                return;
            }
        };
        if opened.send(Ok(device.format())).is_err() {
            return;
        }
        let identity = device.identity().clone();
        let mut device = Some(device);
        while self.is_wanted() {
            let Some(open) = device.take() else {
                sleep(RETRY);
                device = match platform::reopen(&self.id, &identity, &self.config) {
                    Ok(device) => Some(device),
                    Err(error) => {
                        self.lose(error.as_loss());
                        None
                    }
                };
                continue;
            };
            // Drivers' libraries panic where they should return errors,
            // especially when a camera that is gone is closed.
            let captured = catch_unwind(AssertUnwindSafe(|| self.capture(open)));
            match captured {
                Ok(Captured::UntilUnwanted) => return,
                Ok(Captured::UntilLost(reason)) => self.lose(reason),
                Err(_panic) => self.lose(SignalLoss::Failed),
            }
        }
    }

    fn capture(&mut self, mut device: Device) -> Captured {
        self.numbers.begin();
        let mut seen = Instant::now();
        while self.is_wanted() {
            match device.next(STEP) {
                Ok(Some(shot)) => match to_picture(shot, &mut self.numbers) {
                    Ok(frame) => {
                        seen = Instant::now();
                        self.pictures.publish(frame);
                        self.find();
                    }
                    Err(error) => {
                        tracing::debug!(camera = %self.id, %error, "camera gave a broken picture");
                    }
                },
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(camera = %self.id, %error, "camera lost");
                    return Captured::UntilLost(error.as_loss());
                }
            }
            let after = seen.elapsed();
            if after >= self.config.signal_timeout {
                return Captured::UntilLost(SignalLoss::Silent { after });
            }
        }
        Captured::UntilUnwanted
    }

    fn is_wanted(&self) -> bool {
        self.pictures.subscribers() > 0
    }

    fn lose(&self, reason: SignalLoss) {
        let news = self.signal.send_if_modified(|signal| {
            let was_live = *signal == CameraSignal::Live;
            *signal = CameraSignal::Lost(reason);
            was_live
        });
        if news {
            tracing::warn!(camera = %self.id, %reason, "no signal");
        }
    }

    fn find(&self) {
        let news = self.signal.send_if_modified(|signal| {
            std::mem::replace(signal, CameraSignal::Live) != CameraSignal::Live
        });
        if news {
            tracing::info!(camera = %self.id, "signal is back");
        }
    }
}

enum Captured {
    UntilUnwanted,
    UntilLost(SignalLoss),
}

/// Numbers that keep increasing, although drivers restart at 0.
#[derive(Debug, Default)]
struct Numbers {
    base: u64,
    next: u64,
}

impl Numbers {
    /// The device was reopened.
    const fn begin(&mut self) {
        self.base = self.next;
    }

    /// The picture's number; without numbers from the driver, pictures are
    /// consecutive.
    fn number(&mut self, sequence: Option<u32>) -> u64 {
        let number = sequence.map_or(self.next, |sequence| self.base + u64::from(sequence));
        // A driver's counter that goes back must not repeat a number.
        let number = number.max(self.next);
        self.next = number + 1;
        number
    }
}

/// Makes a picture from the driver's data.
fn to_picture(shot: RawCapture, numbers: &mut Numbers) -> Result<Picture, PictureError> {
    let number = numbers.number(shot.sequence);
    let CameraFormat {
        encoding,
        width_px,
        height_px,
        ..
    } = shot.format;
    let frame = match encoding.pixel_format() {
        Some(pixels) => {
            Picture::with_stride(pixels, width_px, height_px, shot.stride_bytes, shot.data)?
        }
        None => {
            let tidy = jpeg::trim(&shot.data)?;
            if tidy.len() == shot.data.len() {
                Picture::from_jpeg(shot.data)?
            } else {
                Picture::from_jpeg(tidy.into_owned())?
            }
        }
    };
    Ok(frame.captured_at(shot.captured).numbered(number))
}

/// How soon the thread notices that there are no subscribers.
const STEP: Duration = Duration::from_millis(100);

/// How soon a camera that is plugged in again is found.
const RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_stay_and_numbers_grow_on_after_a_replug() {
        let mut numbers = Numbers::default();
        numbers.begin();
        let first = [0, 1, 4].map(|sequence| numbers.number(Some(sequence)));
        assert_eq!(first, [0, 1, 4]);
        numbers.begin();
        let second = [0, 2, 1].map(|sequence| numbers.number(Some(sequence)));
        assert_eq!(second, [5, 7, 8]);
        assert_eq!(numbers.number(None), 9);
    }
}
