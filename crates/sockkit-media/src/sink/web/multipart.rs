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
use tokio_util::sync::CancellationToken;

use super::{
    connection::{SendBuffer, now},
    feed::{JpegBroadcaster, ShownPicture},
};
use crate::picture::Timestamp;

pub(super) const CONTENT_TYPE: &str = "multipart/x-mixed-replace;boundary=sockkit";

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

    fn part(self, picture: ShownPicture, stream: &str) -> [Bytes; 3] {
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
///
/// At most one picture of a stream waits here, and one in the connection.
pub(super) fn body(
    feeds: &[Arc<JpegBroadcaster>],
    head: Head,
    place: Permit,
    outlet: SendBuffer,
    stop: CancellationToken,
) -> Body {
    let parts = stream::select_all(feeds.iter().map(|feed| Box::pin(parts_of(feed, head))));
    let state = (parts, outlet.lag_limit(), outlet);
    let parts = stream::try_unfold(state, async |(mut parts, mut lag, outlet)| {
        outlet.sent(&mut lag).await?;
        let Some(part) = parts.next().await else {
            return Ok(None);
        };
        let bytes = part.iter().map(Bytes::len).sum();
        lag.handle_message(now(), bytes);
        Ok::<_, io::Error>(Some((part, (parts, lag, outlet))))
    })
    .map_ok(|part| stream::iter(part.map(Ok::<_, io::Error>)))
    .try_flatten()
    .take_until(stop.cancelled_owned());
    let opening = stream::iter([Ok(Bytes::from_static(head.opening()))]);
    let body = opening.chain(parts).map_ok(move |bytes| {
        // The permit is released when the body is dropped.
        let _held = &place;
        bytes
    });
    Body::from_stream(body)
}

fn parts_of(feed: &JpegBroadcaster, head: Head) -> impl Stream<Item = [Bytes; 3]> + use<> {
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
