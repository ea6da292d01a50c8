//! A service for programs of the same machine, at a path instead of a port: each
//! line is answered with the next number.
//!
//! ```console
//! $ cargo run --example unix_server
//! $ nc -U /tmp/numbers.sock
//! ```

#[cfg(unix)]
mod unix {
    use std::{
        fs, io,
        path::Path,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    use futures::{SinkExt, StreamExt};
    use sockkit::{
        frame::Lines,
        server::{Peer, PeerAddress, Server, ServerConfig, Stream},
    };
    use tokio::net::{UnixListener, UnixStream};
    use tokio_util::codec::Framed;

    /// As over TCP, with the same limits, timeouts and drain.
    pub(crate) fn serve(path: &Path) -> io::Result<Server<PeerAddress>> {
        // A socket outlives the program that has made it.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        let next = Arc::new(AtomicU64::new(1));
        let handle = move |stream: Stream<UnixStream>, _: Peer| {
            let next = Arc::clone(&next);
            async move {
                let mut lines = Framed::new(stream, Lines::default());
                while let Some(name) = lines.next().await {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    lines.send(format!("{}: {number}", name?)).await?;
                }
                Ok(())
            }
        };
        Server::start(listener, ServerConfig::default(), handle)
    }
}

#[cfg(unix)]
pub(crate) use unix::serve;

#[cfg(unix)]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    let server = serve("/tmp/numbers.sock".as_ref())?;
    println!("nc -U /tmp/numbers.sock");
    server.run_until_ctrl_c().await?;
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this system has no Unix sockets");
}
