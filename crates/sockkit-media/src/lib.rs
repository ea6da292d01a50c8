//! Live pictures over a network: sources, JPEG, loss-tolerant streams, a
//! browser viewer and an MP4 recorder.
//!
//! ```
//! # use sockkit_media as sockkit;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit::{
//!     latest,
//!     source::{Source, SourceConfig, SourceSpec},
//!     stream::{Receiver, ReceiverConfig, Sender, SenderConfig},
//! };
//!
//! let receiver = Receiver::open(&"udp://127.0.0.1:0".parse()?, ReceiverConfig::default()).await?;
//! let (camera, pictures) = latest::channel();
//! let to = [receiver.address().clone()];
//! let sender = Sender::open(&to, SenderConfig::default(), pictures).await?;
//!
//! // A test pattern; `SourceSpec::Camera { index: 0 }` is the first webcam.
//! let mut source = Source::open(&SourceSpec::Pattern, SourceConfig::default()).await?;
//! camera.publish(source.next().await?);
//! let arrived = receiver.pictures().next().await.expect("the receiver runs");
//! assert_eq!((arrived.width_px(), arrived.height_px()), (640, 480));
//! # sender.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
// Libraries do not print; programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod encode;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod hostile;
pub mod latest;
mod log_limit;
pub mod picture;
pub mod sink;
pub mod source;
pub mod stream;
