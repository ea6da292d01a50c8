//! Pictures over datagrams and framed TCP.

mod receiver;
mod sender;
mod stats;

pub use self::{
    receiver::Receiver,
    sender::{SendError, Sender},
    stats::{Event, Meter, Stats, StatsHandle},
};
