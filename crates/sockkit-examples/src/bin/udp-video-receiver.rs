//! The course's UDP video receiver: puts pictures together and records them.
//!
//! What it does beyond the notes: a picture of which a datagram was lost is
//! counted and never recorded torn, and an old recording is replaced only by a
//! whole one.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::Parser;
use sockkit::{
    latest,
    options::SocketOptions,
    picture::VideoFrame,
    sink::{
        record::{Existing, RecordError, Recorder, RecorderConfig, Timing},
        window::Window,
    },
    stream::course::{Assembler, DATAGRAM_BYTES},
    udp::UdpEndpoint,
};
use sockkit_examples::closed;
use tokio::signal::ctrl_c;

/// The course's UDP video receiver: records the datagrams as MP4
#[derive(Parser)]
struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5006")]
    bind: SocketAddr,
    /// End after so many pictures
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// The recording, at 25 pictures a second
    #[arg(long, value_name = "FILE", default_value = "output.mp4")]
    record: PathBuf,
    /// Show the pictures; q, Escape or the close button ends
    #[arg(long)]
    window: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let options = SocketOptions::new().receive_buffer_bytes(RECEIVE_BUFFER_BYTES);
    let endpoint = UdpEndpoint::bind_with(args.bind, &options)?;
    let config = RecorderConfig::default()
        .timing(Timing::Constant { rate_hz: 25.0 })
        .existing(Existing::Replace);
    let mut recorder = Recorder::create(&args.record, config).await?;
    println!("listening on {}", endpoint.local_addr()?);

    let (screen, pictures) = latest::channel();
    let mut window = match args.window {
        true => Some(Window::open("udp-video-receiver", pictures).await?),
        false => None,
    };
    let mut assembler = Assembler::default();
    let see = async |picture: VideoFrame| {
        screen.publish(picture.clone());
        recorder.push(&picture).await
    };
    tokio::select! {
        received = receive(&endpoint, &mut assembler, args.frames, see) => received?,
        closed = closed(&mut window) => closed?,
        pressed = ctrl_c() => pressed.context("cannot wait for Ctrl-C")?,
    }
    let recorded = recorder.finish().await?;
    println!(
        "recorded {}, {} broken",
        recorded.frames,
        assembler.broken()
    );
    Ok(())
}

async fn receive(
    endpoint: &UdpEndpoint,
    assembler: &mut Assembler,
    frames: Option<u64>,
    mut see: impl AsyncFnMut(VideoFrame) -> Result<(), RecordError>,
) -> anyhow::Result<()> {
    // One more, so that a datagram that is too long is seen to be.
    let mut buffer = vec![0; DATAGRAM_BYTES + 1];
    let mut received = 0;
    while frames != Some(received) {
        let datagram = endpoint.recv(&mut buffer).await?;
        if let Some(picture) = assembler.handle_datagram(datagram.bytes) {
            see(picture.numbered(received)).await?;
            received += 1;
        }
    }
    Ok(())
}

/// A few pictures.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
