//! Statistics, as JSON and as Prometheus text.

use std::{fmt::Write, sync::Arc, time::Duration};

use serde::Serialize;

use super::feed::{JpegBroadcaster, Signal};
use crate::stream::{ConnectionState, Stats};

/// The response of `/state`.
#[derive(Debug, Serialize)]
pub(super) struct State {
    streams: Vec<StreamState>,
}

#[derive(Debug, Serialize)]
struct StreamState {
    name: String,
    signal: bool,
    /// Why not, and `null` while connected, or without a connection.
    not_connected: Option<String>,
    width_px: u32,
    height_px: u32,
    frames_per_second: f64,
    received: u64,
    lost: u64,
    late: u64,
    skipped: u64,
    refused: u64,
    filtered: u64,
    restarts: u64,
    /// `null` for pictures captured on this machine.
    sender: Option<String>,
    bytes: u64,
    age_ms: AgeMillis,
    viewers: usize,
}

/// `null` if unknown.
#[derive(Debug, Serialize)]
struct AgeMillis {
    p50: Option<f64>,
    p99: Option<f64>,
    /// Maximum error of the ages.
    error: Option<f64>,
}

impl State {
    pub(super) fn of(feeds: &[Arc<JpegBroadcaster>]) -> Self {
        Self {
            streams: feeds.iter().map(|feed| StreamState::of(feed)).collect(),
        }
    }
}

impl StreamState {
    fn of(feed: &JpegBroadcaster) -> Self {
        let (stats, showing) = (feed.stats.snapshot(), feed.showing());
        Self {
            name: feed.name.clone(),
            signal: showing.signal == Signal::Live,
            not_connected: why_not_connected(feed),
            width_px: showing.width_px,
            height_px: showing.height_px,
            frames_per_second: stats.frames_per_second,
            received: stats.received,
            lost: stats.lost,
            late: stats.late,
            skipped: stats.skipped,
            refused: stats.refused,
            filtered: stats.filtered,
            restarts: stats.restarts,
            sender: stats.sender.map(|sender| sender.to_string()),
            bytes: stats.bytes,
            age_ms: AgeMillis {
                p50: stats.age_p50.map(millis),
                p99: stats.age_p99.map(millis),
                error: stats.age_error.map(millis),
            },
            viewers: feed.viewers(),
        }
    }
}

fn why_not_connected(feed: &JpegBroadcaster) -> Option<String> {
    match feed.link.as_ref()?.latest()? {
        ConnectionState::Down { why } => Some(why.to_string()),
        _ => None,
    }
}

/// The response of `/metrics`.
///
/// # Source
/// Prometheus text exposition format 0.0.4.
pub(super) fn metrics(feeds: &[Arc<JpegBroadcaster>]) -> String {
    let streams: Vec<_> = feeds
        .iter()
        .map(|feed| (feed, feed.stats.snapshot()))
        .collect();
    let mut text = String::new();
    for (metric, help, value) in COUNTERS {
        family(&mut text, metric, "counter", help);
        for (feed, stats) in &streams {
            sample(&mut text, metric, &feed.name, "", value(stats));
        }
    }
    family(
        &mut text,
        RATE,
        "gauge",
        "Pictures a second over the last five seconds.",
    );
    for (feed, stats) in &streams {
        sample(&mut text, RATE, &feed.name, "", stats.frames_per_second);
    }
    family(
        &mut text,
        AGE,
        "gauge",
        "Age of the pictures when they were ready to show.",
    );
    for (feed, stats) in &streams {
        let quantiles = [("0.5", stats.age_p50), ("0.99", stats.age_p99)];
        for (quantile, age) in quantiles.iter().filter_map(|(q, age)| Some((q, (*age)?))) {
            let label = format!(",quantile=\"{quantile}\"");
            sample(&mut text, AGE, &feed.name, &label, age.as_secs_f64());
        }
    }
    family(&mut text, SIGNAL, "gauge", "1 while pictures arrive.");
    for (feed, _) in &streams {
        let live = u8::from(feed.showing().signal == Signal::Live);
        sample(&mut text, SIGNAL, &feed.name, "", live);
    }
    family(&mut text, VIEWERS, "gauge", "Connected viewers.");
    for (feed, _) in &streams {
        sample(&mut text, VIEWERS, &feed.name, "", feed.viewers());
    }
    text
}

fn family(text: &mut String, metric: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {metric} {help}\n# TYPE {metric} {kind}");
}

/// Stream names need no escaping: see
/// [`WebStream::new`](super::WebStream::new).
fn sample(text: &mut String, metric: &str, stream: &str, labels: &str, value: impl ToString) {
    let value = value.to_string();
    let _ = writeln!(text, "{metric}{{stream=\"{stream}\"{labels}}} {value}");
}

fn millis(age: Duration) -> f64 {
    age.as_secs_f64() * 1_000.0
}

type Counter = (&'static str, &'static str, fn(&Stats) -> u64);

const COUNTERS: [Counter; 8] = [
    (
        "sockkit_pictures_received_total",
        "Pictures received completely.",
        |stats| stats.received,
    ),
    (
        "sockkit_pictures_lost_total",
        "Pictures sent that never arrived completely.",
        |stats| stats.lost,
    ),
    (
        "sockkit_pictures_late_total",
        "Pictures that arrived after a newer one.",
        |stats| stats.late,
    ),
    (
        "sockkit_pictures_skipped_total",
        "Pictures skipped by the sender.",
        |stats| stats.skipped,
    ),
    (
        "sockkit_messages_refused_total",
        "Messages that were not pictures.",
        |stats| stats.refused,
    ),
    (
        "sockkit_datagrams_filtered_total",
        "Datagrams that were not meant for the receiver.",
        |stats| stats.filtered,
    ),
    (
        "sockkit_sender_restarts_total",
        "Times the sender restarted, or another one was selected.",
        |stats| stats.restarts,
    ),
    (
        "sockkit_picture_bytes_total",
        "Bytes of the pictures received.",
        |stats| stats.bytes,
    ),
];

const RATE: &str = "sockkit_pictures_per_second";
const AGE: &str = "sockkit_picture_age_seconds";
const SIGNAL: &str = "sockkit_signal";
const VIEWERS: &str = "sockkit_viewers";
