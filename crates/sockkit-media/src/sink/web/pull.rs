//! `/pull`: pictures over a WebSocket, one for each request of the client.
//!
//! A stream fills a link that is slower than the pictures, and every picture waits in
//! the link's queues. Here nothing is under way but the picture that was asked for, and
//! it is chosen when it is asked for.

use std::{io, sync::Arc};

use axum::{
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
};
use futures::stream::{self, Stream, StreamExt};
use sockkit_core::server::Permit;
use sockkit_link::channel::LagLimit;
use tokio::time::timeout;

use super::{
    client::Client,
    connection::now,
    feed::{JpegBroadcaster, ShownPicture},
    multipart::seconds,
    routes::Shared,
};

/// Upgrades the connection, which then serves the streams until the client is gone or too
/// slow.
pub(super) fn answer(
    upgrade: WebSocketUpgrade,
    shared: &Shared,
    permit: Permit,
    client: &Client,
) -> Response {
    let pictures = stream::select_all(shared.feeds.iter().map(|feed| Box::pin(pictures_of(feed))));
    let lag = LagLimit::new(shared.write_timeout);
    let stop = shared.stop.clone();
    // Shutdown and the connection's own limits wait for the task of the upgrade.
    let held = (permit, shared.tasks.token(), client.upgraded());
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(MAX_REQUEST_BYTES)
        .max_frame_size(MAX_REQUEST_BYTES)
        .on_upgrade(async move |socket| {
            let _held = held;
            let served = serve(socket, pictures, lag);
            if let Some(Err(error)) = stop.run_until_cancelled_owned(served).await {
                tracing::debug!(%error, "a client that pulled pictures has ended");
            }
        })
}

/// Returns when a stream ends, or the client leaves.
async fn serve(
    mut socket: WebSocket,
    mut pictures: impl Stream<Item = Named> + Unpin,
    mut lag: LagLimit,
) -> io::Result<()> {
    lag.handle_message(now(), 0);
    loop {
        match timeout(lag.left(now()), request(&mut socket)).await?? {
            Request::Next => lag.handle_taken(now())?,
            Request::Left => return Ok(()),
        }
        let picture = tokio::select! {
            picture = pictures.next() => picture,
            // It left, or did not wait for what it had asked for.
            _ = request(&mut socket) => None,
        };
        let Some(picture) = picture else {
            return Ok(());
        };
        lag.handle_message(now(), picture.1.jpeg.len());
        timeout(lag.left(now()), send(&mut socket, picture)).await??;
    }
}

#[derive(Clone, Copy, Debug)]
enum Request {
    Next,
    Left,
}

/// # Cancel safety
/// Cancel safe: it waits for whole messages.
async fn request(socket: &mut WebSocket) -> io::Result<Request> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) if text == NEXT => return Ok(Request::Next),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            None | Some(Ok(Message::Close(_))) => return Ok(Request::Left),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Some(Err(error)) => return Err(io::Error::other(error)),
        }
    }
}

/// The description leaves before the picture, so that the client can measure how long the
/// picture takes.
async fn send(socket: &mut WebSocket, (stream, picture): Named) -> io::Result<()> {
    let description = description(&stream, &picture);
    for message in [Message::text(description), Message::Binary(picture.jpeg)] {
        socket.send(message).await.map_err(io::Error::other)?;
    }
    Ok(())
}

/// JSON. Names of streams need no escaping: see [`WebStream::new`](super::WebStream::new).
fn description(stream: &str, picture: &ShownPicture) -> String {
    format!(
        r#"{{"stream":"{stream}","number":{},"timestamp":{},"bytes":{}}}"#,
        picture.number,
        seconds(picture.captured),
        picture.jpeg.len(),
    )
}

/// The name of a stream and one of its pictures.
type Named = (Arc<str>, ShownPicture);

fn pictures_of(feed: &JpegBroadcaster) -> impl Stream<Item = Named> + use<> {
    let name: Arc<str> = feed.name.as_str().into();
    let pictures = feed.watch().into_stream();
    pictures.map(move |picture| (Arc::clone(&name), picture))
}

/// The only thing that a client says.
const NEXT: &str = "next";

/// Longer than [`NEXT`] and a control frame.
const MAX_REQUEST_BYTES: usize = 128;

const READ_BUFFER_BYTES: usize = 1_024;
