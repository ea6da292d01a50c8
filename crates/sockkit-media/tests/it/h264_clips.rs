//! H.264 clips that others made.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use sockkit_media::{
    sink::record::RecorderConfig,
    source::{SourceError, clip::ClipError},
};
use sockkit_testing::needs::{Need, met};

use super::{numbers_in, record, said_by};

/// Sixty numbered pictures.
async fn numbered(folder: &Path) -> PathBuf {
    let path = folder.join("numbered.mp4");
    let times = (0..60).map(|number| number * 40_000);
    record(&path, RecorderConfig::default().jpeg_quality(95), times).await;
    path
}

/// The same pictures by x264, with these options.
fn by_x264(pictures: &Path, options: &str) -> PathBuf {
    let made = pictures.with_file_name("x264.mp4");
    said_by(
        Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i"])
            .arg(pictures)
            .args(["-c:v", "libx264", "-threads", "1", "-x264-params", "log=-1"])
            .args(options.split_whitespace())
            .arg(&made),
    );
    made
}

#[tokio::test]
async fn x264_plays_in_order_with_and_without_b_frames() {
    if !met("clips by x264", &[Need::Program("ffmpeg")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pictures = numbered(folder.path()).await;
    for options in [
        "-pix_fmt yuv420p",
        "-pix_fmt yuv420p -profile:v baseline",
        "-pix_fmt yuv420p -profile:v main -bf 1 -g 10",
        "-pix_fmt yuv420p -bf 3 -b_strategy 0 -g 20",
        "-pix_fmt yuv420p -bf 2 -b_strategy 0 -b-pyramid none -g 17",
        "-pix_fmt yuv420p -bf 7 -b_strategy 0 -b-pyramid normal -refs 5",
        "-pix_fmt yuv420p -bf 3 -b_strategy 0 -g 12 -flags -cgop",
        "-pix_fmt yuv420p -tune zerolatency",
        "-pix_fmt yuv420p -bf 3 -b_strategy 0 -movflags frag_keyframe+empty_moov+default_base_moof -g 15",
        "-pix_fmt yuv420p -bf 3 -b_strategy 0 -movflags +negative_cts_offsets",
    ] {
        let clip = by_x264(&pictures, options);
        let numbers = numbers_in(&clip).await.unwrap();
        assert_eq!(numbers, (0..60).collect::<Vec<_>>(), "{options}");
    }
}

#[tokio::test]
async fn what_openh264_cannot_show_is_refused() {
    if !met("clips by x264", &[Need::Program("ffmpeg")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pictures = numbered(folder.path()).await;
    for options in [
        "-pix_fmt yuv422p",
        "-pix_fmt yuv444p",
        "-pix_fmt yuv420p10le",
    ] {
        let clip = by_x264(&pictures, options);
        let Err(SourceError::Clip { source, .. }) = numbers_in(&clip).await else {
            panic!("{options} plays");
        };
        assert!(
            matches!(source, ClipError::H264Colours),
            "{options}: {source}"
        );
    }
    let clip = by_x264(&pictures, "-pix_fmt yuv420p -flags +ildct+ilme");
    let Err(SourceError::Clip { source, .. }) = numbers_in(&clip).await else {
        panic!("interlaced plays");
    };
    assert!(matches!(source, ClipError::H264 { .. }), "{source}");
}

#[tokio::test]
async fn a_cut_clip_plays_up_to_the_cut() {
    if !met("clips by x264", &[Need::Program("ffmpeg")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pictures = numbered(folder.path()).await;
    let options = "-pix_fmt yuv420p -bf 3 -b_strategy 0 -movflags +faststart";
    let clip = by_x264(&pictures, options);
    let whole = std::fs::read(&clip).unwrap();
    std::fs::write(&clip, &whole[..whole.len() * 3 / 4]).unwrap();
    let numbers = numbers_in(&clip).await.unwrap();
    assert!((10..60).contains(&numbers.len()), "{}", numbers.len());
    // Where B-frames are missing there are gaps, and never a step back.
    assert!(numbers.is_sorted(), "{numbers:?}");
}
