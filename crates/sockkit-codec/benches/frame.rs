//! Frames over loopback TCP beside tokio-util's `LengthDelimitedCodec`.
//!
//! ```text
//! cargo bench -p sockkit-codec --bench frame
//! ```
//!
//! Both speak the same bytes, an 8-byte length, and flush at the same points.
//! Where frames are long, a bare `write_all` and `read_exact` of as many bytes
//! into one buffer is the limit that no framing passes. They take turns within
//! each round, and what counts is the ratio within a round, so that other load
//! on the machine falls on all. CPU is that of the process: sender, receiver,
//! and the kernel on their behalf.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use sockkit_codec::frame::{FrameReader, FrameWriter};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

fn main() {
    for case in [
        Case {
            payload_bytes: 1 << 20,
            frames: 2048,
            frames_a_flush: 1,
        },
        Case {
            payload_bytes: 64,
            frames: 4 << 20,
            frames_a_flush: 64,
        },
        Case {
            payload_bytes: 64,
            frames: 4 << 20,
            frames_a_flush: 900,
        },
        Case {
            payload_bytes: 64,
            frames: 1 << 18,
            frames_a_flush: 1,
        },
    ] {
        case.compare();
    }
}

#[derive(Clone, Copy)]
struct Case {
    payload_bytes: usize,
    frames: usize,
    frames_a_flush: usize,
}

type Contestant = (&'static str, fn(Case) -> Took);

/// What one run took.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    cpu: Duration,
}

impl Case {
    fn compare(self) {
        let contestants: &[Contestant] = match self.frames_a_flush {
            1 => &[
                ("sockkit", Self::ours),
                ("tokio-util", Self::theirs),
                ("bare", Self::bare),
            ],
            _ => &[("sockkit", Self::ours), ("tokio-util", Self::theirs)],
        };
        println!(
            "\n{} frames of {} bytes, {} a flush",
            self.frames, self.payload_bytes, self.frames_a_flush
        );
        let mut rounds = vec![Vec::new(); contestants.len()];
        for round in 0..ROUNDS {
            for turn in 0..contestants.len() {
                let place = (round + turn) % contestants.len();
                rounds[place].push(contestants[place].1(self));
            }
        }
        for ((name, _), runs) in contestants.iter().zip(&rounds) {
            self.report(name, runs, &rounds[THEIRS]);
        }
    }

    /// A line of medians, and of the ratios to `theirs` within each round.
    fn report(self, name: &str, runs: &[Took], theirs: &[Took]) {
        let bytes = (self.payload_bytes * self.frames) as f64;
        let wall = |took: &Took| took.wall.as_secs_f64();
        let cpu = |took: &Took| took.cpu.as_secs_f64();
        let ratio = |of: fn(&Took) -> f64| {
            median(
                runs.iter()
                    .zip(theirs)
                    .map(|(run, peer)| of(run) / of(peer)),
            )
        };
        println!(
            "{name:12} {:8.0} MB/s {:10.0} frames/s {:8.3} CPU-s/GB   {:.2} x the speed at {:.2} x the CPU",
            bytes / 1e6 / median(runs.iter().map(wall)),
            self.frames as f64 / median(runs.iter().map(wall)),
            median(runs.iter().map(cpu)) / (bytes / 1e9),
            1.0 / ratio(|took| took.wall.as_secs_f64()),
            ratio(|took| took.cpu.as_secs_f64()),
        );
    }

    fn ours(self) -> Took {
        let payload = Bytes::from(vec![7; self.payload_bytes]);
        measure(
            async move |stream| {
                let mut writer = FrameWriter::new(stream);
                for sent in 1..=self.frames {
                    writer.feed(payload.clone()).await.unwrap();
                    if self.is_flushed(sent) {
                        writer.flush().await.unwrap();
                    }
                }
            },
            async move |stream| {
                let mut reader = FrameReader::new(stream);
                let mut received = 0;
                while let Some(frame) = reader.recv().await.unwrap() {
                    assert_eq!(frame.len(), self.payload_bytes);
                    received += 1;
                }
                assert_eq!(received, self.frames);
            },
        )
    }

    fn theirs(self) -> Took {
        let payload = Bytes::from(vec![7; self.payload_bytes]);
        let codec = || {
            LengthDelimitedCodec::builder()
                .length_field_length(PREFIX_BYTES)
                .max_frame_length(64 << 20)
                .new_codec()
        };
        measure(
            async move |stream| {
                let mut writer = Framed::new(stream, codec());
                // As many bytes before it writes on its own as ours.
                writer.set_backpressure_boundary(64 << 10);
                for sent in 1..=self.frames {
                    writer.feed(payload.clone()).await.unwrap();
                    if self.is_flushed(sent) {
                        SinkExt::<Bytes>::flush(&mut writer).await.unwrap();
                    }
                }
            },
            async move |stream| {
                let mut reader = Framed::new(stream, codec());
                let mut received = 0;
                while let Some(frame) = reader.next().await {
                    assert_eq!(frame.unwrap().len(), self.payload_bytes);
                    received += 1;
                }
                assert_eq!(received, self.frames);
            },
        )
    }

    /// The same bytes without framing.
    fn bare(self) -> Took {
        let frame = vec![7; PREFIX_BYTES + self.payload_bytes];
        let mut buffer = frame.clone();
        measure(
            async move |mut stream| {
                for _ in 0..self.frames {
                    stream.write_all(&frame).await.unwrap();
                }
            },
            async move |mut stream| {
                for _ in 0..self.frames {
                    stream.read_exact(&mut buffer).await.unwrap();
                }
            },
        )
    }

    fn is_flushed(self, sent: usize) -> bool {
        sent.is_multiple_of(self.frames_a_flush) || sent == self.frames
    }
}

/// Runs each end on a thread of its own, so that no scheduler decides whether
/// they share a core.
fn measure(
    sender: impl AsyncFnOnce(TcpStream) + Send + 'static,
    receiver: impl AsyncFnOnce(TcpStream) + Send + 'static,
) -> Took {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_nodelay(true).unwrap();
    let (wall, cpu) = (Instant::now(), cpu_time());
    let sender = thread::spawn(|| run(sender, client));
    let receiver = thread::spawn(|| run(receiver, server));
    sender.join().unwrap();
    receiver.join().unwrap();
    Took {
        wall: wall.elapsed(),
        cpu: cpu_time().saturating_sub(cpu),
    }
}

fn run(end: impl AsyncFnOnce(TcpStream), stream: std::net::TcpStream) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        stream.set_nonblocking(true).unwrap();
        end(TcpStream::from_std(stream).unwrap()).await;
    });
}

#[cfg(unix)]
fn cpu_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

#[cfg(not(unix))]
fn cpu_time() -> Duration {
    panic!("this bench reads the CPU time of a process on Unix alone")
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

const ROUNDS: usize = 15;

/// The baseline of the others.
const THEIRS: usize = 1;

const PREFIX_BYTES: usize = 8;
