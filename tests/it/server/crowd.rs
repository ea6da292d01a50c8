//! Many connections at once: more than there are descriptors, and ten thousand
//! who say nothing. The server is a process of its own, so that its limits and
//! its memory are its own.

#![cfg(target_os = "linux")]

use std::{
    env,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sockkit::{
    server::{Handled, Peer, Server, ServerConfig, Stream},
    testing::{program::Program, usage},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server process, and where it listens.
struct Child {
    program: Program,
    address: SocketAddr,
}

impl Child {
    fn start(descriptors: u64) -> Self {
        let program = Program::start(
            Command::new(env::current_exe().unwrap())
                .args(["--ignored", "--exact", "--nocapture", CHILD])
                .env(DESCRIPTORS, descriptors.to_string()),
        );
        let address = program.line_after("address ").parse().unwrap();
        Self { program, address }
    }

    /// Connects and has one request answered, as far as it goes.
    fn ask(&self) -> io::Result<TcpStream> {
        let mut client = TcpStream::connect(self.address)?;
        client.set_read_timeout(Some(PATIENCE))?;
        client.write_all(b"?")?;
        client.read_exact(&mut [0])?;
        Ok(client)
    }

    /// Processor time so far, user and kernel.
    fn cpu(&self) -> Duration {
        usage::cpu_time(self.program.id()).unwrap()
    }

    fn resident_kib(&self) -> usize {
        let bytes = usage::resident_bytes(self.program.id()).unwrap();
        usize::try_from(bytes / 1_024).unwrap()
    }
}

#[test]
fn a_server_without_descriptors_stays_up_idles_and_serves_again() {
    let child = Child::start(64);
    let mut served = Vec::new();
    let mut refused = 0;
    // Twice as many as there are descriptors, all at once.
    let waiting: Vec<_> = (0..128)
        .map(|_| TcpStream::connect(child.address).unwrap())
        .collect();
    for mut client in waiting {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let answered = client
            .write_all(b"?")
            .and_then(|()| client.read_exact(&mut [0]));
        match answered {
            Ok(()) => served.push(client),
            // At once, and not after a silence.
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "left to hang");
                refused += 1;
            }
        }
    }
    assert!(served.len() > 32, "{} served", served.len());
    assert!(refused > 32, "{refused} refused");

    // A client that reconnects constantly, for a second, to a server that is full.
    let (before, begun) = (child.cpu(), Instant::now());
    let mut knocks = 0;
    while begun.elapsed() < Duration::from_secs(1) {
        assert!(child.ask().is_err(), "there is no descriptor for it");
        knocks += 1;
    }
    let spent = child.cpu() - before;
    println!("{knocks} refusals took {spent:?} of processor in a second");
    assert!(spent < Duration::from_millis(500), "it spins: {spent:?}");

    // Clients that were served still are, and permits are released as they end.
    for client in &mut served {
        client.write_all(b"?").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    let before = served.len();
    served.truncate(before / 2);
    let begun = Instant::now();
    while served.len() < before - 1 {
        assert!(begun.elapsed() < PATIENCE, "it does not recover");
        served.extend(child.ask());
    }
}

#[test]
fn a_thousand_idle_connections_cost_little() {
    check_idle(1_000);
}

#[test]
#[ignore = "soak"]
fn ten_thousand_idle_connections_cost_little() {
    check_idle(10_000);
}

/// Each has had one request answered, and has all the server's timeouts.
fn check_idle(connections: usize) {
    raise_descriptors(None);
    let child = Child::start(20_000);
    // What is allocated once is not counted.
    drop(child.ask().unwrap());
    let before_kib = child.resident_kib();
    let clients: Vec<_> = (0..connections).map(|_| child.ask().unwrap()).collect();
    let grown_kib = child.resident_kib() - before_kib;
    let each_bytes = grown_kib * 1024 / connections;
    println!("{connections} idle connections: {each_bytes} bytes each");
    assert!(each_bytes <= LARGEST_BYTES, "{each_bytes} bytes each");
    drop(clients);
}

/// The other process: echoes, a byte at a time, until it is killed.
#[test]
#[ignore = "run as a process by the tests above"]
fn child() {
    let Some(descriptors) = env::var_os(DESCRIPTORS) else {
        return;
    };
    raise_descriptors(Some(descriptors.to_str().unwrap().parse().unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let config = ServerConfig::default()
            .max_connections(100_000)
            .max_connections_per_address(100_000)
            .read_timeout(Duration::from_secs(3_600))
            .write_timeout(Duration::from_secs(3_600))
            .lifetime(Duration::from_secs(7_200));
        let server = Server::start(super::bind().await, config, echo).unwrap();
        println!("\naddress {}", server.local_addr());
        std::future::pending::<()>().await;
    });
}

/// Takes its buffer only when there is something to put into it.
async fn echo(mut stream: Stream, _: Peer) -> Handled {
    loop {
        stream.readable().await?;
        let mut buffer = vec![0; 1024];
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..bytes]).await?;
    }
}

/// As many as asked for, else as many as the system lets this process have.
fn raise_descriptors(wanted: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = wanted.or(maximum);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

const CHILD: &str = "server::crowd::child";
const DESCRIPTORS: &str = "SOCKKIT_TEST_DESCRIPTORS";
const PATIENCE: Duration = Duration::from_secs(10);
/// With room for an unoptimised build.
const LARGEST_BYTES: usize = 8 << 10;
