//! Recordings, and clips in H.264. Here rather than under the facade, so that
//! what needs a C++ compiler builds this crate alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "h264")]
mod h264_clips;
#[cfg(feature = "h264")]
mod h264_recordings;
mod recordings;

use std::{path::Path, process::Command};

use sockkit_media::{
    picture::{Picture, Timestamp},
    sink::record::{RecordSummary, Recorder, RecorderConfig},
    source::{
        Source, SourceConfig, SourceError, SourceSpec,
        pattern::{Stamp, paint, read_stamp},
    },
};

/// A pattern picture taken `micros` after some day in 2023.
fn picture(number: u64, micros: u64) -> Picture {
    let clock = Timestamp::from_micros(1_700_000_000_000_000 + micros);
    paint(320, 240, Stamp { number, clock }).unwrap()
}

#[cfg(feature = "h264")]
fn h264() -> RecorderConfig {
    use sockkit_media::sink::record::{Codec, H264Config};

    RecorderConfig::default().codec(Codec::H264(H264Config::default()))
}

/// Records pictures taken at these times.
async fn record(
    path: &Path,
    config: RecorderConfig,
    times: impl IntoIterator<Item = u64>,
) -> RecordSummary {
    let mut recorder = Recorder::create(path, config).await.unwrap();
    for (number, micros) in (0..).zip(times) {
        recorder.push(&picture(number, micros)).await.unwrap();
    }
    let summary = recorder.finish().await.unwrap();
    assert_eq!(summary.bytes, path.metadata().unwrap().len());
    summary
}

/// The numbers in the pictures of a clip, once through.
async fn numbers_in(path: &Path) -> Result<Vec<u64>, SourceError> {
    let mut source = open(path).await?;
    let mut numbers: Vec<u64> = Vec::new();
    loop {
        let number = read_stamp(&source.next().await?).unwrap().number;
        // A wrong order must show, so only the first one ends it.
        if numbers.first() == Some(&number) {
            return Ok(numbers);
        }
        numbers.push(number);
    }
}

async fn open(path: &Path) -> Result<Source, SourceError> {
    let config = SourceConfig::default().rate_hz(1_000.0);
    Source::open(&SourceSpec::File(path.into()), config).await
}

/// What ffprobe says of these entries.
fn ffprobe(path: &Path, entries: &str) -> String {
    let said = said_by(
        Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-of", "csv=p=0"])
            .args(["-show_entries", entries])
            .arg(path),
    );
    String::from_utf8(said).unwrap().trim().into()
}

/// What a program says; fails if it complains.
#[track_caller]
fn said_by(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    output.stdout
}
