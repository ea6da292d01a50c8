//! The course's UDP video receiver: reassembles pictures and records them.
//!
//! Unlike the course's program, an incomplete picture is counted and not
//! recorded, and an existing recording is replaced only by a complete one.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use clap::Parser;
use sockkit::{
    course::video::Receiver,
    latest::{self, Publisher},
    picture::Picture,
    sink::{
        record::{Existing, Recorder, RecorderConfig, Timing},
        window::Window,
    },
};
use sockkit_examples::{IN_THE_CLEAR, address, closed, failure::Failure, tell};
use tokio::signal::ctrl_c;

/// The course's UDP video receiver: records the datagrams as MP4
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5006", value_parser = address::<5006>)]
    bind: SocketAddr,
    /// Exit after this many pictures
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// The recording, at 25 pictures a second
    #[arg(long, value_name = "FILE", default_value = "output.mp4")]
    record: PathBuf,
    /// Show the pictures in a window; q, Escape or the close button exits
    #[arg(long)]
    window: bool,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let mut receiver = Receiver::bind(args.bind)?;
    let config = RecorderConfig::default()
        .timing(Timing::Constant { rate_hz: 25.0 })
        .existing(Existing::Replace);
    let mut recorder = Recorder::create(&args.record, config).await?;
    let address = receiver.local_addr()?;
    tell!("listening on {address}", "{address}에서 영상을 기다립니다");

    let (screen, pictures) = latest::channel();
    let mut window = match args.window {
        true => Some(Window::open("udp-video-receiver", pictures).await?),
        false => None,
    };
    tokio::select! {
        received = receive(&mut receiver, args.frames, &mut recorder, screen) => received?,
        closed = closed(&mut window) => closed?,
        pressed = ctrl_c() => pressed.context("cannot wait for Ctrl-C")?,
    }
    let recorded = recorder.finish().await?;
    tell!(
        "recorded {}, {} broken",
        "{}장 녹화, {}장 손상",
        recorded.frames,
        receiver.broken()
    );
    Ok(())
}

async fn receive(
    receiver: &mut Receiver,
    frames: Option<u64>,
    recorder: &mut Recorder,
    screen: Publisher<Picture>,
) -> anyhow::Result<()> {
    let mut received = 0;
    while frames != Some(received) {
        let picture = receiver.next().await?;
        screen.publish(picture.clone());
        recorder.push(&picture).await?;
        received += 1;
    }
    Ok(())
}
