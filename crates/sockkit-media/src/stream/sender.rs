//! Pictures to datagrams.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sockkit_codec::shard::{
    Kind, Parity, Reassembler, ReassemblyConfig, SplitConfig, SplitError, Splitter, StreamId,
};
use sockkit_core::{
    interfaces::InterfaceSelector,
    options::SocketOptions,
    udp::{ReceiveBatch, Transmit, UdpError, unspecified},
};
use tokio::{task::JoinHandle, time::sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Report, StreamError,
    answer::Answerer,
    control::{self, Control},
    endpoint::{Endpoint, random_stream},
    inlet::{now, wall},
    pace::{GIGABIT, Pacer},
};
use crate::{
    encode::{Compression, Encoder},
    latest::Subscriber,
    picture::{MessageError, Picture, PictureError, PictureHeader},
};

/// Sends the newest picture to one address or many, until it is dropped.
///
/// Raw pictures are compressed as JPEG, unless the config says otherwise; JPEG
/// pictures are sent as they are. Each picture becomes datagrams that no router
/// cuts, with as much parity as was chosen. While one picture is on its way the newest of those that come
/// waits, and the others are left out.
///
/// ```
/// use sockkit_media::{
///     latest, picture::{Encoding, Picture, PixelFormat},
///     stream::{Receiver, ReceiverConfig, Sender, SenderConfig},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let receiver = Receiver::bind(ReceiverConfig::at("127.0.0.1:0".parse()?))?;
/// let (camera, pictures) = latest::channel();
/// let sender = Sender::bind(SenderConfig::to(receiver.local_addr()), pictures)?;
///
/// camera.publish(Picture::new(PixelFormat::Gray, 8, 8, vec![9; 64])?.numbered(7));
/// let arrived = receiver.pictures().next().await.expect("the receiver runs");
/// assert_eq!((arrived.number(), arrived.encoding()), (7, Encoding::Jpeg));
///
/// // The last picture goes out before the sender has finished.
/// drop(camera);
/// sender.finished().await;
/// assert_eq!(sender.stats().sent, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a sender that is dropped sends nothing"]
pub struct Sender {
    local_addr: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
    finished: CancellationToken,
    stop: DropGuard,
}

impl Sender {
    /// Binds, and begins to send what `pictures` brings.
    ///
    /// The stream has a random id, so that receivers tell this start from
    /// earlier ones. It ends when the publisher of `pictures` is gone and the
    /// last picture is sent, which [`finished`](Self::finished) waits for.
    ///
    /// # Errors
    /// [`StreamError`] if the destinations do not fit together, or the socket
    /// cannot be had.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(config: SenderConfig, pictures: Subscriber<Picture>) -> Result<Self, StreamError> {
        let bind = config.checked_bind()?;
        let endpoint = Endpoint::sending(
            bind,
            &config.destinations,
            config.interface.as_ref(),
            &config.options(),
        )?;
        let local_addr = endpoint.udp().local_addr()?;
        let shared = Arc::new(Mutex::new(Shared {
            stats: SenderStats::default(),
            answerer: Answerer::new(now(), config.destinations.clone()),
        }));
        let (stop, finished) = (CancellationToken::new(), CancellationToken::new());
        let streams = [random_stream()?, random_stream()?];
        let run = run(endpoint, config, pictures, Arc::clone(&shared), streams);
        let task = tokio::spawn({
            let (stop, finished) = (stop.clone(), finished.clone().drop_guard());
            async move {
                stop.run_until_cancelled(run).await.unwrap_or(());
                drop(finished);
            }
        });
        Ok(Self {
            local_addr,
            shared,
            task,
            finished,
            stop: stop.drop_guard(),
        })
    }

    /// The address bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What was sent so far.
    pub fn stats(&self) -> SenderStats {
        lock(&self.shared).stats.clone()
    }

    /// What receivers last reported; those that are silent for five seconds
    /// are left out.
    ///
    /// Reports prove nothing: anyone can send one. Those of the destinations
    /// always have a place; of all other receivers 256 have, and of one host,
    /// a quarter of that.
    pub fn reports(&self) -> Vec<(SocketAddr, Report)> {
        lock(&self.shared).answerer.reports(now())
    }

    /// Waits until the publisher is gone and the last picture has been handed
    /// to the network; or could not be, which [`stats`](Self::stats) tell.
    ///
    /// While the publisher lives this waits for ever.
    ///
    /// # Cancel safety
    /// Cancel safe: it only waits.
    pub async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Stops, perhaps in the middle of a picture, and frees the port. To send
    /// the last picture first, drop the publisher and wait until it has
    /// [`finished`](Self::finished).
    ///
    /// # Cancel safety
    /// Cancel safe: the sender stops either way.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic in the task was reported by the runtime already.
        let _ = self.task.await;
    }
}

/// Whom to send to, and how.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a sender is bound with it"]
pub struct SenderConfig {
    destinations: Vec<SocketAddr>,
    bind: Option<SocketAddr>,
    interface: Option<InterfaceSelector>,
    multicast_hops: u8,
    parity: Parity,
    max_datagram_bytes: usize,
    max_bytes_per_second: u64,
    compression: Compression,
}

impl SenderConfig {
    /// Sends to a machine's address, or to a group.
    pub fn to(destination: SocketAddr) -> Self {
        Self {
            destinations: vec![destination],
            bind: None,
            interface: None,
            multicast_hops: 1,
            parity: Parity::NONE,
            max_datagram_bytes: 1_400,
            max_bytes_per_second: GIGABIT,
            compression: Compression::default(),
        }
    }

    /// Sends to this one as well. All have one IP version.
    pub fn also_to(mut self, destination: SocketAddr) -> Self {
        self.destinations.push(destination);
        self
    }

    /// The address to send from. Default: any address, any port.
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.bind = Some(address);
        self
    }

    /// The interface by which to send to groups. Default: the routing table's.
    pub fn interface(mut self, interface: InterfaceSelector) -> Self {
        self.interface = Some(interface);
        self
    }

    /// Routers that a picture to a group may cross, plus one. Default: 1, the
    /// local network alone.
    pub fn multicast_hops(mut self, hops: u8) -> Self {
        self.multicast_hops = hops;
        self
    }

    /// How much parity each picture carries. Default: none.
    ///
    /// 25 % bring nearly every picture through a loss of 5 %, at the price of
    /// as much more traffic.
    pub fn parity(mut self, parity: Parity) -> Self {
        self.parity = parity;
        self
    }

    /// The longest datagram, in bytes. Default: 1,400, which Ethernet carries
    /// in one piece.
    ///
    /// Longer ones cost less where the path takes them, as loopback does.
    pub fn max_datagram_bytes(mut self, bytes: usize) -> Self {
        self.max_datagram_bytes = bytes;
        self
    }

    /// How fast a picture goes out beyond its first 128 KiB. Default: 125 MB
    /// a second, as fast as gigabit Ethernet.
    ///
    /// All destinations share it. Slower is easier on receivers and switches
    /// with small buffers, and makes large pictures older.
    pub fn max_bytes_per_second(mut self, bytes: u64) -> Self {
        self.max_bytes_per_second = bytes;
        self
    }

    /// How well raw pictures are compressed, 1 to 100. Default: 80.
    ///
    /// JPEG pictures are sent untouched.
    pub fn jpeg_quality(mut self, quality: u8) -> Self {
        self.compression = Compression::Jpeg { quality };
        self
    }

    /// Sends raw pictures as they are. Default: as JPEG.
    ///
    /// It saves the time to compress and loses nothing, at the price of about
    /// ten times the traffic.
    pub fn raw(mut self) -> Self {
        self.compression = Compression::None;
        self
    }

    fn checked_bind(&self) -> Result<SocketAddr, StreamError> {
        let first = *self
            .destinations
            .first()
            .ok_or(StreamError::NoDestination)?;
        let other = |to: &&SocketAddr| to.is_ipv4() != first.is_ipv4();
        if let Some(&other) = self.destinations.iter().find(other) {
            return Err(StreamError::MixedVersions { first, other });
        }
        Ok(self.bind.unwrap_or_else(|| unspecified(first)))
    }

    fn options(&self) -> SocketOptions {
        SocketOptions::new()
            .send_buffer_bytes(SEND_BUFFER_BYTES)
            .multicast_hops(self.multicast_hops)
    }
}

/// What a sender has done so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SenderStats {
    /// Pictures sent.
    pub sent: u64,
    /// Pictures that a newer one replaced before their turn came.
    pub skipped: u64,
    /// Pictures that could not be sent, or not to all: too long, refused by the
    /// system, not compressible, or of an encoding that no message carries.
    pub failed: u64,
    /// Bytes sent, parity and headers included, to all destinations together.
    pub bytes: u64,
}

#[derive(Debug)]
struct Shared {
    stats: SenderStats,
    answerer: Answerer,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Counters hold no invariant that a panic could break.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends pictures and answers receivers, side by side.
async fn run(
    endpoint: Endpoint,
    config: SenderConfig,
    pictures: Subscriber<Picture>,
    shared: Arc<Mutex<Shared>>,
    [of_pictures, of_answers]: [StreamId; 2],
) {
    tokio::select! {
        () = send_pictures(&endpoint, &config, pictures, &shared, of_pictures) => {}
        () = answer(&endpoint, &shared, of_answers) => {}
    }
}

async fn send_pictures(
    endpoint: &Endpoint,
    config: &SenderConfig,
    pictures: Subscriber<Picture>,
    shared: &Mutex<Shared>,
    stream: StreamId,
) {
    let mut pictures = Encoder::new(pictures, config.compression);
    let split = SplitConfig::default()
        .max_datagram_bytes(config.max_datagram_bytes)
        .max_message_bytes(MAX_PICTURE_BYTES);
    let mut splitter = Splitter::new(split, stream);
    let mut pacer = Pacer::new(config.max_bytes_per_second, now());
    while let Some(encoded) = pictures.next().await {
        let number = encoded.as_ref().ok().map(Picture::number);
        let sent = match encoded {
            Ok(frame) => send_one(endpoint, config, &mut splitter, &mut pacer, &frame).await,
            Err(error) => Err(error.into()),
        };
        let stats = &mut lock(shared).stats;
        stats.skipped = pictures.missed();
        match sent {
            Ok(bytes) => {
                stats.sent += 1;
                stats.bytes += bytes;
            }
            Err(error) => {
                stats.failed += 1;
                let error = &error as &dyn Error;
                match stats.failed {
                    1 => tracing::warn!(number, error, "picture not sent"),
                    _ => tracing::debug!(number, error, "picture not sent"),
                }
            }
        }
    }
}

/// Sends one picture to all; says how many bytes that took.
async fn send_one(
    endpoint: &Endpoint,
    config: &SenderConfig,
    splitter: &mut Splitter,
    pacer: &mut Pacer,
    frame: &Picture,
) -> Result<u64, NotSent> {
    let header = PictureHeader::of(frame).emit()?;
    let frame = frame.packed();
    let shards = splitter.split_parts(PICTURE, &[&header, frame.data()], config.parity)?;
    let segment_bytes = shards.segment_bytes();
    let run_bytes = (RUN_BYTES / segment_bytes).max(1) * segment_bytes;
    let mut refused = None;
    for run in shards.as_bytes().chunks(run_bytes) {
        for &to in &config.destinations {
            let sent = endpoint.udp().send_segments(Some(to), run, segment_bytes);
            // One destination that cannot be reached costs the others nothing.
            if let Err(error) = sent.await {
                refused = Some(error);
            }
            if let Some(until) = pacer.on_sent(now(), run.len()) {
                sleep_until(until.into()).await;
            }
        }
    }
    match refused {
        Some(error) => Err(error.into()),
        None => Ok((shards.as_bytes().len() * config.destinations.len()) as u64),
    }
}

/// Why a picture was not sent, or not to all.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    #[error(transparent)]
    Compress(#[from] PictureError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Split(#[from] SplitError),
    #[error(transparent)]
    Udp(#[from] UdpError),
}

/// Answers clock requests and takes reports in. Nobody subscribes this way:
/// whoever asks gets one short reply, and never a picture.
async fn answer(endpoint: &Endpoint, shared: &Mutex<Shared>, stream: StreamId) {
    let mut batch = ReceiveBatch::with_slots(4);
    let small = ReassemblyConfig::default()
        .max_message_bytes(control::REPORT_BYTES)
        .max_buffered_bytes(CONTROL_BUFFER_BYTES);
    let mut reassembler = Reassembler::new(small);
    let mut splitter = Splitter::new(SplitConfig::default(), stream);
    loop {
        if let Err(error) = endpoint.udp().recv_batch(&mut batch).await {
            tracing::debug!(%error, "cannot hear receivers");
            tokio::time::sleep(LISTEN_AGAIN_AFTER).await;
            continue;
        }
        for datagram in batch.iter() {
            let taken = reassembler.handle_datagram(now(), datagram.from, datagram.bytes);
            let Ok(Some(message)) = taken else { continue };
            let reply =
                lock(shared)
                    .answerer
                    .handle_message(now(), wall(), message.from, &message.bytes);
            if let Some(reply) = reply
                && let Err(error) = send_control(endpoint, &mut splitter, message.from, reply).await
            {
                tracing::debug!(%error, to = %message.from, "cannot reply");
            }
        }
    }
}

/// Sends one short message as one datagram.
pub(super) async fn send_control(
    endpoint: &Endpoint,
    splitter: &mut Splitter,
    to: SocketAddr,
    control: Control,
) -> Result<(), UdpError> {
    let message = control.emit();
    let shards = splitter
        .split(CONTROL, &message, Parity::NONE)
        .expect("one datagram holds it");
    endpoint
        .udp()
        .send(Transmit::new(to, shards.as_bytes()))
        .await
}

/// The kind of message that holds a picture.
pub(super) const PICTURE: Kind = Kind(1);

/// The kind of message that holds a [`Control`].
pub(super) const CONTROL: Kind = Kind(2);

/// The longest picture message either side takes: 8K in raw RGB is longer,
/// and shall be compressed.
pub(super) const MAX_PICTURE_BYTES: usize = 64 << 20;

/// What goes to one destination before the next one's turn: one pass through
/// the network stack.
const RUN_BYTES: usize = 64 << 10;

/// Room for a run to each of a few destinations.
const SEND_BUFFER_BYTES: usize = 1 << 20;

const CONTROL_BUFFER_BYTES: usize = 64 << 10;

const LISTEN_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_millis(100);
