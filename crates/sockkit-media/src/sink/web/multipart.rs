//! `multipart/x-mixed-replace`: one JPEG after another in one answer.
//!
//! # Source
//! The form that mjpg-streamer and uStreamer use: each part with
//! `Content-Type`, `Content-Length` and `X-Timestamp`.

use std::{io, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{
    connection::Outlet,
    feed::{Feed, Picture},
};
use crate::picture::Timestamp;

pub(super) const CONTENT_TYPE: &str = "multipart/x-mixed-replace;boundary=sockkit";

/// The newest picture of each feed whenever the one before has left.
///
/// Of one feed, at most one picture waits here and one in the connection.
pub(super) fn body(
    feeds: &[Arc<Feed>],
    place: OwnedSemaphorePermit,
    outlet: Outlet,
    stop: CancellationToken,
) -> Body {
    let parts = stream::select_all(feeds.iter().map(|feed| Box::pin(parts_of(feed))));
    let parts = stream::try_unfold((parts, outlet), async |(mut parts, outlet)| {
        outlet.sent().await?;
        Ok::<_, io::Error>(parts.next().await.map(|part| (part, (parts, outlet))))
    })
    .map_ok(|part| stream::iter(part.map(Ok::<_, io::Error>)))
    .try_flatten()
    .take_until(stop.cancelled_owned());
    let opening = stream::iter([Ok(Bytes::from_static(BOUNDARY))]);
    let body = opening.chain(parts).map_ok(move |bytes| {
        // The place is free again when the body is dropped.
        let _held = &place;
        bytes
    });
    Body::from_stream(body)
}

fn parts_of(feed: &Feed) -> impl Stream<Item = [Bytes; 3]> + use<> {
    let name = feed.name.clone();
    stream::unfold((feed.watch(), name), async |(mut pictures, name)| {
        let picture = pictures.next().await?;
        let part = [
            head(&picture, &name),
            picture.jpeg,
            // The next boundary at once: some clients show a picture when
            // they see that it is over.
            Bytes::from_static(END_AND_BOUNDARY),
        ];
        Some((part, (pictures, name)))
    })
}

fn head(picture: &Picture, stream: &str) -> Bytes {
    format!(
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\nX-Timestamp: {}\r\n\
         X-Number: {}\r\nX-Stream: {stream}\r\n\r\n",
        picture.jpeg.len(),
        seconds(picture.captured),
        picture.number,
    )
    .into()
}

/// Seconds since the epoch with six decimals, as mjpg-streamer writes it.
pub(super) fn seconds(time: Timestamp) -> String {
    let micros = time.as_micros();
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

const BOUNDARY: &[u8] = b"--sockkit\r\n";
const END_AND_BOUNDARY: &[u8] = b"\r\n--sockkit\r\n";

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
