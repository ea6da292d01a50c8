//! Datagrams to pictures.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use sockkit_codec::shard::{SplitConfig, Splitter, StreamId};
use sockkit_core::{interfaces::InterfaceSelector, options::SocketOptions, udp::ReceiveBatch};
use tokio::{
    task::JoinHandle,
    time::{sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    StatsHandle, StreamError,
    control::Control,
    endpoint::{Endpoint, random, random_stream},
    inlet::{Inlet, Moment, now},
    intake::{Filter, Incoming, Intake},
    sender::send_control,
};
use crate::{latest::Subscriber, picture::Picture};

/// Receives pictures from datagrams until it is dropped.
///
/// It shows one sender at a time, which [`Stats::sender`](super::Stats::sender)
/// names. When that one is silent for half a second, the next sender on its host
/// is shown, such as one that was restarted; a sender on another host when it is
/// silent for five seconds, or for as long as it was shown, if that is less.
///
/// Nothing proves who sends: see [`ReceiverConfig::only_from`].
///
/// See [`Sender`](super::Sender) for an example.
#[derive(Debug)]
#[must_use = "a receiver that is dropped receives nothing"]
pub struct Receiver {
    local_addr: SocketAddr,
    pictures: Subscriber<Picture>,
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
        let filter = Filter {
            group: Some(config.address.ip()).filter(IpAddr::is_multicast),
            host: config.only_from,
        };
        let intake = Intake::new(filter, inlet);
        let run = Reception::new(endpoint, intake, random_stream()?).run();
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
    pub fn pictures(&self) -> Subscriber<Picture> {
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
    only_from: Option<IpAddr>,
    receive_buffer_bytes: usize,
}

impl ReceiverConfig {
    /// Receives at this machine's address, or what is sent to a group and to
    /// nothing else.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            interface: None,
            only_from: None,
            receive_buffer_bytes: 4 << 20,
        }
    }

    /// The interface by which to join a group. Default: the routing table's.
    pub fn interface(mut self, interface: InterfaceSelector) -> Self {
        self.interface = Some(interface);
        self
    }

    /// The host whose pictures are taken. Default: any.
    ///
    /// Keeps out other hosts, but not one that forges this host's address:
    /// datagrams are not authenticated.
    pub fn only_from(mut self, host: IpAddr) -> Self {
        self.only_from = Some(host);
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
    intake: Intake,
    splitter: Splitter,
}

impl Reception {
    fn new(endpoint: Endpoint, intake: Intake, stream: StreamId) -> Self {
        Self {
            endpoint,
            intake,
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
                () = sleep_until(self.next_request().into()) => match random() {
                    Ok(nonce) => {
                        let request = self.intake.poll_request(Moment::now(), nonce);
                        self.tell(request).await;
                    }
                    // Without a number that cannot be guessed, pictures have no age.
                    Err(_) => sleep(RECEIVE_AGAIN_AFTER).await,
                },
                () = sleep_until(report_at.into()) => {
                    report_at = now() + REPORT_EVERY;
                    self.intake.expire(now());
                    self.tell(self.intake.report(now())).await;
                }
            }
        }
    }

    fn take_batch(&mut self, batch: &ReceiveBatch) {
        for datagram in batch.iter() {
            let incoming = Incoming {
                bytes: datagram.bytes,
                from: datagram.from,
                to: datagram.to,
            };
            // One moment for the whole batch would make the last look too young.
            self.intake.handle_datagram(Moment::now(), &incoming);
        }
    }

    fn next_request(&self) -> Instant {
        self.intake.next_request().unwrap_or_else(|| now() + FAR)
    }

    async fn tell(&mut self, words: Option<(SocketAddr, Control)>) {
        let Some((to, control)) = words else { return };
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
