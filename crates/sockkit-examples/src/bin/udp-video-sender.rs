//! The course's UDP video sender: 640x480 BGR as 20 datagrams a picture.
//!
//! Unlike the course's program, it paces the datagrams of a picture, because a
//! receive buffer is smaller than a picture. A datagram of this length consists
//! of 32 fragments on Ethernet, each of which may be lost; `sockkit cam` sends
//! none that need fragmentation.

use std::net::SocketAddr;

use clap::Parser;
use sockkit::{
    course::video::{HEIGHT_PX, SendError, Sender, WIDTH_PX},
    source::{Source, SourceConfig, SourceSpec},
};
use sockkit_examples::{IN_THE_CLEAR, address, failure::Failure, tell, until_ctrl_c};

/// The course's UDP video sender: raw pictures in 20 datagrams each
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Address of the receiver
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5006", value_parser = address::<5006>)]
    to: SocketAddr,
    /// camera (or camera:1 …), pattern, clip, or a file
    #[arg(long, default_value = "camera")]
    source: SourceSpec,
    /// Exit after this many pictures
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(send(args)).await
}

async fn send(args: Args) -> anyhow::Result<()> {
    let size = SourceConfig::default().size(WIDTH_PX, HEIGHT_PX);
    let mut source = Source::open(&args.source, size).await?;
    let mut sender = Sender::bind(args.to)?;
    let (mut sent, mut left_out) = (0, 0_u64);
    while args.frames != Some(sent) {
        let picture = source.next().await?;
        match sender.send(&picture).await {
            Err(SendError::Picture(_)) => left_out += 1,
            done => {
                done?;
                sent += 1;
            }
        }
    }
    tell!(
        "sent {sent} pictures, left out {left_out} damaged",
        "{sent}장 전송, 손상된 {left_out}장 제외"
    );
    Ok(())
}
