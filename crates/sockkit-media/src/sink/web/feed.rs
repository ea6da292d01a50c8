//! The pictures of one stream, compressed once for all viewers.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

use crate::{
    encode,
    latest::{Publisher, Subscriber},
    picture::{Picture, Timestamp},
    stream::{ConnectionState, StatsHandle},
};

/// Takes pictures from a source and passes them to clients as JPEG.
#[derive(Debug)]
pub(super) struct JpegBroadcaster {
    pub(super) name: String,
    pub(super) stats: StatsHandle,
    /// The connection that the pictures come by, if it is one.
    pub(super) link: Option<Subscriber<ConnectionState>>,
    /// For players that get the pictures elsewhere.
    pub(super) sdp: Option<String>,
    counts_itself: bool,
    jpeg_quality: u8,
    /// Until [`end`](Self::end).
    source: Mutex<Option<Subscriber<Picture>>>,
    publisher: Publisher<ShownPicture>,
    /// Notified when a viewer subscribes.
    wanted: Notify,
    showing: Mutex<StreamInfo>,
}

/// A JPEG, with the stamps for the headers.
#[derive(Clone, Debug)]
pub(super) struct ShownPicture {
    pub(super) jpeg: Bytes,
    pub(super) captured: Timestamp,
    pub(super) number: u64,
    pub(super) signal: Signal,
    /// How many pictures the source had published with it, or before the silence.
    position: u64,
}

/// Whether the source delivers pictures.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Signal {
    Live,
    #[default]
    None,
}

/// State of the stream, for the statistics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StreamInfo {
    pub(super) signal: Signal,
    pub(super) width_px: u32,
    pub(super) height_px: u32,
}

impl JpegBroadcaster {
    pub(super) fn new(
        name: String,
        jpeg_quality: u8,
        source: Subscriber<Picture>,
        stats: Option<StatsHandle>,
    ) -> Self {
        Self {
            name,
            counts_itself: stats.is_none(),
            stats: stats.unwrap_or_default(),
            link: None,
            sdp: None,
            jpeg_quality,
            source: Mutex::new(Some(source)),
            publisher: Publisher::new(),
            wanted: Notify::new(),
            showing: Mutex::default(),
        }
    }

    /// Subscribes a viewer. Pictures are compressed while there is a
    /// subscriber.
    ///
    /// It starts with the newest picture: one that is being compressed is waited for.
    pub(super) fn watch(&self) -> Subscriber<ShownPicture> {
        let newest = self.source().as_ref().map_or(0, Subscriber::published);
        let mut subscriber = self.publisher.subscribe();
        subscriber.skip_if(|shown| shown.position < newest);
        self.wanted.notify_one();
        subscriber
    }

    /// Takes no further pictures, once what [`run`](Self::run) returned is dropped: a router
    /// that is shut down may exist for long.
    pub(super) fn end(&self) {
        self.source().take();
    }

    pub(super) fn viewers(&self) -> usize {
        self.publisher.subscribers()
    }

    pub(super) fn showing(&self) -> StreamInfo {
        *self.showing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until it is dropped.
    pub(super) async fn run(self: Arc<Self>) {
        let Some(mut source) = self.source().clone() else {
            return;
        };
        let mut newest = None;
        let mut silent_at = Instant::now() + NO_SIGNAL_AFTER;
        let mut source_ended = false;
        let mut published = false;
        loop {
            tokio::select! {
                frame = source.next(), if !source_ended => {
                    let Some(frame) = frame else {
                        source_ended = true;
                        continue;
                    };
                    self.note(&frame);
                    newest = Some(frame);
                    published = false;
                    silent_at = Instant::now() + NO_SIGNAL_AFTER;
                }
                () = self.wanted.notified() => {}
                () = tokio::time::sleep_until(silent_at) => {
                    newest = None;
                    self.show(StreamInfo::default());
                    // Repeatedly: browsers show a part when the next one
                    // starts, and the write detects a client that has vanished.
                    published = false;
                    silent_at = Instant::now() + PLACEHOLDER_EVERY;
                }
            }
            if self.viewers() == 0 {
                // A new viewer must not start with a picture from an hour ago.
                self.publisher.clear();
                published = false;
            } else if !published {
                published = self.publish(newest.clone(), source.taken()).await;
            }
        }
    }

    /// Returns whether there was something to publish.
    async fn publish(&self, newest: Option<Picture>, position: u64) -> bool {
        let picture = match newest {
            Some(frame) => self.compress(frame, position).await,
            None if self.showing().signal == Signal::None => Some(placeholder(position)),
            None => None,
        };
        let Some(picture) = picture else {
            return false;
        };
        self.publisher.publish(picture);
        true
    }

    async fn compress(&self, frame: Picture, position: u64) -> Option<ShownPicture> {
        let jpeg = encode::to_jpeg(frame, self.jpeg_quality)
            .await
            .inspect_err(|error| tracing::warn!(stream = self.name, %error, "cannot compress"))
            .ok()?;
        Some(ShownPicture {
            captured: jpeg.captured(),
            number: jpeg.number(),
            jpeg: jpeg.into_data(),
            signal: Signal::Live,
            position,
        })
    }

    fn note(&self, frame: &Picture) {
        if self.counts_itself {
            self.stats.observe(frame);
        }
        let (width_px, height_px) = frame.shown_size_px();
        self.show(StreamInfo {
            signal: Signal::Live,
            width_px,
            height_px,
        });
    }

    fn show(&self, showing: StreamInfo) {
        *self.showing.lock().unwrap_or_else(PoisonError::into_inner) = showing;
    }

    fn source(&self) -> MutexGuard<'_, Option<Subscriber<Picture>>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is shown while the source is silent.
fn placeholder(position: u64) -> ShownPicture {
    ShownPicture {
        jpeg: Bytes::from_static(NO_SIGNAL),
        captured: Timestamp::default(),
        number: 0,
        signal: Signal::None,
        position,
    }
}

/// After this much silence the stream is no longer live.
const NO_SIGNAL_AFTER: Duration = Duration::from_secs(2);

const PLACEHOLDER_EVERY: Duration = Duration::from_secs(1);

const NO_SIGNAL: &[u8] = include_bytes!("no_signal.jpg");
