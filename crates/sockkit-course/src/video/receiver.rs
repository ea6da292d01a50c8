//! Receives the course's datagrams.

use std::{io, net::SocketAddr, time::SystemTime};

use sockkit_core::{
    BindError,
    options::SocketOptions,
    udp::{UdpEndpoint, UdpError},
};
use sockkit_media::picture::Picture;

use super::Assembler;

/// Receives pictures from any sender.
///
/// The format identifies neither the sender nor the picture: the pictures of
/// two concurrent senders get mixed up.
#[derive(Debug)]
pub struct Receiver {
    endpoint: UdpEndpoint,
    assembler: Assembler,
    received: u64,
}

impl Receiver {
    /// Binds the address.
    ///
    /// # Errors
    /// [`BindError`] if the address cannot be bound.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let options = SocketOptions::new().receive_buffer_bytes(RECEIVE_BUFFER_BYTES);
        Ok(Self {
            endpoint: UdpEndpoint::bind_with(address, &options)?,
            assembler: Assembler::default(),
            received: 0,
        })
    }

    /// The local address, with the port chosen by the system.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Waits for the next complete picture. It is numbered from 0 and stamped
    /// with its time of arrival, because the format has neither.
    ///
    /// # Errors
    /// [`UdpError`] if the socket fails.
    ///
    /// # Cancel safety
    /// Cancel safe: datagrams already received are kept.
    pub async fn next(&mut self) -> Result<Picture, UdpError> {
        loop {
            let datagram = self.endpoint.recv(self.assembler.room()).await?;
            let bytes = datagram.wire_bytes;
            if let Some(picture) = self.assembler.handle_filled(bytes) {
                let stamped = picture
                    .numbered(self.received)
                    .captured_at(SystemTime::now().into());
                self.received += 1;
                return Ok(stamped);
            }
        }
    }

    /// Number of incomplete pictures.
    pub fn broken(&self) -> u64 {
        self.assembler.broken()
    }
}

/// A few pictures.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
