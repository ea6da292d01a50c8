//! Servers that run until they are asked to stop, each a process of its own.

#![cfg(target_os = "linux")]

use std::{
    env,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use sockkit::{
    server::{Peer, Server, ServerConfig, Stream},
    tcp::Listener,
    testing::program::Program,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The server, and a client in the middle of its request.
fn start() -> (Program, TcpStream) {
    let mut command = Command::new(env::current_exe().unwrap());
    let arguments = ["--ignored", "--exact", "--nocapture", CHILD];
    let server = Program::start(command.args(arguments).env(IS_CHILD, "1"));
    let address: SocketAddr = server.line_after("address ").parse().unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"a").unwrap();
    assert_eq!(server.line_after("begun"), "");
    (server, client)
}

fn signal(server: &Program, signal: Signal) {
    let id = Pid::from_raw(server.id().try_into().unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

#[test]
fn ctrl_c_and_sigterm_let_the_requests_finish() {
    for asked in [Signal::INT, Signal::TERM] {
        let (server, mut client) = start();
        signal(&server, asked);
        assert_eq!(server.line_after("draining"), "");
        client.write_all(b"b").unwrap();
        client.read_exact(&mut [0; 2]).unwrap();
        assert_eq!(server.line_after("aborted "), "0");
    }
}

#[test]
fn a_second_signal_is_not_made_to_wait() {
    let (server, mut client) = start();
    signal(&server, Signal::INT);
    assert_eq!(server.line_after("draining"), "");
    signal(&server, Signal::INT);
    assert_eq!(server.line_after("aborted "), "1");
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
}

/// The other process: answers two bytes with the same two.
#[test]
#[ignore = "run as a process by the tests above"]
fn child() {
    if env::var_os(IS_CHILD).is_none() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let drained = runtime.block_on(async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = ServerConfig::default()
            .drain_timeout(Duration::MAX)
            .quiet_period(None);
        let server = Server::start(listener, config, async |mut stream: Stream, peer: Peer| {
            let first = stream.read_u8().await?;
            println!("\nbegun");
            peer.draining().await;
            println!("draining");
            let second = stream.read_u8().await?;
            stream.write_all(&[first, second]).await?;
            Ok(())
        });
        let server = server.unwrap();
        let address = server.local_addr();
        let stopped = server.run_until_ctrl_c();
        println!("\naddress {address}");
        stopped.await.unwrap()
    });
    println!("aborted {}", drained.aborted);
}

const CHILD: &str = "server::signals::child";
const IS_CHILD: &str = "SOCKKIT_TEST_SIGNALS";
