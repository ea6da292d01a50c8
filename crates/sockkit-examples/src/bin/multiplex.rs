//! The course's ways to serve many clients, timed side by side: blocking,
//! `select`, a task per client (asyncio), and a handler class (`socketserver`).
//!
//! Each request makes the server wait for a moment, as for a disk or a
//! database. The blocking server waits for one client at a time; the others
//! wait for all at once, on one thread.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use sockkit::{
    server::{Handled, Handler, Peer, Server, ServerConfig, Stream},
    tcp::{Connection, Listener, connect},
};
use sockkit_examples::{failure::Failure, println, until_ctrl_c};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

/// The course's select, selectors, asyncio and socketserver: one small server in four ways, timed
#[derive(Parser)]
struct Args {
    /// Number of concurrent clients
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    clients: u16,
    /// How long the server waits for each request, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    work: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    until_ctrl_c(compare(args)).await
}

async fn compare(args: Args) -> anyhow::Result<()> {
    let work = Duration::from_millis(args.work);
    println!(
        "{} clients, {} ms of work for each request",
        args.clients, args.work
    );

    let address = blocking(work)?;
    report("blocking, one after the other", args.clients, address).await?;

    let listener = Listener::bind(LOOPBACK)?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(one_task(listener, work));
    report(
        "one task, select! (select, selectors)",
        args.clients,
        address,
    )
    .await?;
    serving.abort();

    let listener = Listener::bind(LOOPBACK)?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(a_task_each(listener, work));
    report("a task per client (asyncio)", args.clients, address).await?;
    serving.abort();

    let listener = Listener::bind(LOOPBACK)?;
    let server = Server::start_handler(listener, ServerConfig::default(), Echo { work })?;
    report(
        "a handler class (socketserver)",
        args.clients,
        server.local_addr(),
    )
    .await
}

// ANCHOR: blocking
/// The sockets of the standard library: every call blocks everything.
fn blocking(work: Duration) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(LOOPBACK)?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> io::Result<()> {
        loop {
            let (mut stream, _) = listener.accept()?;
            let mut byte = [0];
            while stream.read(&mut byte)? > 0 {
                thread::sleep(work);
                stream.write_all(&byte)?;
            }
        }
    });
    Ok(address)
}
// ANCHOR_END: blocking

// ANCHOR: one_task
/// One task watches the listener and every connection, like a loop around
/// `select`.
async fn one_task(listener: Listener, work: Duration) -> io::Result<()> {
    let mut turns: FuturesUnordered<BoxFuture<'_, io::Result<Option<Connection>>>> =
        FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                turns.push(Box::pin(turn(accepted?.0, work)));
            }
            Some(done) = turns.next() => {
                // Answered: watch it again.
                if let Ok(Some(connection)) = done {
                    turns.push(Box::pin(turn(connection, work)));
                }
            }
        }
    }
}

/// Handles one request; returns nothing if the client has disconnected.
async fn turn(mut connection: Connection, work: Duration) -> io::Result<Option<Connection>> {
    let mut byte = [0];
    if connection.read(&mut byte).await? == 0 {
        return Ok(None);
    }
    sleep(work).await;
    connection.write_all(&byte).await?;
    Ok(Some(connection))
}
// ANCHOR_END: one_task

// ANCHOR: a_task_each
/// A task per client, and a runtime that runs whichever is ready.
async fn a_task_each(listener: Listener, work: Duration) -> io::Result<()> {
    loop {
        let (mut connection, _) = listener.accept().await?;
        tokio::spawn(async move {
            while let Ok(Some(same)) = turn(connection, work).await {
                connection = same;
            }
        });
    }
}
// ANCHOR_END: a_task_each

// ANCHOR: handler
/// A handler type with a method that the server calls for each client.
struct Echo {
    work: Duration,
}

impl Handler for Echo {
    async fn handle(&self, mut stream: Stream, _: Peer) -> Handled {
        let mut byte = [0];
        while stream.read(&mut byte).await? > 0 {
            sleep(self.work).await;
            stream.write_all(&byte).await?;
        }
        Ok(())
    }
}
// ANCHOR_END: handler

/// Times all clients, which connect at the same time.
async fn report(name: &str, clients: u16, server: SocketAddr) -> anyhow::Result<()> {
    let begun = Instant::now();
    let asking: FuturesUnordered<_> = (0..clients).map(|_| ask(server)).collect();
    let answers: Vec<anyhow::Result<()>> = asking.collect().await;
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    let took = begun.elapsed().as_millis();
    println!("{name:<40} {answered} answered in {took} ms");
    answers.into_iter().collect()
}

async fn ask(server: SocketAddr) -> anyhow::Result<()> {
    let mut connection = connect(server).await?;
    connection.write_all(b"?").await?;
    connection.read_exact(&mut [0]).await?;
    Ok(())
}

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
