//! TCP: listen, connect, and why a connection ended.

mod end;

pub use end::{End, Timeout};
