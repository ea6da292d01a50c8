//! Sends datagrams, singly and in batches, split by the kernel if possible.

use std::{
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    sync::atomic::Ordering,
};

use tokio::io::Interest;

use super::{UdpEndpoint, UdpError};
use crate::sys::datagram::{self, MAX_MESSAGES, Message};

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is sent until an endpoint is given it"]
pub struct Transmit<'a> {
    to: Option<SocketAddr>,
    header: &'a [u8],
    bytes: &'a [u8],
    source: Option<IpAddr>,
    interface_index: Option<u32>,
}

impl<'a> Transmit<'a> {
    /// A datagram to `to`: a host, a broadcast address or a group.
    pub fn new(to: SocketAddr, bytes: &'a [u8]) -> Self {
        Self {
            to: Some(to),
            header: &[],
            bytes,
            source: None,
            interface_index: None,
        }
    }

    /// A datagram to the connected peer.
    pub fn to_peer(bytes: &'a [u8]) -> Self {
        Self {
            to: None,
            header: &[],
            bytes,
            source: None,
            interface_index: None,
        }
    }

    /// Sends `header` before the payload. The kernel gathers both, so that a
    /// long payload need not be copied.
    pub fn header(mut self, header: &'a [u8]) -> Self {
        self.header = header;
        self
    }

    /// Sets the source address. Use [`Datagram::to`](super::Datagram::to) of a
    /// request to reply from the address that received it. Linux and Windows only.
    pub fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Sets the outgoing interface, overriding the routing table. Linux and Windows
    /// only.
    pub fn interface_index(mut self, index: u32) -> Self {
        self.interface_index = Some(index);
        self
    }

    /// Whether `self` may follow `first` in one offloaded send.
    fn continues(&self, first: &Self) -> bool {
        (self.to, self.source, self.interface_index)
            == (first.to, first.source, first.interface_index)
            && (1..=first.len()).contains(&self.len())
    }

    fn len(&self) -> usize {
        self.header.len() + self.bytes.len()
    }

    /// The parts that the kernel gathers; an empty datagram has one as well.
    fn parts(&self) -> impl Iterator<Item = IoSlice<'a>> {
        let header = (!self.header.is_empty()).then_some(self.header);
        header.into_iter().chain([self.bytes]).map(IoSlice::new)
    }

    fn message<'m>(&self, parts: &'m [IoSlice<'m>], segment_bytes: Option<u16>) -> Message<'m> {
        Message {
            to: self.to,
            parts,
            segment_bytes,
            source: self.source,
            interface_index: self.interface_index,
        }
    }
}

impl UdpEndpoint {
    /// Sends one datagram.
    ///
    /// # Errors
    /// [`UdpError::Send`] if the operating system rejects it: too long, no
    /// route, no permission.
    ///
    /// # Cancel safety
    /// Cancel safe: the datagram is sent completely or not at all.
    pub async fn send(&self, transmit: Transmit<'_>) -> Result<(), UdpError> {
        self.send_batch(&[transmit]).await
    }

    /// Sends all datagrams of `batch`, in order, with as few system calls as
    /// possible.
    ///
    /// One call serves many destinations. A run of datagrams to one destination
    /// that all have the same length (the last may be shorter) passes the
    /// network stack as one packet if the kernel can split it later. Waits
    /// while the send buffer is full.
    ///
    /// # Errors
    /// [`UdpError::Send`] if the operating system rejects some of them; the
    /// others are sent. [`UdpError::TimedOut`] if the send buffer stays full
    /// for the endpoint's write timeout: the rest is not sent.
    ///
    /// # Cancel safety
    /// Not cancel safe: some datagrams may be sent and others not.
    pub async fn send_batch(&self, batch: &[Transmit<'_>]) -> Result<(), UdpError> {
        let mut refusals = SendFailures::default();
        let mut next = 0;
        while next < batch.len() {
            let step = self
                .send_when_ready(|| self.send_some(&batch[next..]))
                .await?;
            if let Some(source) = step.refused {
                refusals.add(next, step.datagrams, source);
            }
            next += step.datagrams;
        }
        refusals.into_result(batch.len(), |first| batch[first].to)
    }

    /// Splits `bytes` into datagrams of `segment_bytes`, the last one possibly
    /// shorter, and sends them. `None` sends to the connected peer.
    ///
    /// The fastest way to send much data to one destination: one system call
    /// and one pass through the network stack for up to 64 datagrams.
    ///
    /// # Errors
    /// As [`send_batch`](Self::send_batch).
    ///
    /// # Panics
    /// If `segment_bytes` is zero.
    ///
    /// # Cancel safety
    /// As [`send_batch`](Self::send_batch).
    pub async fn send_segments(
        &self,
        to: Option<SocketAddr>,
        bytes: &[u8],
        segment_bytes: usize,
    ) -> Result<(), UdpError> {
        assert!(segment_bytes > 0, "segment_bytes must not be zero");
        let mut refusals = SendFailures::default();
        let mut next = 0;
        while next * segment_bytes < bytes.len() {
            let rest = &bytes[next * segment_bytes..];
            let step = self
                .send_when_ready(|| self.send_some_segments(to, rest, segment_bytes))
                .await?;
            if let Some(source) = step.refused {
                refusals.add(next, step.datagrams, source);
            }
            next += step.datagrams;
        }
        refusals.into_result(next, |_| to)
    }

    /// Sends as much from the start of `batch` as one call accepts.
    fn send_some(&self, batch: &[Transmit<'_>]) -> io::Result<Step> {
        let largest_segment = self.offload_below_bytes.load(Ordering::Relaxed);
        let batch = &batch[..batch.len().min(MAX_DATAGRAMS)];
        let runs = runs(batch, largest_segment);
        let parts: Vec<IoSlice<'_>> = batch.iter().flat_map(Transmit::parts).collect();
        let mut rest = parts.as_slice();
        let messages: Vec<Message<'_>> = runs
            .iter()
            .map(|run| {
                let of_run = run.iter().map(|one| one.parts().count()).sum();
                let (parts, others) = rest.split_at(of_run);
                rest = others;
                let segment_bytes = (run.len() > 1).then(|| segment(run[0].len()));
                run[0].message(parts, segment_bytes)
            })
            .collect();
        self.hand_over(&messages, |index| runs[index].len())
    }

    /// Sends as much from the start of `bytes` as one call accepts.
    fn send_some_segments(
        &self,
        to: Option<SocketAddr>,
        bytes: &[u8],
        segment_bytes: usize,
    ) -> io::Result<Step> {
        let largest_segment = self.offload_below_bytes.load(Ordering::Relaxed);
        let run = max_run(segment_bytes, largest_segment);
        let parts: Vec<IoSlice<'_>> = bytes
            .chunks(run * segment_bytes)
            .take(MAX_MESSAGES)
            .map(IoSlice::new)
            .collect();
        let messages: Vec<Message<'_>> = parts
            .chunks(1)
            .map(|part| {
                let is_run = part[0].len() > segment_bytes;
                let segment_bytes = is_run.then(|| segment(segment_bytes));
                Transmit::to_peer(&[]).message(part, segment_bytes)
            })
            .map(|message| Message { to, ..message })
            .collect();
        self.hand_over(&messages, |index| {
            parts[index].len().div_ceil(segment_bytes)
        })
    }

    /// Makes one system call and interprets its result. `datagrams` returns the
    /// number of datagrams in the message at an index.
    fn hand_over(
        &self,
        messages: &[Message<'_>],
        datagrams: impl Fn(usize) -> usize,
    ) -> io::Result<Step> {
        let refused = match datagram::send_messages(&self.socket, messages) {
            Ok(sent) => {
                return Ok(Step {
                    datagrams: (0..sent).map(datagrams).sum(),
                    refused: None,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            Err(error) => error,
        };
        let nothing_yet = Step {
            datagrams: 0,
            refused: None,
        };
        if self.absorb(&refused) {
            return Ok(nothing_yet);
        }
        if let Some(segment_bytes) = messages[0].segment_bytes
            && is_offload_refusal(&refused)
        {
            self.offload_below_bytes
                .fetch_min(segment_bytes.into(), Ordering::Relaxed);
            return Ok(nothing_yet);
        }
        Ok(Step {
            datagrams: datagrams(0),
            refused: Some(refused),
        })
    }

    async fn send_when_ready(
        &self,
        call: impl FnMut() -> io::Result<Step>,
    ) -> Result<Step, UdpError> {
        let step = self.when_ready(Interest::WRITABLE, self.write_timeout, call);
        Ok(step.await??)
    }
}

/// Result of one system call.
struct Step {
    /// Number of datagrams handled.
    datagrams: usize,
    /// The error if they were rejected.
    refused: Option<io::Error>,
}

/// Datagrams rejected by the operating system.
#[derive(Default)]
struct SendFailures {
    refused: usize,
    first: Option<(usize, io::Error)>,
}

impl SendFailures {
    fn add(&mut self, index: usize, datagrams: usize, source: io::Error) {
        self.refused += datagrams;
        self.first.get_or_insert((index, source));
    }

    fn into_result(
        self,
        datagrams: usize,
        to: impl Fn(usize) -> Option<SocketAddr>,
    ) -> Result<(), UdpError> {
        match self.first {
            None => Ok(()),
            Some((first, source)) => Err(UdpError::Send {
                datagrams,
                refused: self.refused,
                first,
                to: to(first),
                source,
            }),
        }
    }
}

/// The start of `batch` as runs for one call.
fn runs<'b, 'a>(
    mut batch: &'b [Transmit<'a>],
    offload_below_bytes: usize,
) -> Vec<&'b [Transmit<'a>]> {
    let mut runs = Vec::with_capacity(batch.len().min(MAX_MESSAGES));
    while !batch.is_empty() && runs.len() < MAX_MESSAGES {
        let (run, rest) = batch.split_at(run_length(batch, offload_below_bytes));
        runs.push(run);
        batch = rest;
    }
    runs
}

/// Number of datagrams at the start that form one run; at least one.
fn run_length(batch: &[Transmit<'_>], offload_below_bytes: usize) -> usize {
    let first = &batch[0];
    let max_run = max_run(first.len(), offload_below_bytes);
    let full = batch
        .iter()
        .take(max_run)
        .take_while(|one| one.continues(first) && one.len() == first.len())
        .count();
    // A shorter datagram may end the run.
    let has_tail =
        (1..max_run).contains(&full) && batch.get(full).is_some_and(|last| last.continues(first));
    (full + usize::from(has_tail)).max(1)
}

/// Maximum number of datagrams of this length in one run.
fn max_run(segment_bytes: usize, offload_below_bytes: usize) -> usize {
    if segment_bytes == 0 || segment_bytes >= offload_below_bytes {
        return 1;
    }
    (MAX_PAYLOAD_BYTES / segment_bytes).clamp(1, MAX_SEGMENTS)
}

fn segment(bytes: usize) -> u16 {
    u16::try_from(bytes).expect("a run has two datagrams in 64 KiB")
}

/// Whether offload is unavailable: the interface lacks it (`EIO`), or a segment
/// exceeds the path MTU (`EINVAL`, since Linux 6.13 `EMSGSIZE`).
fn is_offload_refusal(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        matches!(
            error.raw_os_error(),
            Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE)
        )
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        true
    }
}

/// `UDP_MAX_SEGMENTS` before Linux 6.9; later kernels allow more.
const MAX_SEGMENTS: usize = 64;

/// The largest payload of a datagram over IPv4, RFC 768.
const MAX_PAYLOAD_BYTES: usize = 65_507;

/// Limits the work of one call.
const MAX_DATAGRAMS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_LENGTH: usize = usize::MAX;

    #[track_caller]
    fn check(lengths: &[usize], expected: usize) {
        let bytes = vec![0; MAX_PAYLOAD_BYTES + 1];
        let to = SocketAddr::from(([127, 0, 0, 1], 9));
        let batch: Vec<_> = lengths
            .iter()
            .map(|&length| Transmit::new(to, &bytes[..length]))
            .collect();
        assert_eq!(run_length(&batch, ANY_LENGTH), expected);
        assert_eq!(run_length(&batch, 0), 1, "offload is off");
    }

    #[test]
    fn equal_lengths_are_a_run() {
        check(&[9], 1);
        check(&[9, 9, 9], 3);
    }

    #[test]
    fn a_shorter_one_ends_a_run() {
        check(&[9, 9, 4, 4], 3);
        check(&[9, 1], 2);
    }

    #[test]
    fn a_longer_one_does_not_belong() {
        check(&[9, 9, 10], 2);
        check(&[9, 10], 1);
    }

    #[test]
    fn an_empty_datagram_goes_alone() {
        check(&[0, 0], 1);
        check(&[9, 9, 0], 2);
    }

    #[test]
    fn a_run_has_at_most_64_datagrams() {
        check(&[9; 64], 64);
        check(&[9; 65], 64);
        check(&[[9; 63].as_slice(), &[1]].concat(), 64);
        check(&[[9; 64].as_slice(), &[1]].concat(), 64);
    }

    #[test]
    fn a_run_fits_one_ip_packet() {
        check(&[32_753; 3], 2);
        check(&[32_754; 3], 1);
        check(&[MAX_PAYLOAD_BYTES, 1], 1);
    }

    #[test]
    fn another_destination_source_or_interface_ends_a_run() {
        let to = SocketAddr::from(([127, 0, 0, 1], 9));
        let first = Transmit::new(to, b"same");
        let others = [
            Transmit::new(SocketAddr::from(([127, 0, 0, 2], 9)), b"same"),
            Transmit::to_peer(b"same"),
            first.source(to.ip()),
            first.interface_index(1),
        ];
        for other in others {
            assert_eq!(run_length(&[first, other], ANY_LENGTH), 1, "{other:?}");
        }
    }

    #[test]
    fn a_header_counts_as_of_the_datagram() {
        let plain = Transmit::to_peer(b"same");
        let parted = Transmit::to_peer(b"me").header(b"sa");
        let longer = plain.header(b"!");
        assert_eq!(run_length(&[plain, parted, plain], ANY_LENGTH), 3);
        assert_eq!(run_length(&[plain, longer], ANY_LENGTH), 1);
    }

    #[test]
    fn segments_as_long_as_one_refused_go_alone() {
        assert_eq!(max_run(1472, 1473), 44);
        assert_eq!(max_run(1473, 1473), 1);
    }
}
