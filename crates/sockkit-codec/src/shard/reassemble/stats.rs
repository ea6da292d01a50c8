//! Counters of a reassembler.

/// Counters since the reassembler was created.
///
/// Every datagram is counted in `datagrams`, and at most once more in one of
/// `malformed`, `duplicates` and `late`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReassemblyStats {
    /// Datagrams processed.
    pub datagrams: u64,
    /// Datagrams rejected because of their header, length or announced message
    /// length.
    pub malformed: u64,
    /// Shards that an incomplete message already had.
    pub duplicates: u64,
    /// Shards of a message that had already been delivered or dropped: superfluous
    /// parity, and late datagrams.
    pub late: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages delivered that had lost shards and were repaired.
    pub repaired: u64,
    /// Messages dropped because their CRC-32C was wrong.
    pub corrupt: u64,
    /// Incomplete messages dropped: too old, or displaced because of a limit.
    pub given_up: u64,
    /// Messages missing between delivered ones of their stream. Decreases when one
    /// of them still arrives.
    pub lost: u64,
}
