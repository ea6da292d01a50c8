//! Receives pictures from sharded datagrams.

use std::{collections::VecDeque, io, net::SocketAddr, time::Instant};

use sockkit_codec::shard::{Message, Reassembler, ReassemblyConfig, ReassemblyStats};
use sockkit_core::udp::{ReceiveBatch, UdpEndpoint, UdpError};

use super::{Event, StatsHandle, sender::PICTURE};
use crate::picture::VideoFrame;

/// Puts pictures together again and keeps their figures.
///
/// See [`Sender`](super::Sender) for an example.
#[derive(Debug)]
pub struct Receiver {
    endpoint: UdpEndpoint,
    batch: ReceiveBatch,
    reassembler: Reassembler,
    ready: VecDeque<VideoFrame>,
    stats: StatsHandle,
}

impl Receiver {
    /// Binds `address`; port 0 lets the system choose one.
    ///
    /// # Errors
    /// [`UdpError`] if the address is taken or not this machine's.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, UdpError> {
        Ok(Self {
            endpoint: UdpEndpoint::bind(address)?,
            batch: ReceiveBatch::new(),
            reassembler: Reassembler::new(ReassemblyConfig::default()),
            ready: VecDeque::new(),
            stats: StatsHandle::default(),
        })
    }

    /// The address bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The figures, which go on being kept after the handle was taken.
    pub fn stats(&self) -> StatsHandle {
        self.stats.clone()
    }

    /// What became of the datagrams.
    pub fn reassembly(&self) -> ReassemblyStats {
        self.reassembler.stats()
    }

    /// Waits for the next whole picture.
    ///
    /// Datagrams that are no part of a picture are counted and passed over.
    ///
    /// # Errors
    /// [`UdpError`] if the system fails.
    ///
    /// # Cancel safety
    /// Cancel safe: what has come stays for the next call.
    pub async fn recv(&mut self) -> Result<VideoFrame, UdpError> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                self.stats.observe(&frame);
                return Ok(frame);
            }
            self.endpoint.recv_batch(&mut self.batch).await?;
            self.put_together(now());
        }
    }

    /// Takes the batch in. A batch may end several pictures.
    fn put_together(&mut self, now: Instant) {
        for datagram in self.batch.iter() {
            let handled = self
                .reassembler
                .handle_datagram(now, datagram.from, datagram.bytes);
            match handled {
                Ok(Some(message)) => match picture(message) {
                    Some(frame) => self.ready.push_back(frame),
                    None => self.stats.meter().count(Event::Refused),
                },
                Ok(None) => {}
                Err(error) => tracing::debug!(from = %datagram.from, %error, "no shard"),
            }
        }
        self.reassembler.expire(now);
    }
}

fn picture(message: Message) -> Option<VideoFrame> {
    if message.kind != PICTURE {
        return None;
    }
    VideoFrame::from_message(message.bytes)
        .inspect_err(|error| tracing::debug!(from = %message.from, %error, "no picture"))
        .ok()
}

/// The runtime's clock, so that a paused test clock is obeyed.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
