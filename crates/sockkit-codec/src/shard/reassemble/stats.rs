//! What a reassembler has seen.

/// Counts since the reassembler was made.
///
/// Every datagram is counted in `datagrams`, and at most once more in one of
/// `malformed`, `duplicates` and `late`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReassemblyStats {
    /// Datagrams handled.
    pub datagrams: u64,
    /// Datagrams refused for their header, length or announced message length.
    pub malformed: u64,
    /// Shards that an unfinished message had already.
    pub duplicates: u64,
    /// Shards of a message that was delivered or given up before: parity that
    /// nobody needed, and what came too late.
    pub late: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages delivered that had lost shards and were restored from parity.
    pub repaired: u64,
    /// Messages dropped because their CRC-32C did not fit.
    pub corrupt: u64,
    /// Messages dropped unfinished: too old, or pushed out by a limit.
    pub given_up: u64,
    /// Messages not delivered although earlier and later ones of their stream
    /// were. Goes down when one of them still comes.
    pub lost: u64,
}
