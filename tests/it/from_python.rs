//! The code of the chapter "From Python's socket to sockkit", which includes it
//! from here.

use std::time::Duration;

use sockkit::{
    options::{Live, SocketOptions},
    tcp::{Connector, End, ListenConfig, Listener, connect},
    udp::{Transmit, UdpEndpoint},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::test]
async fn tcp() -> Outcome {
    // ANCHOR: server
    // s = socket(); s.setsockopt(SOL_SOCKET, SO_RCVBUF, 65536); s.bind(("127.0.0.1", 0)); s.listen(5)
    let config = ListenConfig::default()
        .options(SocketOptions::new().receive_buffer_bytes(65_536))
        .backlog(5);
    let listener = Listener::bind_with("127.0.0.1:0".parse()?, &config)?;
    let address = listener.local_addr()?;
    // ANCHOR_END: server
    let serving = tokio::spawn(async move {
        // ANCHOR: accept
        // conn, addr = s.accept(); data = conn.recv(1024); conn.sendall(data)
        let (mut connection, _address) = listener.accept().await?;
        let mut buffer = [0; 1024];
        let bytes = connection.read(&mut buffer).await?;
        connection.write_all(&buffer[..bytes]).await?;
        // ANCHOR_END: accept
        connection.close(Duration::from_secs(1)).await;
        std::io::Result::Ok(())
    });
    // ANCHOR: client
    // s.connect(address); s.settimeout(5); s.send(b"hello"); s.recv(1024); s.close()
    let mut connection = connect(address).await?;
    connection.set_read_timeout(Some(Duration::from_secs(5)));
    let taken = connection.write(b"hello").await?; // may be fewer than offered
    let mut buffer = [0; 1024];
    let bytes = connection.read(&mut buffer).await?; // may be fewer than sent
    let end = connection.close(Duration::from_secs(1)).await;
    // ANCHOR_END: client
    assert_eq!(
        (taken, &buffer[..bytes], end),
        (5, &b"hello"[..], End::Finished)
    );
    serving.await??;
    Ok(())
}

#[tokio::test]
async fn connect_ex_is_a_value() -> Outcome {
    let address = {
        let taken = Listener::bind("127.0.0.1:0".parse()?)?;
        taken.local_addr()?
    };
    // ANCHOR: connect_ex
    // if s.connect_ex(address) == errno.ECONNREFUSED: …
    match Connector::default().connect(address).await {
        Ok(connection) => drop(connection),
        Err(error) if error.end() == End::Refused => println!("the port is closed: {error}"),
        Err(error) => return Err(error.into()),
    }
    // ANCHOR_END: connect_ex
    Ok(())
}

#[tokio::test]
async fn udp() -> Outcome {
    let receiver = UdpEndpoint::bind("127.0.0.1:0".parse()?)?;
    let address = receiver.local_addr()?;
    // ANCHOR: udp
    // s.sendto(b"hello", address); data, sender = r.recvfrom(1024)
    let sender = UdpEndpoint::bind("127.0.0.1:0".parse()?)?;
    sender.send(Transmit::new(address, b"hello")).await?;
    let mut buffer = [0; 1024];
    let datagram = receiver.recv(&mut buffer).await?;
    println!("{} bytes from {}", datagram.bytes.len(), datagram.from);
    assert!(!datagram.is_truncated());
    // ANCHOR_END: udp
    assert_eq!(datagram.bytes, b"hello");
    Ok(())
}

#[tokio::test]
async fn options_and_detaching() -> Outcome {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut connection = connect(listener.local_addr()?).await?;
    // ANCHOR: options
    // s.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1); s.getsockopt(SOL_SOCKET, SO_RCVBUF)
    connection.set_options(&SocketOptions::new().no_delay(true))?;
    let bytes = Live::of(connection.get_ref())?.receive_buffer_bytes()?;
    println!("{bytes} bytes, as the kernel made it");
    // fd = s.detach(): the descriptor lives on, this object does not.
    let socket: std::net::TcpStream = connection.into_inner().into_std()?;
    // ANCHOR_END: options
    assert!(socket.nodelay()?);
    Ok(())
}
