//! Receives the course's datagrams.

use std::{collections::VecDeque, io, net::SocketAddr};

use sockkit_core::{
    options::SocketOptions,
    udp::{ReceiveBatch, UdpEndpoint, UdpError},
};

use super::Assembler;
use crate::{
    picture::VideoFrame,
    stream::{StreamError, inlet::wall},
};

/// Receives pictures from whoever sends them.
///
/// The format names neither sender nor picture: two senders at once are told
/// apart by nobody, and their pictures mix.
#[derive(Debug)]
pub struct Receiver {
    endpoint: UdpEndpoint,
    batch: ReceiveBatch,
    assembler: Assembler,
    /// Whole pictures that nobody has taken yet, oldest first.
    whole: VecDeque<VideoFrame>,
    received: u64,
}

impl Receiver {
    /// Binds the address.
    ///
    /// # Errors
    /// [`StreamError`] if the address is taken, or not this machine's.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, StreamError> {
        let options = SocketOptions::new().receive_buffer_bytes(RECEIVE_BUFFER_BYTES);
        Ok(Self {
            endpoint: UdpEndpoint::bind_with(address, &options)?,
            batch: ReceiveBatch::with_slots(SLOTS),
            assembler: Assembler::default(),
            whole: VecDeque::new(),
            received: 0,
        })
    }

    /// The address bound, with the port the system chose if it was 0.
    ///
    /// # Errors
    /// Passes on what the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next whole picture, numbered from 0 and stamped with the time of its
    /// arrival: the format has neither. Waits as long as it takes.
    ///
    /// # Errors
    /// [`UdpError`] if the socket fails.
    ///
    /// # Cancel safety
    /// Cancel safe: datagrams already received stay.
    pub async fn next(&mut self) -> Result<VideoFrame, UdpError> {
        loop {
            if let Some(picture) = self.whole.pop_front() {
                return Ok(picture);
            }
            self.endpoint.recv_batch(&mut self.batch).await?;
            for datagram in self.batch.iter() {
                if let Some(picture) = self.assembler.handle_datagram(datagram.bytes) {
                    let stamped = picture.numbered(self.received).captured_at(wall());
                    self.whole.push_back(stamped);
                    self.received += 1;
                }
            }
        }
    }

    /// Pictures of which a datagram was lost.
    pub fn broken(&self) -> u64 {
        self.assembler.broken()
    }
}

/// A few pictures.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// A picture has 20 datagrams.
const SLOTS: usize = 20;
