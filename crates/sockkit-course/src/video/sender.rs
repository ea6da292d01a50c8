//! Sends the course's datagrams directly from the picture's memory.

use std::{net::SocketAddr, time::Instant};

use sockkit_core::{
    BindError,
    options::SocketOptions,
    udp::{Transmit, UdpEndpoint, UdpError, unspecified},
};
use sockkit_link::channel::{GIGABIT, Pacer};
use sockkit_media::picture::{Picture, PictureError, PixelFormat};
use tokio::time::sleep_until;

use super::{
    HEIGHT_PX, WIDTH_PX,
    datagrams::{DATAGRAM_BYTES, cut},
};

/// Sends pictures to one receiver, paced, because the receive buffer of the
/// course's receivers is smaller than a picture.
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
    /// [`BindError`] if no socket is available.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(to: SocketAddr) -> Result<Self, BindError> {
        let options = SocketOptions::new().send_buffer_bytes(SEND_BUFFER_BYTES);
        Ok(Self {
            endpoint: UdpEndpoint::bind_with(unspecified(to), &options)?,
            to,
            pacer: Pacer::new(GIGABIT, now()),
        })
    }

    /// Maximum send rate after the first 128 KiB of a picture. Default: 125 MB
    /// a second, the rate of gigabit Ethernet.
    ///
    /// `u64::MAX` disables pacing.
    #[must_use]
    pub fn max_bytes_per_second(mut self, bytes: u64) -> Self {
        self.pacer = Pacer::new(bytes, now());
        self
    }

    /// Sends a picture of 640x480, without copying it if it is BGR.
    ///
    /// # Errors
    /// [`SendError::Size`] if it has another size, [`SendError::Picture`] if it
    /// cannot be decoded, [`SendError::Udp`] if the operating system rejects a
    /// datagram. A receiver that is not listening is not an error, because this
    /// is not detected reliably.
    ///
    /// # Cancel safety
    /// Not cancel safe: the rest of the picture is not sent.
    pub async fn send(&mut self, picture: &Picture) -> Result<(), SendError> {
        let (width_px, height_px) = (picture.width_px(), picture.height_px());
        if (width_px, height_px) != (WIDTH_PX, HEIGHT_PX) {
            return Err(SendError::Size {
                width_px,
                height_px,
            });
        }
        let pixels = picture.convert(PixelFormat::Bgr)?.into_data();
        let datagrams: Vec<Transmit<'_>> = cut(&pixels)
            .map(|(index, block)| Transmit::new(self.to, block).header(index))
            .collect();
        for run in datagrams.chunks(RUN_DATAGRAMS) {
            self.endpoint.send_batch(run).await?;
            let bytes = run.len() * DATAGRAM_BYTES;
            if let Some(until) = self.pacer.on_sent(now(), bytes) {
                sleep_until(until.into()).await;
            }
        }
        Ok(())
    }
}

/// Error from sending a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The format supports one size only.
    #[error(
        "picture of {width_px}x{height_px} px: \
         the format carries {WIDTH_PX}x{HEIGHT_PX} only, resize it"
    )]
    Size {
        /// The picture's width, in pixels.
        width_px: u32,
        /// The picture's height, in pixels.
        height_px: u32,
    },
    /// It cannot be decoded.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The operating system rejected a datagram.
    #[error(transparent)]
    Udp(#[from] UdpError),
}

/// The runtime's clock, so that a paused test clock is obeyed.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Sent with one system call; two of them fit Linux's default receive buffer.
const RUN_DATAGRAMS: usize = 2;

const SEND_BUFFER_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn other_sizes_are_refused_even_of_as_many_pixels() {
        let mut sender = Sender::bind(([127, 0, 0, 1], 9).into()).unwrap();
        for (width, height) in [(2, 2), (480, 640)] {
            let pixels = vec![0; 3 * width as usize * height as usize];
            let picture = Picture::new(PixelFormat::Bgr, width, height, pixels).unwrap();
            let error = sender.send(&picture).await.unwrap_err();
            assert!(
                matches!(error, SendError::Size { width_px, .. } if width_px == width),
                "{error}"
            );
        }
    }
}
