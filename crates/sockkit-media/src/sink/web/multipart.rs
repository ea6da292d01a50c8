//! `multipart/x-mixed-replace`: one JPEG after another in one response.
//!
//! # Source
//! The format of mjpg-streamer and uStreamer: each part has `Content-Type`,
//! `Content-Length` and `X-Timestamp`.
//!
//! Chromium shows a part when it has read the header of the next one. A browser
//! that shows the stream directly therefore gets that header at once, without
//! information about the next picture.

use std::{io, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use serde::Deserialize;
use sockkit_core::server::Permit;
use sockkit_link::channel::LagLimit;
use tokio::{sync::mpsc, time::timeout};

use super::{
    client::Client,
    connection::{SendBuffer, now},
    feed::{JpegBroadcaster, ShownPicture},
    routes::Shared,
};
use crate::picture::Timestamp;

pub(super) const CONTENT_TYPE: &str = "multipart/x-mixed-replace;boundary=sockkit";

/// What precedes a picture, the picture, and what follows it.
type Part = [Bytes; 3];

/// When the header of a part is sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Head {
    /// Together with its picture, with its length, time and number.
    Late,
    /// Directly after the previous picture.
    Early,
}

impl Head {
    fn opening(self) -> &'static [u8] {
        match self {
            Self::Late => BOUNDARY,
            Self::Early => BOUNDARY_AND_HEAD,
        }
    }

    fn part(self, picture: ShownPicture, stream: &str) -> Part {
        let (head, end) = match self {
            // The next boundary at once: some clients show a picture when they
            // see its end.
            Self::Late => (head(&picture, stream), END_AND_BOUNDARY),
            Self::Early => (Bytes::new(), END_BOUNDARY_AND_HEAD),
        };
        [head, picture.jpeg, Bytes::from_static(end)]
    }
}

/// The newest picture of each stream whenever the previous one has left.
pub(super) fn body(
    shared: &Shared,
    feeds: &[Arc<JpegBroadcaster>],
    head: Head,
    permit: Permit,
    client: Client,
) -> Body {
    let parts = stream::select_all(feeds.iter().map(|feed| Box::pin(parts_of(feed, head))));
    let lag = LagLimit::new(shared.write_timeout);
    let opening = stream::iter([Ok(Bytes::from_static(head.opening()))]);
    match client {
        Client::Own(outlet) => {
            let stopped = shared.stop.clone().cancelled_owned();
            let parts = paced(parts, lag, outlet, permit).take_until(stopped);
            Body::from_stream(opening.chain(parts))
        }
        Client::Other(_) => {
            let (sender, receiver) = mpsc::channel(1);
            let forward = forward(parts, lag, sender, permit);
            let stop = shared.stop.clone();
            shared.tasks.spawn(stop.run_until_cancelled_owned(forward));
            Body::from_stream(opening.chain(pieces_of(receiver)))
        }
    }
}

/// Waits until the connection has sent each part. At most one picture of a stream
/// waits here, and one in the connection. The permit is released when the body is
/// dropped.
fn paced(
    parts: impl Stream<Item = Part> + Unpin,
    lag: LagLimit,
    outlet: SendBuffer,
    permit: Permit,
) -> impl Stream<Item = io::Result<Bytes>> {
    let state = (parts, lag, outlet, permit);
    stream::try_unfold(state, async |(mut parts, mut lag, outlet, permit)| {
        outlet.sent(&mut lag).await?;
        let Some(part) = parts.next().await else {
            return Ok(None);
        };
        lag.handle_message(now(), bytes_in(&part));
        Ok::<_, io::Error>(Some((part, (parts, lag, outlet, permit))))
    })
    .map_ok(|part| stream::iter(part.map(Ok)))
    .try_flatten()
}

/// Passes parts to another server, whose connection is unknown: a part counts as
/// sent when the server asks for the next one.
///
/// This runs in its own task, because a server does not poll the body of a client
/// that reads nothing; its permit must be released nevertheless.
async fn forward(
    mut parts: impl Stream<Item = Part> + Unpin,
    mut lag: LagLimit,
    sender: mpsc::Sender<Part>,
    _permit: Permit,
) {
    while let Ok(Ok(room)) = timeout(lag.left(now()), sender.reserve()).await {
        if lag.handle_taken(now()).is_err() {
            return;
        }
        let part = tokio::select! {
            part = parts.next() => part,
            () = sender.closed() => None,
        };
        let Some(part) = part else { return };
        lag.handle_message(now(), bytes_in(&part));
        room.send(part);
    }
}

/// Cuts each part into as many chunks as hyper queues for a connection, whatever
/// their size, so that it queues one picture and not several.
fn pieces_of(mut parts: mpsc::Receiver<Part>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::poll_fn(move |context| parts.poll_recv(context))
        .flat_map(|[head, jpeg, end]| {
            let (bytes, each) = (jpeg.len(), jpeg.len().div_ceil(PIECES - 2).max(1));
            let jpeg = (0..bytes)
                .step_by(each)
                .map(move |from| jpeg.slice(from..bytes.min(from + each)));
            stream::iter([head].into_iter().chain(jpeg).chain([end]))
        })
        .map(Ok)
}

fn bytes_in(part: &Part) -> usize {
    part.iter().map(Bytes::len).sum()
}

fn parts_of(feed: &JpegBroadcaster, head: Head) -> impl Stream<Item = Part> + use<> {
    let name = feed.name.clone();
    let state = (feed.watch(), name, head);
    stream::unfold(state, async |(mut pictures, name, head)| {
        let picture = pictures.next().await?;
        Some((head.part(picture, &name), (pictures, name, head)))
    })
}

fn head(picture: &ShownPicture, stream: &str) -> Bytes {
    format!(
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\nX-Timestamp: {}\r\n\
         X-Number: {}\r\nX-Stream: {stream}\r\n\r\n",
        picture.jpeg.len(),
        seconds(picture.captured),
        picture.number,
    )
    .into()
}

/// Seconds since the epoch with six decimals, as in mjpg-streamer.
pub(super) fn seconds(time: Timestamp) -> String {
    let micros = time.as_micros();
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// How many chunks of a body hyper queues for a connection.
const PIECES: usize = 16;

const BOUNDARY: &[u8] = b"--sockkit\r\n";
const END_AND_BOUNDARY: &[u8] = b"\r\n--sockkit\r\n";
const BOUNDARY_AND_HEAD: &[u8] = b"--sockkit\r\nContent-Type: image/jpeg\r\n\r\n";
const END_BOUNDARY_AND_HEAD: &[u8] = b"\r\n--sockkit\r\nContent-Type: image/jpeg\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_six_decimals() {
        assert_eq!(
            seconds(Timestamp::from_micros(1_700_000_000_000_042)),
            "1700000000.000042"
        );
        assert_eq!(seconds(Timestamp::default()), "0.000000");
    }
}
