//! Messages between the sender and one member, over their own connection.
//! Layouts: `docs/wire/group.md`.

use std::{
    net::{IpAddr, SocketAddr},
    ops::Range,
};

use bytes::{Buf, BufMut};

use super::{Lack, Layout, ShardId, receiver::MAX_RANGES};
use crate::{
    Digest, Manifest,
    session::{self, Abort},
};

/// What a sender tells a member.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToMember {
    /// The offer, and how to hear the group. The first message.
    Welcome(Box<Welcome>),
    /// Digests of the next blocks, from the first.
    Digests(Vec<Digest>),
    /// A question: which shards of these blocks are lacking?
    Poll {
        /// To be repeated in the answer.
        round: u32,
        /// The blocks.
        blocks: Range<u32>,
        /// Counter of the last datagram sent before.
        newest: u64,
    },
    /// Nothing more will be multicast.
    Over,
    /// Data shards asked for, one after another.
    Shards {
        /// The first of them.
        first: ShardId,
        /// Whole shards.
        bytes: Vec<u8>,
    },
    /// That was everything asked for.
    Fetched,
    /// The sender is alive.
    Working,
    /// The sender has the member's [`ToSender::Done`].
    Finished,
    /// The sender ends the transfer, for this reason. The last message.
    Abort(Abort),
}

/// What a member tells the sender.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToSender {
    /// Its name, which senders do not show: it is not authenticated. The first message.
    Hello(String),
    /// It has accepted, and hears the group.
    Ready,
    /// The answer to a poll.
    Report {
        /// That of the poll.
        round: u32,
        /// What it lacks, in order.
        lacks: Vec<Lack>,
    },
    /// Asks for data shards of a block.
    Fetch {
        /// The block.
        block: u32,
        /// Which.
        ranges: Vec<Range<u16>>,
    },
    /// It has everything it wanted, except so many entries.
    Done {
        /// Number of entries that it refused or could not keep.
        without: u32,
    },
    /// The member is alive.
    Working,
    /// The member ends the transfer, for this reason. The last message.
    Abort(Abort),
}

/// The first message of a sender.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Welcome {
    /// Name of the sender, to be escaped before printing.
    pub name: String,
    /// Multicast address and port of the group.
    pub group: SocketAddr,
    /// Secret of its key.
    pub secret: [u8; 32],
    /// How the bytes of all files are divided.
    pub layout: Layout,
    /// The offer.
    pub manifest: Manifest,
}

/// A message that no correct peer sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("message of kind {kind} makes no sense")]
#[non_exhaustive]
pub struct MessageError {
    /// Its kind.
    pub kind: u8,
}

pub(super) const MAGIC: &[u8; 4] = b"SKFG";
const VERSION: u16 = 1;

mod kind {
    pub(super) const WELCOME: u8 = 1;
    pub(super) const DIGESTS: u8 = 2;
    pub(super) const POLL: u8 = 3;
    pub(super) const OVER: u8 = 4;
    pub(super) const SHARDS: u8 = 5;
    pub(super) const FETCHED: u8 = 6;
    pub(super) const WORKING: u8 = 7;
    pub(super) const FINISHED: u8 = 8;
    pub(super) const SENDER_ABORT: u8 = 9;
    pub(super) const HELLO: u8 = 16;
    pub(super) const READY: u8 = 17;
    pub(super) const REPORT: u8 = 18;
    pub(super) const FETCH: u8 = 19;
    pub(super) const DONE: u8 = 20;
    pub(super) const MEMBER_ABORT: u8 = 21;
}

impl ToMember {
    /// Longest message, with its kind.
    pub const MAX_BYTES: u32 = 24 << 20;

    /// Appends the message as a frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Welcome(welcome) => put_frame(kind::WELCOME, out, |out| welcome.put(out)),
            Self::Digests(digests) => put_frame(kind::DIGESTS, out, |out| {
                digests.iter().for_each(|digest| out.put_slice(&digest.0));
            }),
            Self::Poll {
                round,
                blocks,
                newest,
            } => put_frame(kind::POLL, out, |out| {
                out.put_u32(*round);
                out.put_u32(blocks.start);
                out.put_u32(blocks.end);
                out.put_u64(*newest);
            }),
            Self::Over => put_frame(kind::OVER, out, |_| {}),
            Self::Shards { first, bytes } => put_frame(kind::SHARDS, out, |out| {
                out.put_u32(first.block);
                out.put_u16(first.index);
                out.put_slice(bytes);
            }),
            Self::Fetched => put_frame(kind::FETCHED, out, |_| {}),
            Self::Working => put_frame(kind::WORKING, out, |_| {}),
            Self::Finished => put_frame(kind::FINISHED, out, |_| {}),
            Self::Abort(reason) => put_frame(kind::SENDER_ABORT, out, |out| reason.put(out)),
        }
    }

    /// Decodes a message without its length.
    ///
    /// # Errors
    /// If it is not valid.
    pub fn decode(message: &[u8]) -> Result<Self, MessageError> {
        let (&kind, mut body) = message.split_first().ok_or(MessageError { kind: 0 })?;
        let input = &mut body;
        let decoded = match kind {
            kind::WELCOME => Welcome::take(input).map(|welcome| Self::Welcome(Box::new(welcome))),
            kind::DIGESTS => take_digests(input).map(Self::Digests),
            kind::POLL => take_poll(input),
            kind::OVER => Some(Self::Over),
            kind::SHARDS => take_shard_id(input).map(|first| Self::Shards {
                first,
                bytes: std::mem::take(input).to_vec(),
            }),
            kind::FETCHED => Some(Self::Fetched),
            kind::WORKING => Some(Self::Working),
            kind::FINISHED => Some(Self::Finished),
            kind::SENDER_ABORT => Abort::take(input).map(Self::Abort),
            _ => None,
        };
        decoded
            .filter(|_| input.is_empty())
            .ok_or(MessageError { kind })
    }
}

impl ToSender {
    /// Longest message about `blocks` blocks, with its kind: a report on each of
    /// them.
    pub fn max_bytes(blocks: u32) -> u32 {
        4_096 + blocks.saturating_mul(6)
    }

    /// Appends the message as a frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(name) => put_frame(kind::HELLO, out, |out| {
                put_greeting(out);
                put_name(name, out);
            }),
            Self::Ready => put_frame(kind::READY, out, |_| {}),
            Self::Report { round, lacks } => put_frame(kind::REPORT, out, |out| {
                out.put_u32(*round);
                for lack in lacks {
                    out.put_u32(lack.block);
                    out.put_u16(lack.shards);
                }
            }),
            Self::Fetch { block, ranges } => put_frame(kind::FETCH, out, |out| {
                out.put_u32(*block);
                for range in ranges {
                    out.put_u16(range.start);
                    out.put_u16(range.end);
                }
            }),
            Self::Done { without } => put_frame(kind::DONE, out, |out| out.put_u32(*without)),
            Self::Working => put_frame(kind::WORKING, out, |_| {}),
            Self::Abort(reason) => put_frame(kind::MEMBER_ABORT, out, |out| reason.put(out)),
        }
    }

    /// Decodes a message without its length.
    ///
    /// # Errors
    /// If it is not valid.
    pub fn decode(message: &[u8]) -> Result<Self, MessageError> {
        let (&kind, mut body) = message.split_first().ok_or(MessageError { kind: 0 })?;
        let input = &mut body;
        let decoded = match kind {
            kind::HELLO => take_greeting(input)
                .and_then(|()| take_name(input))
                .map(Self::Hello),
            kind::READY => Some(Self::Ready),
            kind::REPORT => take_report(input),
            kind::FETCH => take_fetch(input),
            kind::DONE => input
                .try_get_u32()
                .ok()
                .map(|without| Self::Done { without }),
            kind::WORKING => Some(Self::Working),
            kind::MEMBER_ABORT => Abort::take(input).map(Self::Abort),
            _ => None,
        };
        decoded
            .filter(|_| input.is_empty())
            .ok_or(MessageError { kind })
    }
}

impl Welcome {
    /// The first message to a member.
    pub fn new(
        name: &str,
        group: SocketAddr,
        secret: [u8; 32],
        layout: Layout,
        manifest: Manifest,
    ) -> Self {
        Self {
            name: name.to_owned(),
            group,
            secret,
            layout,
            manifest,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_greeting(out);
        put_name(&self.name, out);
        match self.group.ip() {
            IpAddr::V4(ip) => {
                out.put_u8(4);
                out.put_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.put_u8(6);
                out.put_slice(&ip.octets());
            }
        }
        out.put_u16(self.group.port());
        out.put_slice(&self.secret);
        out.put_u64(self.layout.total_bytes());
        out.put_u16(u16::try_from(self.layout.shard_bytes()).expect("limited on creation"));
        out.put_u16(self.layout.block_shards());
        out.put_u16(self.layout.max_parity_shards());
        out.put_slice(&session::encode_manifest(&self.manifest));
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        take_greeting(input)?;
        let name = take_name(input)?;
        let ip: IpAddr = match input.try_get_u8().ok()? {
            4 => take_array::<4>(input)?.into(),
            6 => take_array::<16>(input)?.into(),
            _ => return None,
        };
        let group = SocketAddr::new(ip, input.try_get_u16().ok()?);
        let secret = take_array(input)?;
        let (total, shard) = (input.try_get_u64().ok()?, input.try_get_u16().ok()?);
        let (block, parity) = (input.try_get_u16().ok()?, input.try_get_u16().ok()?);
        let layout = Layout::with(total, shard, block, parity).ok()?;
        let manifest = session::decode_manifest(std::mem::take(input))?;
        let is_consistent = ip.is_multicast() && manifest.total_bytes() == total;
        is_consistent.then_some(Self {
            name,
            group,
            secret,
            layout,
            manifest,
        })
    }
}

fn put_frame(kind: u8, out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_u32(0);
    out.put_u8(kind);
    put(out);
    let length = u32::try_from(out.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

fn put_greeting(out: &mut Vec<u8>) {
    out.put_slice(MAGIC);
    out.put_u16(VERSION);
}

fn take_greeting(input: &mut &[u8]) -> Option<()> {
    let is_ours = take_array::<4>(input)? == *MAGIC && input.try_get_u16().ok()? == VERSION;
    is_ours.then_some(())
}

fn put_name(name: &str, out: &mut Vec<u8>) {
    let mut end = name.len().min(usize::from(u8::MAX));
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    out.put_u8(u8::try_from(end).unwrap_or(0));
    out.put_slice(&name.as_bytes()[..end]);
}

fn take_name(input: &mut &[u8]) -> Option<String> {
    let length = usize::from(input.try_get_u8().ok()?);
    let (name, rest) = input.split_at_checked(length)?;
    *input = rest;
    str::from_utf8(name).ok().map(str::to_owned)
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*array)
}

fn take_shard_id(input: &mut &[u8]) -> Option<ShardId> {
    Some(ShardId {
        block: input.try_get_u32().ok()?,
        index: input.try_get_u16().ok()?,
    })
}

fn take_digests(input: &mut &[u8]) -> Option<Vec<Digest>> {
    let (digests, rest) = input.as_chunks::<32>();
    *input = rest;
    Some(digests.iter().copied().map(Digest).collect())
}

fn take_poll(input: &mut &[u8]) -> Option<ToMember> {
    let round = input.try_get_u32().ok()?;
    let (start, end) = (input.try_get_u32().ok()?, input.try_get_u32().ok()?);
    let newest = input.try_get_u64().ok()?;
    Some(ToMember::Poll {
        round,
        blocks: start..end,
        newest,
    })
}

fn take_report(input: &mut &[u8]) -> Option<ToSender> {
    let round = input.try_get_u32().ok()?;
    let mut lacks = Vec::with_capacity(input.len() / 6);
    while !input.is_empty() {
        lacks.push(Lack {
            block: input.try_get_u32().ok()?,
            shards: input.try_get_u16().ok()?,
        });
    }
    Some(ToSender::Report { round, lacks })
}

/// Ranges are in order, not empty, and few.
fn take_fetch(input: &mut &[u8]) -> Option<ToSender> {
    let block = input.try_get_u32().ok()?;
    let mut ranges: Vec<Range<u16>> = Vec::new();
    while !input.is_empty() {
        let range = input.try_get_u16().ok()?..input.try_get_u16().ok()?;
        let is_next = ranges.last().is_none_or(|last| last.end <= range.start);
        if range.is_empty() || !is_next || ranges.len() == MAX_RANGES {
            return None;
        }
        ranges.push(range);
    }
    Some(ToSender::Fetch { block, ranges })
}

/// Length of what follows, in front of each message.
pub(super) const LENGTH_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Entry;

    fn to_member() -> Vec<ToMember> {
        let layout = Layout::with(7, 64, 10, 4).unwrap();
        let manifest = Manifest::new(vec![Entry::folder("a"), Entry::file("a/b", 7)]);
        let first = ShardId { block: 1, index: 2 };
        let welcome = |group: &str| {
            let group = group.parse().unwrap();
            let welcome = Welcome::new("desk", group, [5; 32], layout, manifest.clone());
            ToMember::Welcome(Box::new(welcome))
        };
        vec![
            welcome("239.1.2.3:4"),
            welcome("[ff02::5]:6"),
            ToMember::Digests(vec![Digest([1; 32]), Digest([2; 32])]),
            ToMember::Poll {
                round: 1,
                blocks: 2..3,
                newest: 4,
            },
            ToMember::Over,
            ToMember::Shards {
                first,
                bytes: vec![3; 64],
            },
            ToMember::Fetched,
            ToMember::Working,
            ToMember::Finished,
            ToMember::Abort(Abort::Cancelled),
        ]
    }

    fn to_sender() -> Vec<ToSender> {
        let lack = |block, shards| Lack { block, shards };
        vec![
            ToSender::Hello("laptop".into()),
            ToSender::Ready,
            ToSender::Report {
                round: 1,
                lacks: vec![lack(0, 5), lack(9, 1)],
            },
            ToSender::Fetch {
                block: 3,
                ranges: vec![0..1, 4..9],
            },
            ToSender::Done { without: 2 },
            ToSender::Working,
            ToSender::Abort(Abort::NoSpace {
                needed: 7,
                available: 1,
            }),
        ]
    }

    #[test]
    fn messages_are_decoded_as_they_were_encoded() {
        for message in to_member() {
            let mut frame = Vec::new();
            message.encode(&mut frame);
            let (length, body) = frame.split_first_chunk().unwrap();
            assert_eq!(u32::from_be_bytes(*length) as usize, body.len());
            assert_eq!(ToMember::decode(body), Ok(message));
        }
        for message in to_sender() {
            let mut frame = Vec::new();
            message.encode(&mut frame);
            assert_eq!(ToSender::decode(&frame[LENGTH_BYTES..]), Ok(message));
        }
    }

    /// A list may be shorter; everything else is incomplete.
    #[test]
    fn parts_of_messages_are_refused_or_shorter_lists() {
        for message in to_member() {
            let mut frame = Vec::new();
            message.encode(&mut frame);
            for end in 0..frame.len() - LENGTH_BYTES {
                match ToMember::decode(&frame[LENGTH_BYTES..][..end]) {
                    Err(_) | Ok(ToMember::Digests(_) | ToMember::Shards { .. }) => {}
                    Ok(other) => panic!("{other:?}"),
                }
            }
        }
        for message in to_sender() {
            let mut frame = Vec::new();
            message.encode(&mut frame);
            for end in 0..frame.len() - LENGTH_BYTES {
                match ToSender::decode(&frame[LENGTH_BYTES..][..end]) {
                    Err(_) | Ok(ToSender::Report { .. } | ToSender::Fetch { .. }) => {}
                    Ok(other) => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn random_bytes_do_no_harm() {
        let mut rng = fastrand::Rng::with_seed(2);
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..rng.usize(..80)).map(|_| rng.u8(..)).collect();
            if let Some(kind) = bytes.first_mut() {
                *kind %= 24;
            }
            let _ = (ToMember::decode(&bytes), ToSender::decode(&bytes));
        }
    }

    #[test]
    fn ranges_out_of_order_are_refused() {
        for ranges in [[3..3, 4..5], [4..5, 3..4], [0..2, 1..3]] {
            let mut frame = Vec::new();
            let ranges = ranges.to_vec();
            ToSender::Fetch { block: 0, ranges }.encode(&mut frame);
            assert!(ToSender::decode(&frame[LENGTH_BYTES..]).is_err());
        }
    }

    #[test]
    fn a_welcome_that_contradicts_itself_is_refused() {
        let layout = Layout::with(8, 64, 10, 4).unwrap();
        let manifest = Manifest::new(vec![Entry::file("b", 7)]);
        for (group, manifest) in [
            ("239.1.2.3:4", manifest.clone()),
            ("10.1.2.3:4", Manifest::new(vec![Entry::file("b", 8)])),
        ] {
            let group = group.parse().unwrap();
            let welcome = Welcome::new("desk", group, [5; 32], layout, manifest);
            let mut frame = Vec::new();
            ToMember::Welcome(Box::new(welcome)).encode(&mut frame);
            assert!(ToMember::decode(&frame[LENGTH_BYTES..]).is_err());
        }
    }
}
