//! JPEG, conversions and resizing, at the sizes of cameras; JPEG beside the
//! crates that were not chosen.
//!
//! ```text
//! cargo bench -p sockkit-media --bench picture
//! ```
//!
//! The picture is the bundled clip's first, resized. One core.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use sockkit_media::{
    picture::{Picture, PixelFormat, jpeg},
    source::clip::bundled,
};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
        .configure_from_args();
    let camera = camera_picture();
    for (width, height) in [(640, 480), (1_280, 720), (1_920, 1_080)] {
        let rgb = camera.resize(width, height).unwrap();
        let mut group = criterion.benchmark_group(format!("{width}x{height}"));
        decode(&mut group, &rgb);
        encode(&mut group, &rgb);
        convert(&mut group, &rgb);
        group.bench_function("resize to half", |bencher| {
            bencher.iter(|| black_box(&rgb).resize(width / 2, height / 2).unwrap());
        });
        group.finish();
    }
    criterion.final_summary();
}

/// The clip's first picture, as RGB.
fn camera_picture() -> Picture {
    let mut splitter = jpeg::Splitter::new(1 << 20);
    splitter.push(bundled());
    let first = splitter.take().unwrap();
    Picture::from_jpeg(first).unwrap().to_rgb().unwrap()
}

fn decode(group: &mut BenchmarkGroup<'_, WallTime>, rgb: &Picture) {
    let image = jpeg::encode(rgb, QUALITY).unwrap();
    group.bench_function("decode: sockkit (zune-jpeg)", |bencher| {
        bencher.iter(|| jpeg::decode(black_box(&image)).unwrap());
    });
    group.bench_function("decode: libjpeg-turbo-rs", |bencher| {
        bencher.iter(|| {
            let format = libjpeg_turbo_rs::PixelFormat::Rgb;
            libjpeg_turbo_rs::decompress_to(black_box(image.data()), format).unwrap()
        });
    });
}

fn encode(group: &mut BenchmarkGroup<'_, WallTime>, rgb: &Picture) {
    group.bench_function("encode: sockkit (libjpeg-turbo-rs)", |bencher| {
        bencher.iter(|| jpeg::encode(black_box(rgb), QUALITY).unwrap());
    });
    let side = |px: u32| u16::try_from(px).unwrap();
    let (width, height) = (side(rgb.width_px()), side(rgb.height_px()));
    group.bench_function("encode: jpeg-encoder", |bencher| {
        bencher.iter(|| {
            let mut image = Vec::with_capacity(1 << 20);
            let mut encoder = jpeg_encoder::Encoder::new(&mut image, QUALITY);
            encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
            let colours = jpeg_encoder::ColorType::Rgb;
            encoder
                .encode(black_box(rgb.data()), width, height, colours)
                .unwrap();
            image
        });
    });
}

fn convert(group: &mut BenchmarkGroup<'_, WallTime>, rgb: &Picture) {
    for format in [PixelFormat::Yuyv, PixelFormat::Nv12] {
        let picture = rgb.convert(format).unwrap();
        group.bench_function(format!("{format} to rgb"), |bencher| {
            bencher.iter(|| black_box(&picture).to_rgb().unwrap());
        });
    }
    group.bench_function("rgb to i420", |bencher| {
        bencher.iter(|| black_box(rgb).convert(PixelFormat::I420).unwrap());
    });
}

const QUALITY: u8 = 80;
