//! Sockets that this program was started with, as a service manager does it.

#![cfg(unix)]

use std::{
    env,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use sockkit::{
    activation::{self, Activated},
    tcp::Listener,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::PATIENCE;

#[test]
fn a_program_serves_at_the_socket_that_it_was_started_with() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The descriptor after standard error, and the number of the process that
    // the shell becomes.
    let script = r#"exec 3<&0 </dev/null
        LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=echo exec "$@""#;
    let mut program = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--ignored", "--exact", CHILD])
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"?").unwrap();
    let mut answer = [0];
    let answered = client.read_exact(&mut answer);
    drop(client);
    assert!(program.wait().unwrap().success());
    answered.unwrap();
    assert_eq!(&answer, b"?");
}

/// The other process: answers one byte.
#[test]
#[ignore = "run as a process by the test above"]
fn child() {
    // The others of the tests are started with no sockets.
    let Some(first) = activation::sockets().unwrap().pop() else {
        return;
    };
    assert_eq!(first.name.as_deref(), Some("echo"));
    let Activated::TcpListener(listener) = first.socket else {
        panic!("{first:?}");
    };
    assert!(activation::sockets().unwrap().is_empty(), "taken twice");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = Listener::from_std(listener).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let byte = stream.read_u8().await.unwrap();
        stream.write_all(&[byte]).await.unwrap();
    });
}

const CHILD: &str = "server::activation::child";
