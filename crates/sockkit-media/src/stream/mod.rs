//! Pictures over datagrams and framed TCP.

mod stats;

pub use self::stats::{Event, Meter, Stats, StatsHandle};
