//! Ten thousand bad pictures and messages.

use super::{Picture, PixelFormat, Timestamp, jpeg};
use crate::{
    fuzzing, hostile,
    source::pattern::{Stamp, paint},
};

fn image(quality: u8) -> Picture {
    let stamp = Stamp {
        number: 7,
        clock: Timestamp::from_micros(1),
    };
    let picture = paint(256, 64, stamp).unwrap();
    jpeg::encode(&picture, quality).unwrap()
}

/// A byte tells of 512 pixels at the most, each of three samples.
#[test]
fn jpegs() {
    let sound = [20, 80, 100].map(|quality| image(quality).into_data().to_vec());
    hostile::check(&sound, fuzzing::jpeg, |length| 512 * 3 * length + 1_000_000);
}

#[test]
fn splitters() {
    let whole = image(50).into_data();
    let sound = [[whole.as_ref(), whole.as_ref(), whole.as_ref()].concat()];
    hostile::check(&sound, fuzzing::jpeg_stream, |length| 4 * length + 4_096);
}

#[test]
fn messages() {
    let raw = Picture::new(PixelFormat::Yuyv, 16, 4, vec![9; 128]).unwrap();
    let sound = [raw, image(30)].map(|frame| frame.to_message().unwrap().to_vec());
    hostile::check(&sound, fuzzing::picture, |length| 2 * length + 1_024);
}
