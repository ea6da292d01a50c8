//! H.264 recordings: what no other codec has to care about.

use std::{process::Command, time::Duration};

use sockkit_media::{
    picture::{Picture, PixelFormat, Timestamp, jpeg},
    sink::record::{Codec, H264Config, RecordError, Recorder, RecorderConfig},
};
use sockkit_testing::needs::{Need, met};

use super::{ffprobe, h264, numbers_in, open, picture, record, said_by};

#[tokio::test]
async fn ffprobe_reads_profile_order_and_colours() {
    if !met("h264 opens in ffprobe", &[Need::Program("ffprobe")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pattern.mp4");
    record(&path, h264(), (0..125).map(|number| number * 40_000)).await;
    let fields = "stream=profile,has_b_frames,color_range,color_space";
    assert_eq!(
        ffprobe(&path, fields),
        "Constrained Baseline,0,tv,smpte170m"
    );
}

#[tokio::test]
async fn a_player_may_start_with_each_fragment_and_nowhere_else() {
    if !met("key pictures in ffprobe", &[Need::Program("ffprobe")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pattern.mp4");
    record(&path, h264(), (0..100).map(|number| number * 40_000)).await;
    let packets = ffprobe(&path, "packet=pos,flags");
    let packets: Vec<(usize, bool)> = packets
        .lines()
        .map(|line| {
            let (position, flags) = line.split_once(',').unwrap();
            (position.parse().unwrap(), flags.starts_with('K'))
        })
        .collect();
    // The bytes of a fragment's first picture come straight behind `mdat`.
    let whole = std::fs::read(&path).unwrap();
    let first = |position: usize| &whole[position - 4..position] == b"mdat";
    for &(position, key) in &packets {
        assert_eq!(key, first(position), "at byte {position}");
    }
    let fragments = packets.iter().filter(|(_, key)| *key).count();
    assert!((5..=10).contains(&fragments), "{fragments} in four seconds");
}

/// Four broad bars, whose colours no codec may change by much.
const BARS: [[u8; 3]; 4] = [[200, 30, 30], [30, 180, 60], [40, 60, 190], [128, 128, 128]];

fn bars(width_px: u32, height_px: u32) -> Picture {
    let width = width_px as usize;
    let row: Vec<u8> = (0..width).flat_map(|x| BARS[x * 4 / width]).collect();
    let pixels = row.repeat(height_px as usize);
    Picture::new(PixelFormat::Rgb, width_px, height_px, pixels).unwrap()
}

/// Fails if the middle of a bar is not what it was.
#[track_caller]
fn check_colours(pixels: &[u8], width: usize, height: usize) {
    assert_eq!(pixels.len(), 3 * width * height);
    for (bar, colour) in BARS.iter().enumerate() {
        let at = 3 * (height / 2 * width + width / 8 + bar * width / 4);
        for (seen, &sent) in pixels[at..].iter().zip(colour) {
            assert!(
                seen.abs_diff(sent) <= 4,
                "{:?} for {colour:?}",
                &pixels[at..at + 3]
            );
        }
    }
}

#[tokio::test]
async fn colours_are_right_in_ffmpeg_and_here() {
    let folder = tempfile::tempdir().unwrap();
    // One that fills its macroblocks and one that does not.
    for (width, height) in [(320, 240), (1_366, 770)] {
        let path = folder.path().join(format!("{width}.mp4"));
        let mut recorder = Recorder::create(&path, h264()).await.unwrap();
        recorder.push(&bars(width, height)).await.unwrap();
        recorder.finish().await.unwrap();

        let (width, height) = (width as usize, height as usize);
        let frame = open(&path).await.unwrap().next().await.unwrap();
        assert_eq!(frame.encoding(), PixelFormat::I420.into());
        check_colours(frame.to_rgb().unwrap().data(), width, height);

        if !met("colours in ffmpeg", &[Need::Program("ffmpeg")]) {
            return;
        }
        let pixels = said_by(
            Command::new("ffmpeg")
                .args(["-v", "error", "-i"])
                .arg(&path)
                .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]),
        );
        check_colours(&pixels, width, height);
    }
}

#[tokio::test]
async fn every_encoding_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("formats.mp4");
    let mut recorder = Recorder::create(&path, h264()).await.unwrap();
    for (number, format) in (0..).zip(PixelFormat::ALL) {
        let frame = picture(number, number * 40_000).convert(format).unwrap();
        recorder.push(&frame).await.unwrap();
    }
    let last = picture(7, 7 * 40_000);
    recorder
        .push(&jpeg::encode(&last, 80).unwrap())
        .await
        .unwrap();
    recorder.finish().await.unwrap();
    assert_eq!(
        numbers_in(&path).await.unwrap(),
        (0..8).collect::<Vec<u64>>()
    );
}

#[tokio::test]
async fn it_is_much_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    for (name, config) in [
        ("jpeg.mp4", RecorderConfig::default()),
        ("h264.mp4", h264()),
    ] {
        let path = folder.path().join(name);
        record(&path, config, (0..50).map(|number| number * 40_000)).await;
        bytes.push(path.metadata().unwrap().len());
    }
    assert!(bytes[1] * 4 < bytes[0], "{bytes:?}");
}

#[tokio::test]
async fn sizes_that_the_encoder_cannot_do_are_refused_and_others_go_on() {
    let gray = |width_px, height_px| {
        let pixels = vec![128; (width_px * height_px) as usize];
        Picture::new(PixelFormat::Gray, width_px, height_px, pixels).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    for (good, bad) in [
        ((16, 16), (14, 16)),
        ((32, 240), (32, 241)),
        ((640, 18), (641, 18)),
        ((3_840, 32), (3_842, 32)),
        ((32, 3_840), (2_162, 2_162)),
    ] {
        let path = folder.path().join(format!("{}x{}.mp4", good.0, good.1));
        let mut recorder = Recorder::create(&path, h264()).await.unwrap();
        let error = recorder.push(&gray(bad.0, bad.1)).await.unwrap_err();
        assert!(matches!(error, RecordError::H264Size { .. }), "{error}");
        recorder.push(&gray(good.0, good.1)).await.unwrap();
        assert_eq!(recorder.finish().await.unwrap().frames, 1);
        let frame = open(&path).await.unwrap().next().await.unwrap();
        assert_eq!((frame.width_px(), frame.height_px()), good);
    }
}

#[tokio::test]
async fn bit_rates_are_within_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    for (bitrate_bps, fits) in [
        (15_999, false),
        (16_000, true),
        (240_000_000, true),
        (240_000_001, false),
        (u32::MAX, false),
    ] {
        let codec = Codec::H264(H264Config::default().bitrate_bps(bitrate_bps));
        let path = folder.path().join(format!("{bitrate_bps}.mp4"));
        let made = Recorder::create(&path, RecorderConfig::default().codec(codec)).await;
        match made {
            Ok(mut recorder) => {
                assert!(fits);
                recorder.push(&picture(0, 0)).await.unwrap();
                assert_eq!(recorder.finish().await.unwrap().frames, 1);
            }
            Err(error) => {
                assert!(!fits);
                assert!(matches!(error, RecordError::BadBitrate { .. }), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn no_picture_is_left_out_however_few_the_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise.mp4");
    let codec = Codec::H264(H264Config::default().bitrate_bps(16_000));
    let mut recorder = Recorder::create(&path, RecorderConfig::default().codec(codec))
        .await
        .unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for number in 0..60 {
        let mut noise = vec![0; 320 * 240];
        random.fill(&mut noise);
        let frame = Picture::new(PixelFormat::Gray, 320, 240, noise)
            .unwrap()
            .captured_at(Timestamp::from_micros(number * 40_000));
        recorder.push(&frame).await.unwrap();
    }
    let summary = recorder.finish().await.unwrap();
    assert_eq!(summary.frames, 60);
    assert_eq!(summary.duration, Duration::from_millis(2_400));
}

#[tokio::test]
async fn a_jpeg_that_does_not_decode_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.mp4");
    let mut recorder = Recorder::create(&path, h264()).await.unwrap();
    for number in 0..5 {
        let frame = picture(number, number * 40_000);
        let image = jpeg::encode(&frame, 80).unwrap();
        let mut data = image.data().to_vec();
        if number == 2 {
            // Whole by its markers; ones without end are no code.
            let (from, to) = (data.len() / 2, data.len() - 2);
            for pair in data[from..to].chunks_exact_mut(2) {
                pair.copy_from_slice(&[0xff, 0x00]);
            }
        }
        let image = Picture::from_jpeg(data).unwrap().stamped_like(&frame);
        recorder.push(&image).await.unwrap();
    }
    let summary = recorder.finish().await.unwrap();
    assert_eq!(summary.frames, 4);
    // The picture before was shown in its place.
    assert_eq!(summary.duration, Duration::from_millis(200));
    assert_eq!(numbers_in(&path).await.unwrap(), [0, 1, 3, 4]);
}
