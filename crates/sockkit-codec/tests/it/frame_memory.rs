//! What peers that announce much and send little can make a server hold.

use std::{
    env,
    io::{BufRead, Write},
    net::{SocketAddr, TcpStream},
    pin::Pin,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sockkit_codec::frame::FrameReader;
use sockkit_testing::{program::Program, usage};
use tokio::io::{AsyncRead, ReadBuf};

#[test]
fn a_thousand_announcements_cost_what_was_sent() {
    check_announcements(1_000);
}

#[test]
#[ignore = "soak"]
fn ten_thousand_announcements_cost_what_was_sent() {
    check_announcements(10_000);
}

/// Each connection announces 64 MiB, sends 1 KiB and stays open.
///
/// The server is a process of its own, so that nothing but it is measured.
fn check_announcements(connections: usize) {
    allow_files();
    let mut server = Program::start(
        Command::new(env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "frame_memory::server",
            ])
            .env(IS_SERVER, "1"),
    );
    let address: SocketAddr = server.line_after("address ").parse().unwrap();
    let mut peers: Vec<_> = (0..connections)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut memory_kib = |connections: usize, received: usize| -> usize {
        server.type_line(&format!("{connections} {received}"));
        server.line_after("memory ").parse().unwrap()
    };
    let idle_kib = memory_kib(connections, 0);

    let mut announcement = [7; 8 + 1024];
    announcement[..8].copy_from_slice(&(64_u64 << 20).to_be_bytes());
    for peer in &mut peers {
        peer.write_all(&announcement).unwrap();
    }
    let announced_kib = memory_kib(connections, connections * announcement.len());
    println!("{connections} connections: {idle_kib} KiB idle, {announced_kib} KiB announced");
    // Less than 64 MiB for ten thousand.
    let more_kib = announced_kib.saturating_sub(idle_kib);
    assert!(
        more_kib * 10_000 < connections * (64 << 10),
        "{more_kib} KiB more"
    );
}

/// The other process. Answers each line of connections and bytes, once so many
/// have come, with its resident memory in KiB.
#[test]
#[ignore = "run as a process by the tests above"]
fn server() {
    if env::var_os(IS_SERVER).is_none() {
        return;
    }
    allow_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    println!("\naddress {}", listener.local_addr().unwrap());
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            CONNECTIONS.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move { FrameReader::new(Counted(stream)).recv().await });
        }
    });
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (connections, received) = line.split_once(' ').unwrap();
        wait_for(&CONNECTIONS, connections.parse().unwrap());
        wait_for(&RECEIVED, received.parse().unwrap());
        println!("\nmemory {}", resident_kib());
    }
}

fn wait_for(counter: &AtomicUsize, count: usize) {
    while counter.load(Ordering::Relaxed) < count {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn resident_kib() -> u64 {
    usage::resident_bytes(std::process::id()).unwrap() / 1_024
}

/// A stream whose bytes are counted as they are read.
struct Counted(tokio::net::TcpStream);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(context, buffer);
        RECEIVED.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        polled
    }
}

/// As many open files as the system lets this process have.
fn allow_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
static RECEIVED: AtomicUsize = AtomicUsize::new(0);
const IS_SERVER: &str = "SOCKKIT_FRAME_SERVER";
