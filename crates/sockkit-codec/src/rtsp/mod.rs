//! RTSP: how a player asks for a stream. The server's side.
//!
//! [`RequestReader`] finds the requests in what a client sends, and [`Session`] answers
//! them. Both are sans-I/O, and keep no more than their limits.
//!
//! ```
//! # use sockkit_codec as sockkit;
//! use std::time::{Duration, Instant};
//!
//! use sockkit::{
//!     rtp::sdp::Description,
//!     rtsp::{Handled, Inbound, RequestReader, Session, SessionConfig},
//! };
//!
//! let mut reader = RequestReader::default();
//! reader.push(b"DESCRIBE rtsp://127.0.0.1:8554/ RTSP/1.0\r\nCSeq: 1\r\n\r\n");
//! let Some(Inbound::Request(request)) = reader.poll()? else {
//!     panic!("it is whole");
//! };
//!
//! let camera = Description::new("camera", [127, 0, 0, 1].into());
//! let client = [127, 0, 0, 1].into();
//! let mut session = Session::new(SessionConfig::new(client, 1), Instant::now());
//! let Handled::Reply(reply) = session.handle_request(Instant::now(), &request, &camera) else {
//!     panic!("only SETUP needs ports");
//! };
//! assert!(reply.to_bytes().starts_with(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n"));
//! # Ok::<(), sockkit::rtsp::RequestError>(())
//! ```
//!
//! # Source
//! RFC 2326 (RTSP 1.0), which players speak; RFC 7826, section 18.54, for the refusal of
//! other destinations.

mod reader;
mod request;
mod response;
mod session;
mod transport;

#[cfg(any(test, fuzzing))]
pub(crate) use self::reader::MAX_PARTIAL_BYTES;
pub use self::{
    reader::{Inbound, RequestReader},
    request::{Method, Request, RequestError},
    response::{Response, Status, interleaved_header},
    session::{Handled, Session, SessionConfig},
    transport::{Ports, Transport},
};
