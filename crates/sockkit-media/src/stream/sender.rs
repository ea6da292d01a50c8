//! Sends pictures as sharded datagrams.

use std::net::SocketAddr;

use sockkit_codec::shard::{Kind, Parity, SplitConfig, SplitError, Splitter, StreamId};
use sockkit_core::udp::{UdpEndpoint, UdpError};

use crate::picture::VideoFrame;

/// Sends each picture to one address as datagrams that are never fragmented.
///
/// ```
/// use sockkit_media::{picture::{PixelFormat, VideoFrame}, stream::{Receiver, Sender}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut receiver = Receiver::bind("127.0.0.1:0".parse()?)?;
/// let mut sender = Sender::connect(receiver.local_addr()?)?;
/// let frame = VideoFrame::new(PixelFormat::Gray, 2, 1, vec![7, 9])?;
/// sender.send(&frame).await?;
/// assert_eq!(receiver.recv().await?, frame);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sender {
    endpoint: UdpEndpoint,
    to: SocketAddr,
    splitter: Splitter,
    parity: Parity,
}

impl Sender {
    /// Binds any port and sends to `to`.
    ///
    /// The stream has a random id, so that a receiver tells a restarted sender
    /// from the one before.
    ///
    /// # Errors
    /// [`UdpError`] if no port can be bound.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn connect(to: SocketAddr) -> Result<Self, UdpError> {
        let any = match to {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
            SocketAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
        };
        Ok(Self {
            endpoint: UdpEndpoint::bind(any)?,
            to,
            splitter: Splitter::new(SplitConfig::default(), StreamId(fastrand::u64(..))),
            parity: Parity::percent(0),
        })
    }

    /// How much parity each picture carries. Default: none.
    ///
    /// 25 % brings nearly every picture through a loss of 5 %.
    #[must_use]
    pub fn parity(mut self, parity: Parity) -> Self {
        self.parity = parity;
        self
    }

    /// Sends one picture.
    ///
    /// # Errors
    /// [`SendError`] if the picture is too long for a message, or the system
    /// refuses to send.
    ///
    /// # Cancel safety
    /// Not cancel safe: a part of the picture may be sent, and is lost.
    pub async fn send(&mut self, frame: &VideoFrame) -> Result<(), SendError> {
        let message = frame.to_message();
        let shards = self.splitter.split(PICTURE, &message, self.parity)?;
        self.endpoint
            .send_segments(Some(self.to), shards.as_bytes(), shards.segment_bytes())
            .await?;
        Ok(())
    }
}

/// Why a picture was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The picture does not fit a message: compress it, or make it smaller.
    #[error("the picture does not fit a message")]
    Split(#[from] SplitError),
    /// The system refused: a later picture may pass.
    #[error("the picture could not be sent")]
    Udp(#[from] UdpError),
}

/// The kind of message that holds a picture.
pub(super) const PICTURE: Kind = Kind(1);
