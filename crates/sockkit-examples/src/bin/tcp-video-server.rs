//! The course's TCP video server: each picture is its length in eight bytes,
//! then the picture.
//!
//! What it does beyond the notes: many clients, each of which gets the newest
//! picture when it is ready for one, so that a slow one holds up nobody.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use sockkit::{
    course::body::Body,
    frame::{FrameConfig, FrameWriter, LengthOrder},
    latest::{Publisher, Subscriber},
    source::{Source, SourceConfig, SourceSpec},
    tcp::{Connection, Listener},
};
use sockkit_examples::until_ctrl_c;
use tokio::{task::JoinSet, time::timeout};

/// video_server.py: sends pictures over TCP to every client
#[derive(Parser)]
struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5003")]
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
    /// Resize to this width, in pixels; the shape is kept
    #[arg(long, value_name = "PX")]
    width: Option<u32>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
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
    let listener = Listener::bind(args.bind)?;
    println!("listening on {}", listener.local_addr()?);

    let publisher = Publisher::new();
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            picture = source.next() => {
                let picture = match args.width {
                    Some(width) => picture?.resize_to_width(width)?,
                    None => picture?,
                };
                publisher.publish(body.encode(&picture)?);
            }
            accepted = listener.accept() => {
                let (connection, peer) = accepted?;
                println!("{peer} watches");
                let pictures = publisher.subscribe();
                clients.spawn(async move {
                    if let Err(error) = send(connection, pictures, order).await {
                        println!("{peer} left: {error:#}");
                    }
                });
            }
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn send(
    connection: Connection,
    mut pictures: Subscriber<Bytes>,
    order: LengthOrder,
) -> anyhow::Result<()> {
    let mut writer = FrameWriter::with_config(connection, FrameConfig::default().order(order));
    while let Some(jpeg) = pictures.next().await {
        timeout(WRITE_WITHIN, writer.send(jpeg))
            .await
            .context("it takes nothing")??;
    }
    Ok(())
}

const WRITE_WITHIN: Duration = Duration::from_secs(30);
