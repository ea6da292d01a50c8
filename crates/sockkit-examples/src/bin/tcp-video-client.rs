//! The course's TCP video client: counts pictures, and records them.
//!
//! What it does beyond the notes: it tells by the first bytes how the server writes its
//! pictures, a damaged picture is left out, a length beyond the limit is refused before
//! anything is reserved, a pickle is read by a parser that runs nothing, and a silent
//! server is given up.

use std::{io::Cursor, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use sockkit::{
    course::body::{Body, length_order},
    frame::{FrameConfig, FrameReader, LengthOrder},
    latest::{self, Publisher},
    picture::Picture,
    sink::{
        record::{RecordError, Recorder, RecorderConfig},
        window::Window,
    },
};
use sockkit_examples::{
    IN_THE_CLEAR, address, closed, eprintln, failure::Failure, println, until_ctrl_c,
};
use tokio::{
    io::{AsyncReadExt, Chain},
    net::TcpStream,
    time::{Instant, timeout},
};

/// video_client.py: receives pictures over TCP
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// The server
    #[arg(default_value = "127.0.0.1:5003", value_parser = address::<5003>)]
    server: SocketAddr,
    /// What follows the length: jpeg, raw (BGR), or pickle (a numpy array, as in the notes);
    /// auto goes by the first bytes
    #[arg(long, default_value = "auto", value_parser = ["auto", "jpeg", "raw", "pickle"])]
    body: String,
    /// Width of raw pictures, which is not transmitted
    #[arg(long, value_name = "PX", default_value_t = 640)]
    width: u32,
    /// Order of the length's bytes: be, or le as Python's struct.pack('Q'); auto goes by
    /// the first bytes
    #[arg(long, default_value = "auto", value_parser = ["auto", "be", "le"])]
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
async fn main() -> Result<(), Failure> {
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
    let mut frames = timeout(SILENCE, Frames::connect(&args))
        .await
        .with_context(|| format!("{} is silent", args.server))??;
    let mut recorder = match &args.record {
        Some(path) => Some(Recorder::create(path, RecorderConfig::default()).await?),
        None => None,
    };
    let mut damage = Damage::new();
    let mut received = 0;
    while args.frames != Some(received) {
        let Some(body) = frames.next().await? else {
            break;
        };
        let picture = match frames.body.decode(body, args.width) {
            Ok(picture) => picture.captured_at(std::time::SystemTime::now().into()),
            Err(error) => {
                damage.note(error.into(), received)?;
                continue;
            }
        };
        let picture = picture.numbered(received);
        if let Some(recorder) = &mut recorder {
            match recorder.push(&picture).await {
                Err(error @ RecordError::Picture { .. }) => {
                    damage.note(error.into(), received)?;
                    continue;
                }
                pushed => pushed?,
            }
        }
        println!(
            "picture {received}: {}x{}",
            picture.width_px(),
            picture.height_px()
        );
        screen.publish(picture);
        received += 1;
        damage.end_row();
    }
    if let Some(recorder) = recorder {
        recorder.finish().await?;
    }
    println!("received {received}{damage}");
    Ok(())
}

/// The pictures' bytes, and what they are.
struct Frames {
    reader: FrameReader<Chain<Cursor<Vec<u8>>, TcpStream>>,
    body: Body,
}

impl Frames {
    /// Connects, and waits for the first bytes.
    async fn connect(args: &Args) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(args.server)
            .await
            .with_context(|| format!("cannot connect to {}", args.server))?;
        let mut prefix = [0; 8];
        // Some cameras begin with an empty picture.
        while prefix == [0; 8] {
            stream.read_exact(&mut prefix).await.context(NO_PICTURE)?;
        }
        let order = match args.order.as_str() {
            "be" => LengthOrder::BigEndian,
            "le" => LengthOrder::LittleEndian,
            _ => length_order(prefix, MAX_BYTES as u64).with_context(|| {
                format!(
                    "{} is no video server: its first bytes are no length",
                    args.server
                )
            })?,
        };
        let mut first = prefix.to_vec();
        let body = match args.body.as_str() {
            "auto" => {
                let mut begin = [0; 2];
                stream.read_exact(&mut begin).await.context(NO_PICTURE)?;
                first.extend(begin);
                Body::guess(begin)
            }
            body => body.parse()?,
        };
        let config = FrameConfig::default()
            .order(order)
            .max_receive_bytes(MAX_BYTES);
        Ok(Self {
            reader: FrameReader::with_config(Cursor::new(first).chain(stream), config),
            body,
        })
    }

    async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        timeout(SILENCE, self.reader.recv())
            .await
            .context("the server is silent")?
            .context("no picture; is --order the server's?")
    }
}

/// Pictures that were left out.
struct Damage {
    count: u64,
    in_a_row: u64,
    since: Instant,
}

impl Damage {
    fn new() -> Self {
        Self {
            count: 0,
            in_a_row: 0,
            since: Instant::now(),
        }
    }

    /// One costs itself alone; where none is good, the kind is wrong, or the camera.
    fn note(&mut self, error: anyhow::Error, received: u64) -> anyhow::Result<()> {
        self.count += 1;
        self.in_a_row += 1;
        if received == 0 && self.in_a_row >= MAX_BAD_BEGIN {
            return Err(error.context("no such picture; are --body and --width the server's?"));
        }
        if self.since.elapsed() >= SILENCE {
            return Err(error.context("only damaged pictures come"));
        }
        if self.count == 1 {
            eprintln!("a damaged picture is left out: {error:#}");
        }
        Ok(())
    }

    fn end_row(&mut self) {
        self.in_a_row = 0;
        self.since = Instant::now();
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.count {
            0 => Ok(()),
            count => write!(f, ", left out {count} damaged"),
        }
    }
}

const NO_PICTURE: &str = "the server closed before the first picture";
const SILENCE: Duration = Duration::from_secs(10);

/// Of one picture, as large as raw 4K.
const MAX_BYTES: usize = 64 << 20;

/// So many in the beginning are no accident.
const MAX_BAD_BEGIN: u64 = 3;
