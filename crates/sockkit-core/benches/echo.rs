//! [`Server`] beside a bare accept loop of tokio's: 1,000 connections echo.
//!
//! ```text
//! cargo bench -p sockkit-core --bench echo
//! ```
//!
//! Both run the same echo function, on one thread; the clients are on another,
//! each with one request under way. The two take turns within each round, and
//! what counts is the ratio within a round, so that other load on the machine
//! falls on both. CPU is that of the serving thread, the kernel's work on its
//! behalf included.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

#[cfg(unix)]
fn main() {
    unix::compare();
}

#[cfg(not(unix))]
fn main() {
    println!("this bench reads the CPU time of a thread on Unix alone");
}

#[cfg(unix)]
mod unix {
    use std::{
        any::Any,
        io,
        net::SocketAddr,
        sync::Arc,
        thread,
        time::{Duration, Instant},
    };

    use rustix::{
        process::{Resource, Rlimit, getrlimit, setrlimit},
        time::{ClockId, clock_gettime},
    };
    use sockkit_core::server::{Peer, Server, ServerConfig, Stream};
    use tokio::{
        io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        runtime::{Builder, Runtime},
        sync::{Barrier, oneshot},
    };

    pub(super) fn compare() {
        raise_descriptors();
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let (ours, bare);
            if round % 2 == 0 {
                ours = measure(serve);
                bare = measure(accept_loop);
            } else {
                bare = measure(accept_loop);
                ours = measure(serve);
            }
            rounds.push((ours, bare));
        }
        let wall = |took: &Took| took.wall.as_secs_f64();
        let cpu = |took: &Took| took.cpu.as_secs_f64();
        let requests = (CONNECTIONS * REQUESTS_EACH) as f64;
        for (name, one) in [
            ("Server", (|(ours, _)| ours) as fn(&(Took, Took)) -> &Took),
            ("bare loop", |(_, bare)| bare),
        ] {
            println!(
                "{name:10} {:8.0} requests/s {:6.2} us CPU each at the server",
                requests / quartiles(rounds.iter().map(|round| wall(one(round))))[1],
                1e6 * quartiles(rounds.iter().map(|round| cpu(one(round))))[1] / requests,
            );
        }
        let speed = quartiles(rounds.iter().map(|(ours, bare)| wall(bare) / wall(ours)));
        let spent = quartiles(rounds.iter().map(|(ours, bare)| cpu(ours) / cpu(bare)));
        let [low, median, high] = speed;
        println!("{median:.3} x the speed ({low:.3} to {high:.3})");
        let [low, median, high] = spent;
        println!("{median:.3} x the CPU ({low:.3} to {high:.3})");
    }

    /// What one run took.
    struct Took {
        wall: Duration,
        cpu: Duration,
    }

    /// Begins to serve; what it gives keeps serving until it is dropped.
    type Serve = fn(TcpListener) -> Box<dyn Any>;

    fn serve(listener: TcpListener) -> Box<dyn Any> {
        let config = ServerConfig::default().max_connections_per_address(CONNECTIONS);
        let server = Server::start(listener, config, async |stream: Stream, _: Peer| {
            Ok(echo(stream).await?)
        });
        Box::new(server.unwrap())
    }

    fn accept_loop(listener: TcpListener) -> Box<dyn Any> {
        Box::new(tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(echo(stream));
            }
        }))
    }

    async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut buffer = [0; 1024];
        while let bytes @ 1.. = stream.read(&mut buffer).await? {
            stream.write_all(&buffer[..bytes]).await?;
        }
        Ok(())
    }

    fn measure(serve: Serve) -> Took {
        let (address, bound) = std::sync::mpsc::channel();
        let (begin, begun) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let server = thread::spawn(move || {
            runtime().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                address.send(listener.local_addr().unwrap()).unwrap();
                let _serving = serve(listener);
                begun.await.unwrap();
                let before = cpu_time();
                ended.await.unwrap();
                cpu_time().saturating_sub(before)
            })
        });
        let wall = runtime().block_on(ask(bound.recv().unwrap(), begin));
        end.send(()).unwrap();
        Took {
            wall,
            cpu: server.join().unwrap(),
        }
    }

    /// All clients, from the time that all are connected: then it says `begin`.
    async fn ask(server: SocketAddr, begin: oneshot::Sender<()>) -> Duration {
        let connected = Arc::new(Barrier::new(CONNECTIONS + 1));
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let connected = Arc::clone(&connected);
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(server).await.unwrap();
                    exchange(&mut stream, 1).await.unwrap();
                    connected.wait().await;
                    exchange(&mut stream, REQUESTS_EACH).await.unwrap();
                })
            })
            .collect();
        connected.wait().await;
        begin.send(()).unwrap();
        let begun = Instant::now();
        for client in clients {
            client.await.unwrap();
        }
        begun.elapsed()
    }

    async fn exchange(stream: &mut TcpStream, requests: usize) -> io::Result<()> {
        let mut reply = [0; REQUEST_BYTES];
        for _ in 0..requests {
            stream.write_all(&[7; REQUEST_BYTES]).await?;
            stream.read_exact(&mut reply).await?;
        }
        Ok(())
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn cpu_time() -> Duration {
        clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
    }

    /// Both ends of each connection are this process's.
    fn raise_descriptors() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = maximum;
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }

    fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
    }

    const CONNECTIONS: usize = 1_000;
    const REQUESTS_EACH: usize = 50;
    const REQUEST_BYTES: usize = 64;
    const ROUNDS: usize = 41;
}
