//! Receives the course's datagrams.

use std::{io, net::SocketAddr, time::SystemTime};

use sockkit_core::{
    BindError,
    options::SocketOptions,
    udp::{UdpEndpoint, UdpError},
};
use sockkit_media::picture::Picture;

use super::Assembler;

/// Receives pictures from whoever sends them.
///
/// The format names neither sender nor picture: two senders at once are told
/// apart by nobody, and their pictures mix.
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
    /// [`BindError`] if the address is taken, or not this machine's.
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

    /// Pictures of which a datagram was lost.
    pub fn broken(&self) -> u64 {
        self.assembler.broken()
    }
}

/// A few pictures.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
