//! Pictures as RTP carries them, prepared once for all players.

use std::{
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sockkit_codec::rtp::jpeg::{Fragment, JpegFrame, MAX_SIDE_PX, NotCarried};
use tokio::{sync::Notify, task::spawn_blocking};

use crate::{
    latest::{Publisher, Subscriber},
    picture::{Encoding, Picture, PictureError, Timestamp, Turn, jpeg},
};

/// Counters of a sender or a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RtpStats {
    /// Pictures sent, to all players together.
    pub sent: u64,
    /// Pictures that a player missed because a newer one was there, for all players
    /// together.
    pub skipped: u64,
    /// Pictures that could not be prepared, or not be sent.
    pub failed: u64,
    /// Bytes sent, headers included.
    pub bytes: u64,
    /// Players that have connected so far.
    pub connected: u64,
    /// Players connected now.
    pub players: usize,
    /// Why pictures were compressed again, if any was: the first reason.
    pub compressed_again: Option<CompressedAgain>,
}

/// Why pictures do not pass unchanged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressedAgain {
    /// RTP cannot carry the JPEG.
    #[error(transparent)]
    NotCarried(#[from] NotCarried),
    /// The JPEG says that it is shown turned, and RTP cannot.
    #[error("turned by its EXIF orientation, which RTP does not carry")]
    Turned,
    /// The picture is no JPEG.
    #[error("not a JPEG")]
    NotJpeg,
}

/// A picture, cut for packets.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) captured: Timestamp,
    pub(super) fragments: Arc<[Fragment]>,
}

/// The newest picture, for any number of players. It ends with the camera's.
#[derive(Debug, Default)]
pub(super) struct RtpBroadcaster {
    publisher: Publisher<Prepared>,
    /// Notified when a player subscribes.
    wanted: Notify,
}

impl RtpBroadcaster {
    /// Subscribes a player. It starts with the newest picture, which may have been published
    /// long ago.
    pub(super) fn subscribe(&self) -> Subscriber<Prepared> {
        let subscriber = self.publisher.subscribe();
        self.wanted.notify_one();
        subscriber
    }
}

/// State shared by all players of a sink.
#[derive(Debug, Default)]
pub(super) struct Shared {
    stats: Mutex<RtpStats>,
}

impl Shared {
    pub(super) fn stats(&self) -> MutexGuard<'_, RtpStats> {
        // A panic cannot leave the counters inconsistent.
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logged as a warning once, because the following pictures probably fail, too.
    pub(super) fn count_failed(&self, error: &(dyn Error + 'static)) {
        let mut stats = self.stats();
        stats.failed += 1;
        match stats.failed {
            1 => tracing::warn!(error, "picture not sent to players"),
            _ => tracing::debug!(error, "picture not sent to players"),
        }
    }

    fn note_compressed_again(&self, why: CompressedAgain) {
        let first = &mut self.stats().compressed_again;
        if first.is_none() {
            *first = Some(why);
        }
    }
}

/// Prepares the newest picture for as long as there are any. Without a player nothing is
/// prepared.
pub(super) async fn prepare(
    mut pictures: Subscriber<Picture>,
    jpeg_quality: u8,
    shared: &Shared,
    broadcaster: &RtpBroadcaster,
) {
    let mut missed = 0;
    // Until a player wants it: once, since what cannot be prepared now cannot be later.
    let mut newest = None;
    loop {
        tokio::select! {
            // A player that subscribes before the end sees the last picture.
            biased;
            () = broadcaster.wanted.notified() => {}
            picture = pictures.next() => match picture {
                Some(picture) => newest = Some(picture),
                None => return,
            },
        }
        if broadcaster.publisher.subscribers() == 0 {
            if newest.is_some() {
                broadcaster.publisher.clear();
            }
            missed = pictures.missed();
            continue;
        }
        let Some(picture) = newest.take() else {
            continue;
        };
        match carried(picture, jpeg_quality, shared).await {
            Ok(prepared) => {
                broadcaster
                    .publisher
                    .publish_after(pictures.missed() - missed, prepared);
                missed = pictures.missed();
            }
            Err(error) => shared.count_failed(&error),
        }
    }
}

/// The picture as it is, or compressed again.
async fn carried(
    picture: Picture,
    jpeg_quality: u8,
    shared: &Shared,
) -> Result<Prepared, PictureError> {
    let captured = picture.captured();
    let frame = match unchanged(&picture) {
        Ok(frame) => frame,
        Err(why) => {
            let work = spawn_blocking(move || compress(&picture, jpeg_quality));
            let joined = work.await;
            let frame =
                joined.unwrap_or_else(|panicked| Err(PictureError::Encode(panicked.into())))?;
            shared.note_compressed_again(why);
            frame
        }
    };
    Ok(Prepared {
        captured,
        fragments: frame.fragments(MAX_PAYLOAD_BYTES).collect(),
    })
}

fn unchanged(picture: &Picture) -> Result<JpegFrame, CompressedAgain> {
    if picture.encoding() != Encoding::Jpeg {
        return Err(CompressedAgain::NotJpeg);
    }
    if picture.turn() != Turn::NONE {
        return Err(CompressedAgain::Turned);
    }
    Ok(JpegFrame::new(picture.data())?)
}

/// Decodes the picture if necessary, and makes a JPEG of the kind that RTP carries.
fn compress(picture: &Picture, jpeg_quality: u8) -> Result<JpegFrame, PictureError> {
    let pixels = fitted(picture.to_rgb()?)?;
    let jpeg = jpeg::encode(&pixels, jpeg_quality)?;
    JpegFrame::new(jpeg.data()).map_err(|error| PictureError::Encode(error.into()))
}

/// Shrinks what is longer than a payload can tell, and keeps the aspect ratio.
fn fitted(picture: Picture) -> Result<Picture, PictureError> {
    let (width, height) = (picture.width_px(), picture.height_px());
    let longest = width.max(height);
    let max = u32::from(MAX_SIDE_PX);
    if longest > max {
        let shrunk = |side: u32| (side * max / longest).max(1);
        return picture.resize(shrunk(width).max(MIN_WIDTH_PX), shrunk(height));
    }
    if width < MIN_WIDTH_PX {
        return picture.resize(MIN_WIDTH_PX, height);
    }
    Ok(picture)
}

/// With RTP's header of 12 bytes, and those of UDP and IPv6, it fits an Ethernet frame and
/// most tunnels.
const MAX_PAYLOAD_BYTES: usize = 1_388;

/// Narrower pictures are not sampled as RTP needs it.
const MIN_WIDTH_PX: u32 = 8;
