//! What a picture costs to record in H.264, and to play from such a recording.
//!
//! ```text
//! cargo bench -p sockkit-media --features h264 --bench h264
//! ```
//!
//! The pictures are the bundled clip's, resized: a camera's, that move. Recording
//! begins with I420 or with JPEGs and ends with the file on disk; playing ends
//! with I420.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use criterion::{Criterion, SamplingMode};
use sockkit_media::{
    picture::{Picture, PixelFormat, Timestamp, jpeg},
    sink::record::{Codec, H264Config, Recorder, RecorderConfig},
    source::{Source, SourceConfig, SourceSpec, clip::bundled},
};
use tokio::runtime::Runtime;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10)
        .configure_from_args();
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.mp4");
    for (width, height) in [(640, 480), (1_280, 720)] {
        let i420 = pictures(width, height);
        let images: Vec<_> = i420
            .iter()
            .map(|frame| jpeg::encode(frame, 80).unwrap().stamped_like(frame))
            .collect();
        let mut group = criterion.benchmark_group(format!("{width}x{height}, a picture"));
        group.sampling_mode(SamplingMode::Flat);
        for (name, frames) in [("record i420", &i420), ("record jpeg", &images)] {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|times| {
                    (0..times)
                        .map(|_| runtime.block_on(record(&path, frames)) / PICTURES)
                        .sum()
                });
            });
        }
        let bits = 8 * path.metadata().unwrap().len();
        println!(
            "{width}x{height}: {} kbit/s",
            bits * 25 / u64::from(PICTURES) / 1_000
        );
        group.bench_function("play", |bencher| {
            bencher.iter_custom(|times| {
                (0..times)
                    .map(|_| runtime.block_on(play(&path)) / PICTURES)
                    .sum()
            });
        });
        group.finish();
    }
    criterion.final_summary();
}

/// The clip's pictures, 25 a second.
fn pictures(width_px: u32, height_px: u32) -> Vec<Picture> {
    let mut splitter = jpeg::Splitter::new(1 << 20);
    splitter.push(bundled());
    (0..u64::from(PICTURES))
        .map(|number| {
            let image = splitter.take().unwrap();
            let rgb = Picture::from_jpeg(image).unwrap().to_rgb().unwrap();
            let resized = rgb.resize(width_px, height_px).unwrap();
            let frame = resized.convert(PixelFormat::I420).unwrap();
            frame.captured_at(Timestamp::from_micros(number * 40_000))
        })
        .collect()
}

async fn record(path: &Path, frames: &[Picture]) -> Duration {
    // There may be none yet.
    let _ = std::fs::remove_file(path);
    let config = RecorderConfig::default().codec(Codec::H264(H264Config::default()));
    let begun = Instant::now();
    let mut recorder = Recorder::create(path, config).await.unwrap();
    for frame in frames {
        recorder.push(frame).await.unwrap();
    }
    recorder.finish().await.unwrap();
    begun.elapsed()
}

async fn play(path: &Path) -> Duration {
    let config = SourceConfig::default().rate_hz(1_000.0);
    let begun = Instant::now();
    let spec = SourceSpec::File(path.into());
    let mut source = Source::open(&spec, config).await.unwrap();
    for _ in 0..PICTURES {
        source.next().await.unwrap();
    }
    begun.elapsed()
}

/// The clip has a hundred.
const PICTURES: u32 = 100;
