//! The course's TCP video server: each picture is preceded by its length in
//! eight bytes.
//!
//! What it does beyond the notes: many clients, each of which gets the newest
//! picture when it is ready for one, so that a slow one holds up no other; and a
//! picture that the camera damaged costs that picture alone.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use sockkit::{
    course::body::Body,
    frame::{FrameConfig, FrameWriter, LengthOrder},
    latest::{Publisher, Subscriber},
    picture::{Picture, PictureError},
    server::{Server, ServerConfig, Stream},
    source::{Source, SourceConfig, SourceSpec},
    tcp::Listener,
};
use sockkit_examples::{IN_THE_CLEAR, address, failure::Failure, println, until_ctrl_c};
use tokio::time::timeout;

/// video_server.py: sends pictures over TCP to every client
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5003", value_parser = address::<5003>)]
    bind: SocketAddr,
    /// camera, camera:1 …, pattern, clip, or a file
    #[arg(long, default_value = "camera")]
    source: SourceSpec,
    /// What follows the length: jpeg, raw (BGR), or pickle (a numpy array, as in the notes)
    #[arg(long, default_value = "jpeg", value_parser = ["jpeg", "raw", "pickle"])]
    body: String,
    /// Order of the length's bytes: be, or le as Python's struct.pack('Q')
    #[arg(long, default_value = "be", value_parser = ["be", "le"])]
    order: String,
    /// Resize to this width, in pixels, keeping the aspect ratio
    #[arg(long, value_name = "PX")]
    width: Option<u32>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(serve(args)).await
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let order = match args.order.as_str() {
        "le" => LengthOrder::LittleEndian,
        _ => LengthOrder::BigEndian,
    };
    let body: Body = args.body.parse()?;
    let mut source = Source::open(&args.source, SourceConfig::default()).await?;
    let publisher = Publisher::new();
    let pictures = publisher.subscribe();
    let listener = Listener::bind(args.bind)?;
    let server = Server::start(listener, ServerConfig::default(), move |stream, peer| {
        let pictures = pictures.clone();
        async move {
            println!("{} watches", peer.address());
            if let Err(error) = send(stream, pictures, order).await {
                println!("{} left: {error:#}", peer.address());
            }
            Ok(())
        }
    })?;
    println!("listening on {}", server.local_addr());
    if args.body != "pickle" || order != LengthOrder::LittleEndian {
        println!("a client of the notes needs a server with --body pickle --order le");
    }
    let mut left_out = 0_u64;
    loop {
        let picture = source.next().await?;
        match encoded(&picture, body, args.width) {
            Ok(bytes) => publisher.publish(bytes),
            Err(error) => {
                left_out += 1;
                if left_out == 1 {
                    println!("a damaged picture is left out, and so are others: {error}");
                }
            }
        }
    }
}

fn encoded(picture: &Picture, body: Body, width: Option<u32>) -> Result<Bytes, PictureError> {
    match width {
        Some(width) => body.encode(&picture.resize_to_width(width)?),
        None => body.encode(picture),
    }
}

async fn send(
    stream: Stream,
    mut pictures: Subscriber<Bytes>,
    order: LengthOrder,
) -> anyhow::Result<()> {
    let mut writer = FrameWriter::with_config(stream, FrameConfig::default().order(order));
    while let Some(jpeg) = pictures.next().await {
        timeout(WRITE_WITHIN, writer.send(jpeg))
            .await
            .context("it takes nothing")??;
    }
    Ok(())
}

const WRITE_WITHIN: Duration = Duration::from_secs(30);
