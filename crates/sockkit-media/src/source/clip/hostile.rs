//! Ten thousand bad files for each kind of clip.

use std::io::{BufReader, Cursor};

use super::{Pictures, mjpeg::Mjpeg, y4m::Y4m};
use crate::{
    hostile::{INPUTS, assert_peak_memory_below, inputs},
    source::clip::{ClipError, bundled},
};

/// Reads what can be read of each; counts the files that were refused.
#[track_caller]
fn check<P: Pictures>(sound: &[Vec<u8>], open: impl Fn(Vec<u8>) -> Result<P, ClipError>) {
    let read = |bytes: Vec<u8>| -> Result<usize, ClipError> {
        let (mut pictures, mut given) = (open(bytes)?, 0);
        while pictures.next()?.is_some() {
            given += 1;
            assert!(given < 1_000, "more pictures than bytes could tell of");
        }
        Ok(given)
    };
    for bytes in sound {
        assert!(read(bytes.clone()).unwrap() > 0);
    }
    let refused = inputs(sound)
        .filter(|bytes| read(bytes.clone()).is_err())
        .count();
    assert!(refused > 0, "none of {INPUTS} was bad");
    assert_peak_memory_below(PEAK_BYTES);
}

#[test]
fn motion_jpeg() {
    let some = bundled()[..60_000].to_vec();
    let two = some
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair == &[0xff, 0xd9])
        .map(|(at, _)| at + 2)
        .next_back()
        .unwrap();
    check(&[some[..two].to_vec()], |bytes| {
        Ok(Mjpeg::new(Cursor::new(bytes)))
    });
}

#[test]
fn y4m() {
    let colour = b"YUV4MPEG2 W16 H8 F30:1 Ip C420jpeg\n".to_vec();
    let gray = b"YUV4MPEG2 W16 H8 F25:1 Cmono\n".to_vec();
    let sound = [(colour, 192), (gray, 128)].map(|(mut clip, bytes)| {
        for luma in 0..3 {
            clip.extend_from_slice(b"FRAME\n");
            clip.extend(std::iter::repeat_n(luma, bytes));
        }
        clip
    });
    check(&sound, |bytes| Y4m::new(BufReader::new(Cursor::new(bytes))));
}

#[cfg(feature = "record")]
#[tokio::test]
async fn mp4() {
    use super::mp4::Mp4;
    use crate::{
        sink::record::{Recorder, RecorderConfig},
        source::pattern::{Stamp, paint},
    };

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fragments.mp4");
    let config = RecorderConfig::default();
    let mut recorder = Recorder::create(&path, config).await.unwrap();
    for number in 0..20 {
        let frame = paint(
            256,
            40,
            Stamp {
                number,
                ..Stamp::default()
            },
        )
        .unwrap();
        recorder.push(&frame).await.unwrap();
    }
    recorder.finish().await.unwrap();
    let fragments = std::fs::read(&path).unwrap();
    // Four pictures by ffmpeg: testsrc, 64x48 px.
    let whole = include_bytes!("whole.mp4").to_vec();
    check(&[fragments, whole], |bytes| Mp4::new(Cursor::new(bytes)));
}

/// All readers at once, with the inputs themselves.
const PEAK_BYTES: u64 = 768 << 20;
