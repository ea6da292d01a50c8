//! The course's TCP video client: counts pictures, and records them.
//!
//! Unlike the course's program, it rejects a length over the limit before it
//! reserves memory, parses pickles without executing anything, and times out if
//! the server is silent.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use sockkit::{
    course::body::Body,
    frame::{FrameConfig, FrameReader, LengthOrder},
    latest::{self, Publisher},
    picture::Picture,
    sink::{
        record::{Recorder, RecorderConfig},
        window::Window,
    },
};
use sockkit_examples::{closed, until_ctrl_c};
use tokio::{net::TcpStream, time::timeout};

/// video_client.py: receives pictures over TCP
#[derive(Parser)]
struct Args {
    /// The server
    #[arg(default_value = "127.0.0.1:5003")]
    server: SocketAddr,
    /// What follows the length: jpeg, raw (BGR), or pickle (a numpy array, as in the notes)
    #[arg(long, default_value = "jpeg", value_parser = ["jpeg", "raw", "pickle"])]
    body: String,
    /// Width of raw pictures, which is not transmitted
    #[arg(long, value_name = "PX", default_value_t = 640)]
    width: u32,
    /// Order of the length's bytes: be, or le as Python's struct.pack('Q')
    #[arg(long, default_value = "be", value_parser = ["be", "le"])]
    order: String,
    /// Exit after this many pictures
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Record to this MP4 file, which must not exist yet
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Show the pictures in a window; q, Escape or the close button exits
    #[arg(long)]
    window: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (screen, pictures) = latest::channel();
    let mut window = match args.window {
        true => Some(Window::open("tcp-video-client", pictures).await?),
        false => None,
    };
    until_ctrl_c(async {
        tokio::select! {
            received = receive(args, screen) => received,
            closed = closed(&mut window) => closed,
        }
    })
    .await
}

async fn receive(args: Args, screen: Publisher<Picture>) -> anyhow::Result<()> {
    let order = match args.order.as_str() {
        "le" => LengthOrder::LittleEndian,
        _ => LengthOrder::BigEndian,
    };
    let format: Body = args.body.parse()?;
    let stream = timeout(SILENCE, TcpStream::connect(args.server))
        .await
        .context("the server does not answer")?
        .with_context(|| format!("cannot connect to {}", args.server))?;
    let mut reader = FrameReader::with_config(stream, FrameConfig::default().order(order));
    let mut recorder = match &args.record {
        Some(path) => Some(Recorder::create(path, RecorderConfig::default()).await?),
        None => None,
    };
    let mut received = 0;
    while args.frames != Some(received) {
        let body = timeout(SILENCE, reader.recv())
            .await
            .context("the server is silent")?
            .context("no picture; is --order the server's?")?;
        let Some(body) = body else { break };
        let now = std::time::SystemTime::now().into();
        let picture = format
            .decode(body, args.width)
            .context("no such picture; are --body and --width the server's?")?
            .captured_at(now)
            .numbered(received);
        println!(
            "picture {received}: {}x{}",
            picture.width_px(),
            picture.height_px()
        );
        if let Some(recorder) = &mut recorder {
            recorder.push(&picture).await?;
        }
        screen.publish(picture);
        received += 1;
    }
    if let Some(recorder) = recorder {
        recorder.finish().await?;
    }
    println!("received {received}");
    Ok(())
}

const SILENCE: Duration = Duration::from_secs(10);
