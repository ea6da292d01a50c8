//! Servers: how each connection ends, limits, draining, running out of
//! descriptors, ten thousand silent clients.

use std::{io, net::SocketAddr, time::Duration};

use sockkit::server::{Ended, Handled, Peer, Server, ServerConfig, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

mod activation;
mod crowd;
mod drain;
mod ends;
mod hosts;
mod limits;
mod listeners;
mod pipelined;
mod signals;
pub(crate) mod tls;
mod udp;

/// Echoes until the peer closes, or the server has drained the connection.
async fn echo(mut stream: Stream, _: Peer) -> Handled {
    let mut buffer = [0; 1024];
    while let bytes @ 1.. = stream.read(&mut buffer).await? {
        stream.write_all(&buffer[..bytes]).await?;
    }
    Ok(())
}

/// Starts a server whose connections' ends can be waited for.
async fn start<F, Fut>(config: ServerConfig, handle: F) -> (Server, Ends)
where
    F: Fn(Stream, Peer) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Handled> + Send + 'static,
{
    let (config, ends) = ends(config);
    (Server::start(bind().await, config, handle).unwrap(), ends)
}

fn ends(config: ServerConfig) -> (ServerConfig, Ends) {
    let (sender, ends) = mpsc::unbounded_channel();
    let config = config.on_end(move |ended| {
        let _ = sender.send(ended.clone());
    });
    (config, Ends(ends))
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

struct Ends(mpsc::UnboundedReceiver<Ended>);

impl Ends {
    async fn next(&mut self) -> Ended {
        timeout(PATIENCE, self.0.recv())
            .await
            .expect("no connection ended")
            .unwrap()
    }

    /// Without a deadline, which a paused clock would jump to.
    async fn next_unhurried(&mut self) -> Ended {
        self.0.recv().await.unwrap()
    }
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.local_addr()).await.unwrap()
}

/// Whether the other side is gone, by FIN or RST, before long.
async fn is_closed(client: &mut TcpStream) -> bool {
    matches!(
        timeout(PATIENCE, client.read(&mut [0; 16])).await,
        Ok(Ok(0) | Err(_))
    )
}

/// Waits until `address` refuses: the listener's task has been told to end.
async fn refused(address: SocketAddr) {
    timeout(PATIENCE, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it still accepts");
}

async fn ask(client: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    client.write_all(request).await?;
    let mut reply = vec![0; request.len()];
    timeout(PATIENCE, client.read_exact(&mut reply)).await??;
    assert_eq!(reply, request);
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(50);
