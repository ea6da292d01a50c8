//! Datagrams to pictures.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sockkit_codec::shard::{
    Message, Older, Reassembler, ReassemblyConfig, SplitConfig, Splitter, StreamId,
};
use sockkit_core::{
    interfaces::InterfaceSelector,
    options::SocketOptions,
    udp::{Datagram, ReceiveBatch},
};
use tokio::{
    task::JoinHandle,
    time::{sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Report, StatsHandle, StreamError,
    clock::{Clock, Offset},
    control::Control,
    endpoint::{Endpoint, random, random_stream},
    follow::{Admission, Follower, SenderIs},
    inlet::{Inlet, now, wall},
    sender::{CONTROL, MAX_PICTURE_BYTES, PICTURE, send_control},
    stats::Event,
};
use crate::{latest::Subscriber, picture::VideoFrame};

/// Receives pictures from datagrams until it is dropped.
///
/// It shows one sender at a time. When that one is silent for half a second,
/// whoever sends next is shown: a sender that was started anew, or another.
///
/// See [`Sender`](super::Sender) for an example.
#[derive(Debug)]
#[must_use = "a receiver that is dropped receives nothing"]
pub struct Receiver {
    local_addr: SocketAddr,
    pictures: Subscriber<VideoFrame>,
    stats: StatsHandle,
    task: JoinHandle<()>,
    stop: DropGuard,
}

impl Receiver {
    /// Binds the address, or joins the group, and begins to receive.
    ///
    /// # Errors
    /// [`StreamError`] if the address is taken or not this machine's, or the
    /// group cannot be joined.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(config: ReceiverConfig) -> Result<Self, StreamError> {
        let options = SocketOptions::new().receive_buffer_bytes(config.receive_buffer_bytes);
        let endpoint = Endpoint::receiving(config.address, config.interface.as_ref(), &options)?;
        let local_addr = endpoint.udp().local_addr()?;
        let (inlet, pictures, stats) = Inlet::new();
        let stop = CancellationToken::new();
        let run = Reception::new(endpoint, inlet, random_stream()?).run();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { stop.run_until_cancelled(run).await.unwrap_or(()) }
        });
        Ok(Self {
            local_addr,
            pictures,
            stats,
            task,
            stop: stop.drop_guard(),
        })
    }

    /// The address bound, with the port the system chose if it was 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A place in the sequence of pictures; take as many as needed.
    ///
    /// It begins with the newest picture and ends when the receiver does.
    pub fn pictures(&self) -> Subscriber<VideoFrame> {
        self.pictures.clone()
    }

    /// The figures, which go on being kept after the handle was taken.
    pub fn stats(&self) -> StatsHandle {
        self.stats.clone()
    }

    /// Stops and frees the port.
    ///
    /// # Cancel safety
    /// Cancel safe: the receiver stops either way.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic in the task was reported by the runtime already.
        let _ = self.task.await;
    }
}

/// Where to receive.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a receiver is bound with it"]
pub struct ReceiverConfig {
    address: SocketAddr,
    interface: Option<InterfaceSelector>,
    receive_buffer_bytes: usize,
}

impl ReceiverConfig {
    /// Receives at this machine's address, or what is sent to a group.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            interface: None,
            receive_buffer_bytes: 4 << 20,
        }
    }

    /// The interface by which to join a group. Default: the routing table's.
    pub fn interface(mut self, interface: InterfaceSelector) -> Self {
        self.interface = Some(interface);
        self
    }

    /// Room for datagrams while this program does something else. Default:
    /// 4 MiB; Linux gives `net.core.rmem_max` at the most.
    pub fn receive_buffer_bytes(mut self, bytes: usize) -> Self {
        self.receive_buffer_bytes = bytes;
        self
    }
}

/// The task's state.
struct Reception {
    endpoint: Endpoint,
    reassembler: Reassembler,
    follower: Follower,
    inlet: Inlet,
    peer: Option<Peer>,
    splitter: Splitter,
}

/// The sender that is shown, and its clock.
struct Peer {
    address: SocketAddr,
    /// On this very machine, so that there is one clock.
    is_here: bool,
    clock: Clock,
}

impl Reception {
    fn new(endpoint: Endpoint, inlet: Inlet, stream: StreamId) -> Self {
        let reassembly = ReassemblyConfig::default()
            .max_message_bytes(MAX_PICTURE_BYTES)
            .max_buffered_bytes(MAX_BUFFERED_BYTES)
            .older(Older::GiveUp);
        Self {
            endpoint,
            reassembler: Reassembler::new(reassembly),
            follower: Follower::default(),
            inlet,
            peer: None,
            splitter: Splitter::new(SplitConfig::default(), stream),
        }
    }

    async fn run(mut self) {
        let mut batch = ReceiveBatch::new();
        let mut report_at = now() + REPORT_EVERY;
        loop {
            tokio::select! {
                received = self.endpoint.udp().recv_batch(&mut batch) => match received {
                    Ok(()) => self.take_batch(&batch),
                    Err(error) => {
                        tracing::warn!(%error, "cannot receive");
                        sleep(RECEIVE_AGAIN_AFTER).await;
                    }
                },
                () = sleep_until(self.next_request().into()) => self.ask_for_clock().await,
                () = sleep_until(report_at.into()) => {
                    report_at = now() + REPORT_EVERY;
                    self.reassembler.expire(now());
                    self.report().await;
                }
            }
        }
    }

    fn take_batch(&mut self, batch: &ReceiveBatch) {
        let now = now();
        for datagram in batch.iter() {
            let taken = self
                .reassembler
                .handle_datagram(now, datagram.from, datagram.bytes);
            match taken {
                Ok(Some(message)) => self.take_message(now, &datagram, message),
                Ok(None) => {}
                Err(error) => {
                    self.inlet.count(Event::Refused);
                    tracing::debug!(from = %datagram.from, %error, "no shard");
                }
            }
        }
    }

    fn take_message(&mut self, now: Instant, last: &Datagram<'_>, message: Message) {
        match message.kind {
            PICTURE => self.take_picture(now, last, message),
            CONTROL => self.take_reply(now, &message),
            _ => self.inlet.count(Event::Refused),
        }
    }

    fn take_picture(&mut self, now: Instant, last: &Datagram<'_>, message: Message) {
        let (from, stream, number) = (message.from, message.stream, message.number);
        let frame = match VideoFrame::from_message(message.bytes) {
            Ok(frame) => frame,
            Err(error) => {
                self.inlet.count(Event::Refused);
                tracing::debug!(%from, %error, "no picture");
                return;
            }
        };
        match self.follower.admit(now, from, stream, number) {
            Admission::Next { lost, sender } => {
                if sender != SenderIs::Same {
                    self.meet(now, last, sender);
                }
                let clock = self.clock_offset(now);
                self.inlet.on_picture(frame, lost, clock);
            }
            Admission::Late => self.inlet.count(Event::Late),
            Admission::Foreign => {}
        }
    }

    fn meet(&mut self, now: Instant, last: &Datagram<'_>, sender: SenderIs) {
        tracing::info!(from = %last.from, ?sender, "pictures come");
        if sender == SenderIs::New {
            self.inlet.count(Event::Restart);
        }
        self.inlet.on_new_sender();
        let ip = last.from.ip();
        self.peer = Some(Peer {
            address: last.from,
            // Sent to the address it came from: both are this machine's.
            is_here: ip.is_loopback() || last.to == Some(ip),
            clock: Clock::new(now),
        });
    }

    fn take_reply(&mut self, now: Instant, message: &Message) {
        if let Some(peer) = &mut self.peer
            && peer.address == message.from
            && let Some(Control::ClockReply {
                nonce,
                received,
                sent,
            }) = Control::parse(&message.bytes)
        {
            peer.clock
                .handle_reply(now, wall(), nonce, (received, sent));
        }
    }

    fn clock_offset(&self, now: Instant) -> Option<Offset> {
        let peer = self.peer.as_ref()?;
        if peer.is_here {
            return Some(Offset::default());
        }
        peer.clock.offset(now)
    }

    fn next_request(&self) -> Instant {
        match &self.peer {
            Some(peer) if !peer.is_here => peer.clock.deadline(),
            _ => now() + FAR,
        }
    }

    async fn ask_for_clock(&mut self) {
        let Some(peer) = &mut self.peer else { return };
        // Without a number that cannot be guessed, pictures have no age.
        let Ok(number) = random() else { return };
        let Some(request) = peer.clock.poll(now(), wall(), number) else {
            return;
        };
        let to = peer.address;
        self.tell(to, request).await;
    }

    async fn report(&mut self) {
        let Some(to) = self.follower.sender() else {
            return;
        };
        let report = Report::of(&self.inlet.stats().snapshot());
        self.tell(to, Control::Report(report)).await;
    }

    async fn tell(&mut self, to: SocketAddr, control: Control) {
        let sent = send_control(&self.endpoint, &mut self.splitter, to, control).await;
        if let Err(error) = sent {
            tracing::debug!(%to, %error, "cannot tell the sender");
        }
    }
}

const REPORT_EVERY: Duration = Duration::from_secs(1);

const RECEIVE_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Longer than anything waits here.
const FAR: Duration = Duration::from_secs(3_600);

/// Two of the longest pictures.
const MAX_BUFFERED_BYTES: usize = 2 * MAX_PICTURE_BYTES;
