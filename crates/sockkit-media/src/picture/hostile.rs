//! Ten thousand bad pictures and messages.

use super::{PixelFormat, Timestamp, VideoFrame, jpeg};
use crate::{
    hostile::{INPUTS, assert_peak_memory_below, inputs},
    source::pattern::{Stamp, paint},
};

fn image(quality: u8) -> VideoFrame {
    let stamp = Stamp {
        number: 7,
        clock: Timestamp::from_micros(1),
    };
    let picture = paint(256, 64, stamp).unwrap();
    jpeg::encode(&picture, quality).unwrap()
}

#[test]
fn jpegs() {
    let sound = [20, 80, 100].map(|quality| image(quality).into_data().to_vec());
    let mut refused = 0;
    for bytes in inputs(&sound) {
        let tidied = jpeg::tidy(&bytes).is_ok();
        let decoded = VideoFrame::from_jpeg(bytes).and_then(|frame| jpeg::decode(&frame));
        if let Ok(pixels) = &decoded {
            assert!(tidied, "decoded what is not even whole");
            let (width, height) = (pixels.width_px() as usize, pixels.height_px() as usize);
            assert_eq!(pixels.data().len(), 3 * width * height);
        }
        refused += u64::from(decoded.is_err());
    }
    assert!(refused > INPUTS / 10, "{refused} of {INPUTS}");
    assert_peak_memory_below(PEAK_BYTES);
}

#[test]
fn splitters() {
    let whole = image(50).into_data();
    let sound = [[whole.as_ref(), whole.as_ref(), whole.as_ref()].concat()];
    for bytes in inputs(&sound) {
        let mut splitter = jpeg::Splitter::new(1 << 20);
        for part in bytes.chunks(1_000) {
            splitter.push(part);
            while let Ok(Some(image)) = splitter.take() {
                assert!(image.len() <= bytes.len());
            }
        }
    }
    assert_peak_memory_below(PEAK_BYTES);
}

#[test]
fn messages() {
    let raw = VideoFrame::new(PixelFormat::Yuyv, 16, 4, vec![9; 128]).unwrap();
    let sound = [raw, image(30)].map(|frame| frame.to_message().to_vec());
    let mut refused = 0;
    for bytes in inputs(&sound) {
        match VideoFrame::from_message(bytes.into()) {
            Ok(frame) => assert!(frame.width_px() <= VideoFrame::MAX_SIDE_PX),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > INPUTS / 10, "{refused} of {INPUTS}");
    assert_peak_memory_below(PEAK_BYTES);
}

/// All tests of this crate at once.
const PEAK_BYTES: u64 = 768 << 20;
