//! A chat: each line that one sends goes to all the others.
//!
//! ```console
//! $ cargo run --example chat
//! $ nc 127.0.0.1 7000           # in two other terminals
//! ```

use std::{error::Error, io};

use futures::{SinkExt, StreamExt};
use sockkit::{
    frame::Lines,
    server::{Handled, Peer, Server, ServerConfig, Stream},
    tcp::Listener,
    text::escape,
};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::codec::Framed;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = serve(Listener::bind("127.0.0.1:7000".parse()?)?)?;
    println!("listening on {}", server.local_addr());
    // Ctrl-C ends every conversation with a "bye".
    server.run_until_ctrl_c().await?;
    Ok(())
}

/// The sender's connection, and the line that all others are shown.
type Said = (u64, String);

pub(crate) fn serve(listener: Listener) -> io::Result<Server> {
    let (room, _) = broadcast::channel(1_000);
    let config = ServerConfig::default()
        .max_connections(50)
        .idle_timeout(None)
        .refusal("the room is full\n")
        .on_end(|ended| println!("{} left: {}", ended.peer, ended.end));
    // Each connection gets its own handle to what they share.
    Server::start(listener, config, move |stream, peer| {
        talk(stream, peer, room.clone())
    })
}

async fn talk(stream: Stream, peer: Peer, room: broadcast::Sender<Said>) -> Handled {
    let mut heard = room.subscribe();
    let mut lines = Framed::new(stream, Lines::default());
    lines.send("welcome").await?;
    loop {
        tokio::select! {
            line = lines.next() => {
                // The end: the client has left, or the server shuts down.
                let Some(line) = line else { break };
                // Escaped: a line must not control the others' terminals.
                let said = format!("{}: {}", peer.address(), escape(&line?));
                room.send((peer.id(), said))?;
            }
            said = heard.recv() => match said {
                Ok((id, line)) if id != peer.id() => lines.send(line).await?,
                Ok(_) | Err(RecvError::Closed) => {}
                // A slow reader misses lines, and delays no other.
                Err(RecvError::Lagged(count)) => lines.send(format!("({count} missed)")).await?,
            },
        }
    }
    lines.send("bye").await?;
    Ok(())
}
