//! The course's video over UDP: 640x480 BGR as 20 datagrams, each one index
//! byte and 46,080 bytes.
//!
//! ```
//! # mod sockkit { pub use ::sockkit_course as course; pub use ::sockkit_media::*; }
//! use sockkit::course::video::{Receiver, Sender};
//! use sockkit::picture::{Picture, PixelFormat};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut receiver = Receiver::bind("127.0.0.1:0".parse()?)?;
//! let mut sender = Sender::bind(receiver.local_addr()?)?;
//! let grey = Picture::new(PixelFormat::Bgr, 640, 480, vec![128; 921_600])?;
//! sender.send(&grey).await?;
//! assert_eq!(receiver.next().await?.data(), grey.data());
//! # Ok(())
//! # }
//! ```

mod datagrams;
mod receiver;
mod sender;

pub use self::{
    datagrams::{HEIGHT_PX, WIDTH_PX},
    receiver::Receiver,
    sender::{SendError, Sender},
};
pub(crate) use datagrams::Assembler;
