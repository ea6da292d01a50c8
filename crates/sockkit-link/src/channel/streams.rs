//! Messages over QUIC: each in a unidirectional stream of its own; short ones
//! as frames of the connection's bidirectional stream.
//!
//! A stuck message is not worth waiting for when there is a newer one: its
//! stream is reset, and the newer message gets the whole bandwidth. So that a
//! slow link delivers some messages completely instead of the beginnings of
//! all, each reset doubles the time that the next message may take.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream::FuturesUnordered};
use quinn::{RecvStream, SendStream, VarInt};
use sockkit_codec::shard::{SplitError, StreamId};
use tokio::{
    io::AsyncReadExt,
    sync::Mutex,
    task::{AbortHandle, JoinSet},
    time::{sleep_until, timeout},
};

use super::{
    Limits, Message, RecvError, SendError, Sent,
    framed::{Duplex, FrameReceiver, FrameSender, framed},
    lag::LagLimit,
    now,
};
use crate::quic;

/// The two directions of one connection, whose bidirectional stream is
/// `control`.
pub(super) fn streams(
    control: Box<dyn Duplex>,
    handle: &quic::Handle,
    limits: &Limits,
) -> (StreamSender, StreamReceiver) {
    let connection = handle.quinn().clone();
    let (peer, local) = (connection.remote_address(), connection.local_ip());
    let short = limits
        .max_send_bytes(MAX_SHORT_BYTES)
        .max_receive_bytes(MAX_SHORT_BYTES);
    let (control_sender, control) = framed(control, peer, local, &short);
    let sender = StreamSender {
        control: control_sender,
        max_bytes: limits.max_send_bytes,
        max_lag: limits.max_lag,
        outbound: Mutex::new(Outbound::new(limits.max_lag)),
        connection: connection.clone(),
    };
    let receiver = StreamReceiver {
        control,
        control_finished: false,
        reading: FuturesUnordered::new(),
        room: Room {
            left: Arc::new(AtomicUsize::new(limits.max_buffered_bytes())),
            limit: limits.max_receive_bytes,
        },
        peer,
        local,
        connection,
    };
    (sender, receiver)
}

/// Opens a stream for each message.
#[derive(Debug)]
pub(super) struct StreamSender {
    connection: quinn::Connection,
    control: FrameSender,
    max_bytes: usize,
    max_lag: Duration,
    outbound: Mutex<Outbound>,
}

impl StreamSender {
    pub(super) fn peer(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// Returns when the message is acknowledged, or takes longer than usual.
    pub(super) async fn send(&self, parts: &[Bytes]) -> Result<Sent, SendError> {
        let length = parts.iter().map(Bytes::len).sum();
        if length > self.max_bytes {
            let (got, limit) = (length, self.max_bytes);
            return Err(SplitError::MessageTooLong { got, limit }.into());
        }
        let mut outbound = self.outbound.lock().await;
        outbound.make_place(self.places())?;
        // The peer limits the number of streams.
        let opened = timeout(self.max_lag, self.connection.open_uni()).await;
        let stream = opened.map_err(io::Error::from)?.map_err(quic::lost)?;
        outbound.begin(stream, parts, length);
        outbound.until_place(self.places()).await?;
        Ok(Sent {
            bytes: length as u64,
        })
    }

    pub(super) async fn reply(
        &self,
        message: impl FnOnce() -> Vec<u8> + Send,
    ) -> Result<(), SendError> {
        self.control.reply(message).await
    }

    /// Waits until every message is acknowledged, then ends the control stream:
    /// a peer that sees that end has all messages.
    pub(super) async fn close(&self) -> Result<(), SendError> {
        self.outbound.lock().await.all_done().await?;
        Ok(self.control.close().await?)
    }

    /// How many messages may be in flight: several on a long path, or waiting
    /// for acknowledgements would limit the rate.
    fn places(&self) -> usize {
        let round_trips = self.connection.rtt().as_micros() / ROUND_TRIP_PER_MESSAGE.as_micros();
        let places =
            u32::try_from(round_trips).map_or(MAX_UNDER_WAY, |more| more.saturating_add(1));
        places.min(MAX_UNDER_WAY) as usize
    }
}

/// The messages in flight.
#[derive(Debug)]
struct Outbound {
    tasks: JoinSet<(u64, io::Result<()>)>,
    /// Oldest first.
    under_way: VecDeque<UnderWay>,
    next: u64,
    /// How long a message may take before a newer one supersedes it.
    allowance: Duration,
    /// When the last message was acknowledged or abandoned.
    last_done: Option<Instant>,
    lag: LagLimit,
    max_lag: Duration,
}

#[derive(Debug)]
struct UnderWay {
    number: u64,
    since: Instant,
    bytes: usize,
    /// Resets the stream.
    task: AbortHandle,
}

impl Outbound {
    fn new(max_lag: Duration) -> Self {
        Self {
            tasks: JoinSet::new(),
            under_way: VecDeque::new(),
            next: 0,
            allowance: SHORTEST_ALLOWANCE,
            last_done: None,
            lag: LagLimit::new(max_lag),
            max_lag,
        }
    }

    fn begin(&mut self, stream: SendStream, parts: &[Bytes], bytes: usize) {
        let (number, parts) = (self.next, parts.to_vec());
        self.next += 1;
        let task = self
            .tasks
            .spawn(async move { (number, carry(Unfinished(Some(stream)), parts).await) });
        self.under_way.push_back(UnderWay {
            number,
            since: now(),
            bytes,
            task,
        });
    }

    /// Resets the oldest messages until there is room for one more.
    fn make_place(&mut self, places: usize) -> io::Result<()> {
        while let Some(done) = self.tasks.try_join_next() {
            self.handle_done(done)?;
        }
        while self.under_way.len() >= places
            && let Some(oldest) = self.under_way.pop_front()
        {
            oldest.task.abort();
            self.allowance = (self.allowance * 2)
                .min(self.max_lag)
                .max(SHORTEST_ALLOWANCE);
            self.handle_taken(&oldest)?;
        }
        Ok(())
    }

    /// Waits until there is room, or the oldest message has used up its time.
    async fn until_place(&mut self, places: usize) -> io::Result<()> {
        while let Some(oldest) = self.under_way.front()
            && self.under_way.len() >= places
        {
            let deadline = oldest.since + self.allowance;
            let done = tokio::select! {
                biased;
                done = self.tasks.join_next() => done,
                () = sleep_until(deadline.into()) => None,
            };
            match done {
                Some(done) => self.handle_done(done)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    async fn all_done(&mut self) -> io::Result<()> {
        while !self.under_way.is_empty()
            && let Some(done) = self.tasks.join_next().await
        {
            self.handle_done(done)?;
        }
        Ok(())
    }

    fn handle_done(&mut self, done: Joined) -> io::Result<()> {
        // A message that was reset is no longer in the list.
        let Ok((number, carried)) = done else {
            return Ok(());
        };
        carried?;
        // Messages older than a delivered one are no longer worth sending.
        while let Some(oldest) = self.under_way.front()
            && oldest.number < number
        {
            oldest.task.abort();
            self.under_way.pop_front();
        }
        if let Some(whole) = self.take(number) {
            let took = self.handle_taken(&whole)?;
            self.allowance = (took * 2).max(self.allowance / 2).max(SHORTEST_ALLOWANCE);
        }
        Ok(())
    }

    fn take(&mut self, number: u64) -> Option<UnderWay> {
        let first = self.under_way.front()?;
        (first.number == number).then(|| self.under_way.pop_front())?
    }

    /// Records how long the message had the link to itself.
    fn handle_taken(&mut self, message: &UnderWay) -> io::Result<Duration> {
        let now = now();
        let since = self
            .last_done
            .map_or(message.since, |last| last.max(message.since));
        self.last_done = Some(now);
        self.lag.handle_message(since, message.bytes);
        self.lag.handle_taken(now)?;
        Ok(now.saturating_duration_since(since))
    }
}

type Joined = Result<(u64, io::Result<()>), tokio::task::JoinError>;

/// Writes a message, and waits until the peer has acknowledged it completely.
async fn carry(mut stream: Unfinished, mut parts: Vec<Bytes>) -> io::Result<()> {
    let Some(sending) = &mut stream.0 else {
        return Ok(());
    };
    match sending.write_all_chunks(&mut parts).await {
        Ok(()) => {}
        // The peer rejects this message.
        Err(quinn::WriteError::Stopped(_)) => return Ok(()),
        Err(quinn::WriteError::ConnectionLost(error)) => return Err(quic::lost(error)),
        Err(error) => return Err(error.into()),
    }
    // Fails if the peer has stopped it in the meantime.
    let _ = sending.finish();
    match sending.stopped().await {
        Ok(_) => {
            stream.0 = None;
            Ok(())
        }
        Err(quinn::StoppedError::ConnectionLost(error)) => Err(quic::lost(error)),
        Err(error) => Err(error.into()),
    }
}

/// A stream that is reset when dropped: quinn itself would finish it, as if the
/// written part were the whole message.
struct Unfinished(Option<SendStream>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.0 {
            // Fails if it has ended.
            let _ = stream.reset(SUPERSEDED);
        }
    }
}

/// Reads every stream that the peer opens.
#[derive(Debug)]
pub(super) struct StreamReceiver {
    connection: quinn::Connection,
    control: FrameReceiver,
    control_finished: bool,
    reading: FuturesUnordered<Reading>,
    room: Room,
    peer: SocketAddr,
    local: Option<IpAddr>,
}

type Reading = Pin<Box<dyn Future<Output = (u64, Result<Bytes, Fault>)> + Send + Sync>>;

/// Why a stream did not deliver a message.
enum Fault {
    /// A newer message superseded it.
    Reset,
    TooLong,
    /// The connection is lost; the control stream returns the reason.
    Lost,
}

impl StreamReceiver {
    pub(super) async fn recv(&mut self) -> Result<Message, RecvError> {
        loop {
            tokio::select! {
                biased;
                Some((number, read)) = self.reading.next() => match read {
                    Ok(bytes) => return Ok(self.message(bytes, number)),
                    Err(Fault::TooLong) => return Err(RecvError::TooLong {
                        from: self.peer,
                        limit: self.room.limit,
                    }),
                    Err(Fault::Reset | Fault::Lost) => {}
                },
                accepted = self.connection.accept_uni(), if self.reading.len() < MAX_UNDER_WAY as usize => {
                    match accepted {
                        Ok(stream) => self.reading.push(Box::pin(read(stream, self.room.clone()))),
                        Err(error) => return Err(RecvError::Failed(quic::lost(error))),
                    }
                }
                // The control stream ends after all messages, some of which may
                // still be in progress.
                received = self.control.recv(), if !self.control_finished => match received {
                    Err(RecvError::Finished) if !self.reading.is_empty() => {
                        self.control_finished = true;
                    }
                    received => return received,
                },
            }
            if self.control_finished && self.reading.is_empty() {
                return Err(RecvError::Finished);
            }
        }
    }

    fn message(&self, bytes: Bytes, number: u64) -> Message {
        Message {
            bytes,
            from: self.peer,
            to: self.local,
            kind: None,
            // A connection carries one sequence of messages.
            place: Some((StreamId(0), number)),
        }
    }
}

/// Reads a stream to its end. Memory grows with the bytes received.
async fn read(mut stream: RecvStream, room: Room) -> (u64, Result<Bytes, Fault>) {
    let number = stream.id().index();
    let mut held = Held { room, bytes: 0 };
    let mut bytes = BytesMut::new();
    let read = loop {
        if bytes.len() == bytes.capacity() {
            // One byte over the limit shows that it is exceeded.
            let enough = held.room.limit.saturating_add(1);
            let most = enough.saturating_sub(bytes.len());
            let more = bytes.len().max(FIRST_BYTES).min(most);
            if more == 0 || !held.take(more) {
                break Err(Fault::TooLong);
            }
            bytes.reserve(more);
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                break Err(Fault::Reset);
            }
            Err(_) => break Err(Fault::Lost),
        }
    };
    let read = read.and_then(|()| match bytes.len() <= held.room.limit {
        true => Ok(bytes.freeze()),
        false => Err(Fault::TooLong),
    });
    if matches!(read, Err(Fault::TooLong)) {
        let _ = stream.stop(SUPERSEDED);
    }
    (number, read)
}

/// Memory limits of incomplete messages, in total and for each.
#[derive(Clone, Debug)]
struct Room {
    left: Arc<AtomicUsize>,
    limit: usize,
}

/// The memory that one message uses.
struct Held {
    room: Room,
    bytes: usize,
}

impl Held {
    fn take(&mut self, bytes: usize) -> bool {
        let left = &self.room.left;
        let taken = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        self.bytes += if taken.is_ok() { bytes } else { 0 };
        taken.is_ok()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.left.fetch_add(self.bytes, Relaxed);
    }
}

/// Maximum number of messages in flight on one connection.
pub(super) const MAX_UNDER_WAY: u32 = 8;

/// Allows one more message in flight per this much round-trip time.
const ROUND_TRIP_PER_MESSAGE: Duration = Duration::from_millis(20);

/// No message is abandoned sooner: three retransmissions on a LAN.
const SHORTEST_ALLOWANCE: Duration = Duration::from_millis(100);

/// Error code of a stream that was superseded by a newer message.
const SUPERSEDED: VarInt = VarInt::from_u32(2);

/// Maximum length of a frame on the control stream.
const MAX_SHORT_BYTES: usize = 1_024;

/// Initial buffer for a message.
const FIRST_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use sockkit_codec::shard::{MessageKind, Parity};

    use super::*;
    use crate::{Acceptor, Node, channel::Channel};

    const WITHIN: Duration = Duration::from_secs(60);

    /// The sender and the viewer of one connection; the last is its acceptor.
    async fn pair(viewer: Limits) -> (Channel, Channel, Acceptor) {
        let node = Node::default().messages(b"test/1", Duration::from_secs(10));
        let at = "quic://127.0.0.1:0".parse().unwrap();
        let mut acceptor = node.listen(&at).await.unwrap();
        let dialled = node.dial(&acceptor.address()).await.unwrap();
        let viewer = Channel::connection(dialled, &viewer);
        // The listener learns of a connection with its first bytes.
        let to = viewer.peer().unwrap();
        viewer
            .reply(to, MessageKind(2), || b"hi".to_vec())
            .await
            .unwrap();
        let accepted = timeout(WITHIN, acceptor.accept()).await.unwrap().unwrap();
        let mut sender = Channel::connection(accepted, &Limits::default());
        assert_eq!(recv(&mut sender).await.unwrap().bytes, "hi");
        (sender, viewer, acceptor)
    }

    async fn send(sender: &Channel, bytes: usize) -> Result<Sent, SendError> {
        let parts = [Bytes::from(vec![7; bytes])];
        let sent = sender.send(MessageKind(1), &parts, Parity::NONE);
        timeout(WITHIN, sent).await.unwrap()
    }

    async fn recv(channel: &mut Channel) -> Result<Message, RecvError> {
        timeout(WITHIN, channel.recv()).await.unwrap()
    }

    #[tokio::test]
    async fn each_message_has_its_place_and_the_end_comes_after_the_last() {
        let (sender, mut viewer, _acceptor) = pair(Limits::default()).await;
        for bytes in [0, 1, 300_000] {
            send(&sender, bytes).await.unwrap();
        }
        let closing = async {
            timeout(WITHIN, sender.close()).await.unwrap().unwrap();
        };
        let receiving = async {
            for (number, bytes) in (0..).zip([0, 1, 300_000]) {
                let message = recv(&mut viewer).await.unwrap();
                assert_eq!(message.place, Some((StreamId(0), number)));
                assert!(message.bytes == vec![7; bytes], "{number}");
            }
            assert!(matches!(recv(&mut viewer).await, Err(RecvError::Finished)));
        };
        tokio::join!(closing, receiving);
    }

    #[tokio::test]
    async fn a_newer_message_takes_the_place_of_one_that_is_stuck() {
        let (sender, mut viewer, _acceptor) = pair(Limits::default()).await;
        // More than the window of a viewer that does not read.
        for _ in 0..3 {
            send(&sender, 8 << 20).await.unwrap();
        }
        let mut received = recv(&mut viewer).await.unwrap();
        // The sender's task may begin with the last one only now.
        if received.place == Some((StreamId(0), 1)) {
            received = recv(&mut viewer).await.unwrap();
        }
        assert_eq!(received.place, Some((StreamId(0), 2)));
        assert_eq!(received.bytes.len(), 8 << 20);
    }

    #[tokio::test]
    async fn what_a_sender_has_not_sent_whole_is_no_message() {
        let (sender, mut viewer, _acceptor) = pair(Limits::default()).await;
        send(&sender, 8 << 20).await.unwrap();
        drop(sender);
        let received = recv(&mut viewer).await;
        assert!(received.unwrap_err().end().is_some());
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_stopped_and_the_next_one_taken() {
        let (sender, mut viewer, _acceptor) =
            pair(Limits::default().max_receive_bytes(1_000)).await;
        for (bytes, fits) in [(1_001, false), (8 << 20, false), (1_000, true)] {
            let (sent, received) = tokio::join!(send(&sender, bytes), recv(&mut viewer));
            sent.unwrap();
            match received {
                Ok(message) => assert!(fits && message.bytes.len() == bytes, "{bytes}"),
                Err(error) => {
                    assert!(!fits && error.end().is_none(), "{bytes}: {error}");
                    assert!(error.is_peers_fault());
                }
            }
        }
    }

    /// However many streams a peer begins and does not end.
    #[tokio::test]
    async fn unfinished_messages_share_a_bounded_room() {
        let (sender, mut viewer, _acceptor) =
            pair(Limits::default().max_receive_bytes(100_000)).await;
        let super::super::Sending::Quic(quic) = &sender.sender.0 else {
            panic!("it is QUIC's")
        };
        let mut streams = Vec::new();
        for _ in 0..MAX_UNDER_WAY {
            let mut stream = quic.connection.open_uni().await.unwrap();
            stream.write_all(&[7; 1_000]).await.unwrap();
            streams.push(stream);
        }
        // 64 KiB for each, of 200,000 bytes in all.
        for _ in 3..MAX_UNDER_WAY {
            let refused = recv(&mut viewer).await.unwrap_err();
            assert!(matches!(refused, RecvError::TooLong { .. }), "{refused}");
        }
        for mut stream in streams.drain(..3) {
            stream.finish().unwrap();
        }
        for _ in 0..3 {
            assert_eq!(recv(&mut viewer).await.unwrap().bytes.len(), 1_000);
        }
    }
}
