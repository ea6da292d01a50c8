//! The course's peer-to-peer model: every node listens and dials, and there is
//! no server.
//!
//! A line typed by the user is sent to every connected node, and received lines
//! are printed. Any telnet client can join.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Parser;
use futures::{SinkExt, StreamExt};
use sockkit::{
    frame::Lines,
    server::{Server, ServerConfig, Stream},
    tcp::{Connection, Connector, Listener},
    text::escape,
};
use sockkit_examples::{IN_THE_CLEAR, address, eprintln, println, until_ctrl_c};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    sync::mpsc,
    time::timeout,
};
use tokio_util::{codec::Framed, task::TaskTracker};

/// The course's peer-to-peer model: a chat in which every node listens and dials
#[derive(Parser)]
#[command(after_help = IN_THE_CLEAR)]
struct Args {
    /// Where to listen for others
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5001", value_parser = address::<5001>)]
    bind: SocketAddr,
    /// Nodes to dial
    #[arg(value_name = "PEER")]
    peers: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let outcome = until_ctrl_c(chat(args)).await;
    // A blocking read of the keyboard cannot be cancelled: do not wait for it.
    if let Err(error) = outcome {
        eprintln!("Error: {error:?}");
        std::process::exit(1);
    }
    std::process::exit(0)
}

async fn chat(args: Args) -> anyhow::Result<()> {
    let (peers, tasks) = (Peers::default(), TaskTracker::new());
    let config = ServerConfig::default()
        .idle_timeout(None)
        .drain_timeout(GOODBYE)
        .on_end(|ended| println!("{} left: {}", ended.peer, ended.end));
    let others = peers.clone();
    let server = Server::start(Listener::bind(args.bind)?, config, move |stream, peer| {
        let (others, address) = (others.clone(), peer.address().socket_addr());
        async move {
            if let Some(address) = address {
                serve(stream, address, others).await;
            }
            Ok(())
        }
    })?;
    println!("listening on {}", server.local_addr());
    for peer in args.peers {
        let peers = peers.clone();
        tasks.spawn(async move {
            // The other node may still be starting.
            let connector = Connector::default().retries(5);
            match connector.connect(&peer).await {
                Ok(connection) => dialled(connection, peers).await,
                Err(error) => println!("{peer}: {error}"),
            }
        });
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if line == "q" {
            break;
        }
        peers.tell(&line);
    }
    // Each task sends what is queued, then closes.
    peers.with(HashMap::clear);
    tasks.close();
    let _ = tokio::join!(timeout(GOODBYE, tasks.wait()), server.shutdown());
    Ok(())
}

/// Handles a connection that this node has dialled.
async fn dialled(connection: Connection, peers: Peers) {
    let Ok(peer) = connection.peer_addr() else {
        return;
    };
    let connection = talk(connection, peer, &peers).await;
    let end = match connection.end() {
        Some(end) => end,
        None => connection.close(GOODBYE).await,
    };
    println!("{peer} left: {end}");
}

/// Handles an accepted connection.
async fn serve(stream: Stream, peer: SocketAddr, peers: Peers) {
    let mut stream = talk(stream, peer, &peers).await;
    let closing = async {
        stream.shutdown().await?;
        while stream.read(&mut [0; 1024]).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(GOODBYE, closing).await;
}

// ANCHOR: talk
/// Talks over one connection until either side disconnects. Both sides do the
/// same, whichever has dialled.
async fn talk<S>(stream: S, peer: SocketAddr, peers: &Peers) -> S
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut typed = peers.enter(peer);
    println!("{peer} connected");
    let mut lines = Framed::new(stream, Lines::default());
    loop {
        tokio::select! {
            line = typed.recv() => match line {
                Some(line) => if lines.send(line).await.is_err() { break },
                None => break,
            },
            line = lines.next() => match line {
                Some(Ok(line)) => println!("{peer}: {}", escape(&line)),
                Some(Err(error)) => {
                    println!("{peer}: {error}");
                    break;
                }
                None => break,
            },
        }
    }
    peers.leave(peer);
    lines.into_inner()
}
// ANCHOR_END: talk

/// The connected nodes, with their queues of lines.
#[derive(Clone, Default)]
struct Peers(Arc<Mutex<HashMap<SocketAddr, mpsc::Sender<String>>>>);

impl Peers {
    fn enter(&self, peer: SocketAddr) -> mpsc::Receiver<String> {
        let (say, typed) = mpsc::channel(QUEUE_LINES);
        self.with(|peers| peers.insert(peer, say));
        typed
    }

    fn leave(&self, peer: SocketAddr) {
        self.with(|peers| peers.remove(&peer));
    }

    /// A slow node misses lines; the others do not.
    fn tell(&self, line: &str) {
        self.with(|peers| {
            for (peer, say) in peers.iter() {
                if say.try_send(line.to_owned()).is_err() {
                    println!("{peer} is too slow and misses a line");
                }
            }
        });
    }

    fn with<T>(
        &self,
        use_them: impl FnOnce(&mut HashMap<SocketAddr, mpsc::Sender<String>>) -> T,
    ) -> T {
        use_them(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const QUEUE_LINES: usize = 100;

/// Time for queued lines, and for the peer's close.
const GOODBYE: Duration = Duration::from_secs(1);
