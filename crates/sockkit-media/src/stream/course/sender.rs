//! Sends the course's datagrams.

use std::net::SocketAddr;

use sockkit_core::{
    options::SocketOptions,
    udp::{UdpEndpoint, UdpError},
};
use tokio::time::sleep_until;

use super::DATAGRAM_BYTES;
use crate::stream::{
    StreamError,
    endpoint::unspecified,
    inlet::now,
    pace::{GIGABIT, Pacer},
};

/// Sends pictures to one receiver, spread over time: a receiver of the course
/// has a buffer that holds less than a picture.
#[derive(Debug)]
pub struct Sender {
    endpoint: UdpEndpoint,
    to: SocketAddr,
    pacer: Pacer,
}

impl Sender {
    /// Binds any port, to send to `to`.
    ///
    /// # Errors
    /// [`StreamError`] if the system has no socket.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(to: SocketAddr) -> Result<Self, StreamError> {
        let options = SocketOptions::new().send_buffer_bytes(SEND_BUFFER_BYTES);
        Ok(Self {
            endpoint: UdpEndpoint::bind_with(unspecified(to), &options)?,
            to,
            pacer: Pacer::new(GIGABIT, now()),
        })
    }

    /// How fast the datagrams of a picture go out beyond the first 128 KiB.
    /// Default: 125 MB a second, as fast as gigabit Ethernet.
    ///
    /// `u64::MAX` sends each picture as fast as it goes.
    #[must_use]
    pub fn max_bytes_per_second(mut self, bytes: u64) -> Self {
        self.pacer = Pacer::new(bytes, now());
        self
    }

    /// Sends the datagrams of a picture, as [`cut`](super::cut) makes them.
    ///
    /// # Errors
    /// [`UdpError`] if the system refuses one. That nobody listens is no
    /// error, as nobody says so reliably.
    ///
    /// # Cancel safety
    /// Not cancel safe: the rest of the picture is then not sent.
    pub async fn send(&mut self, datagrams: &[u8]) -> Result<(), UdpError> {
        for run in datagrams.chunks(RUN_DATAGRAMS * DATAGRAM_BYTES) {
            self.endpoint
                .send_segments(Some(self.to), run, DATAGRAM_BYTES)
                .await?;
            if let Some(until) = self.pacer.on_sent(now(), run.len()) {
                sleep_until(until.into()).await;
            }
        }
        Ok(())
    }
}

/// What goes out in one system call; two of them fit the receive buffer that
/// Linux gives without asking.
const RUN_DATAGRAMS: usize = 2;

const SEND_BUFFER_BYTES: usize = 1 << 20;
