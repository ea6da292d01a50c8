//! Ten thousand bad files for each kind of clip.

use crate::{fuzzing, hostile, source::clip::bundled};

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
    let sound = [some[..two].to_vec()];
    hostile::check(&sound, fuzzing::mjpeg, |length| 3 * length + 100_000);
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
    hostile::check(&sound, fuzzing::y4m, |length| 5 * length + 16_000);
}

/// A recording of so many pictures.
#[cfg(feature = "record")]
async fn recorded(config: crate::sink::record::RecorderConfig, pictures: u64) -> Vec<u8> {
    use crate::{
        sink::record::Recorder,
        source::pattern::{Stamp, paint},
    };

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fragments.mp4");
    let mut recorder = Recorder::create(&path, config).await.unwrap();
    for number in 0..pictures {
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
    std::fs::read(&path).unwrap()
}

#[cfg(feature = "record")]
#[tokio::test]
async fn mp4() {
    let fragments = recorded(crate::sink::record::RecorderConfig::default(), 20).await;
    // Four pictures by ffmpeg: testsrc, 64x48 px.
    let whole = include_bytes!("whole.mp4").to_vec();
    hostile::check(&[fragments, whole], fuzzing::mp4, mp4_bytes);
}

#[cfg(feature = "h264")]
#[tokio::test]
async fn h264() {
    use crate::sink::record::{Codec, H264Config, RecorderConfig};

    let codec = Codec::H264(H264Config::default());
    let fragments = recorded(RecorderConfig::default().codec(codec), 20).await;
    // Eight pictures by x264, with B-frames: testsrc, 64x48 px.
    let whole = include_bytes!("whole-h264.mp4").to_vec();
    hostile::check(&[fragments, whole], fuzzing::mp4, mp4_bytes);
}

/// A fragment may announce 100,000 pictures, at 80 bytes each. What the decoder
/// of H.264 takes is seen in the whole process alone.
#[cfg(feature = "record")]
fn mp4_bytes(length: usize) -> usize {
    16 * length + (8 << 20)
}

#[cfg(feature = "h264")]
#[tokio::test]
async fn h264_that_breaks_off_while_the_decoder_holds_all_of_it_is_played() {
    use crate::sink::record::{Codec, H264Config, RecorderConfig};

    let codec = Codec::H264(H264Config::default());
    let mut clip = recorded(RecorderConfig::default().codec(codec), 1).await;
    clip.extend_from_slice(b"\0\0\x10\0moof");
    let shown = super::play_through(super::ClipFormat::Mp4, clip, 10).unwrap();
    assert_eq!(shown, 1);
}
