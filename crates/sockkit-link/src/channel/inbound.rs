//! Turns datagrams into messages, after filtering.
//!
//! Pure: the caller passes datagrams and `now` in, and calls
//! [`expire`](Inbound::expire) from time to time.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use sockkit_codec::shard::{
    MessageKind, Missing, Older, Reassembler, ReassemblyConfig, ShardCounts,
};
use sockkit_core::udp::Datagram;

use super::{Limits, Message, RecvError};
#[cfg(feature = "sealing")]
use crate::sealing::{Key, Opener};
#[cfg(all(feature = "sealing", feature = "pairing"))]
use crate::sealing::{ToldStream, sign::Verifier};
#[cfg(feature = "sealing")]
use sockkit_codec::shard::StreamId;

/// The pure half of receiving datagrams, driven by a
/// [`Channel`](super::Channel); public for simulations and tests.
#[derive(Debug)]
pub struct Inbound {
    filter: Filter,
    #[cfg(feature = "sealing")]
    opener: Option<Opener>,
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    verifier: Option<Verifier>,
    reassembler: Reassembler,
    preferred: Option<SocketAddr>,
}

/// A datagram with the metadata needed here.
#[derive(Clone, Copy, Debug)]
pub struct IncomingDatagram<'a> {
    /// The payload.
    pub bytes: &'a [u8],
    /// Its source address.
    pub from: SocketAddr,
    /// Its destination address, if the system reports it.
    pub to: Option<IpAddr>,
}

impl<'a> From<Datagram<'a>> for IncomingDatagram<'a> {
    fn from(datagram: Datagram<'a>) -> Self {
        Self {
            bytes: datagram.bytes,
            from: datagram.from,
            to: datagram.to,
        }
    }
}

/// Which datagrams are accepted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Accept messages only if they were sent to this group.
    pub group: Option<IpAddr>,
    /// The kind of message that the preferred sender may also send by unicast,
    /// such as its replies.
    pub unicast: Option<MessageKind>,
    /// Accept datagrams from this host only.
    pub host: Option<IpAddr>,
}

impl Inbound {
    /// Accepts datagrams that pass `filter`. `older` decides about a sender's
    /// incomplete messages when a newer one is complete.
    pub fn new(filter: Filter, limits: &Limits, older: Older) -> Self {
        let reassembly = ReassemblyConfig::default()
            .max_message_bytes(limits.max_receive_bytes)
            .max_buffered_bytes(limits.max_buffered_bytes())
            .older(older);
        Self {
            filter,
            #[cfg(feature = "sealing")]
            opener: None,
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            verifier: None,
            reassembler: Reassembler::new(reassembly),
            preferred: None,
        }
    }

    /// Accepts only what `opener` opens. It sees a datagram before any memory is
    /// reserved for it.
    #[cfg(feature = "sealing")]
    #[must_use]
    pub fn sealed(mut self, opener: Opener) -> Self {
        self.opener = Some(opener);
        self
    }

    /// Accepts a group's stream as well, of which only messages that its sender has signed.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(crate) fn join(&mut self, stream: ToldStream, verifier: Verifier) {
        if let Some(opener) = &mut self.opener {
            opener.join(stream);
            self.verifier = Some(verifier);
        }
    }

    /// Whether the group's sender sends from there, as far as is known.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn is_group_sender(&self, from: SocketAddr) -> bool {
        let (Some(opener), Some(verifier)) = (&self.opener, &self.verifier) else {
            return false;
        };
        opener.is_shared_by(verifier.stream(), from.ip())
    }

    /// Tells the opener the key of a later epoch, see [`Opener::tell`].
    #[cfg(feature = "sealing")]
    pub fn tell(&mut self, stream: StreamId, epoch: u64, key: Key, removed: bool) {
        if let Some(opener) = &mut self.opener {
            opener.tell(stream, epoch, key, removed);
        }
    }

    /// Processes one datagram. Returns the message that it completes, if any.
    ///
    /// # Errors
    /// [`RecvError::Filtered`], [`RecvError::NotOpened`] or [`RecvError::Refused`].
    /// Later datagrams may come from other senders.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &IncomingDatagram<'_>,
    ) -> Result<Option<Message>, RecvError> {
        let from = datagram.from;
        if !self.filter.accepts(datagram, self.preferred) {
            return Err(RecvError::Filtered { from });
        }
        let (bytes, to) = (datagram.bytes, datagram.to);
        #[cfg(feature = "sealing")]
        let (from, bytes) = match &mut self.opener {
            Some(opener) => match opener.open(now, from, bytes) {
                Ok(opened) => (opened.from, opened.datagram),
                Err(source) => return Err(RecvError::NotOpened { from, source }),
            },
            None => (from, bytes),
        };
        let whole = self
            .reassembler
            .handle_datagram(now, from, bytes)
            .map_err(|source| RecvError::Refused { from, source })?;
        let Some(whole) = whole else {
            return Ok(None);
        };
        let message = Message {
            bytes: whole.bytes,
            from,
            to,
            kind: Some(whole.kind),
            place: Some((whole.stream, whole.number)),
        };
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        let message = self.verified(now, message, datagram.from)?;
        Ok(Some(message))
    }

    /// Checks the signature of a group's message, whose last datagram came from `completed_by`.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    fn verified(
        &mut self,
        now: Instant,
        message: Message,
        completed_by: SocketAddr,
    ) -> Result<Message, RecvError> {
        let (Some(verifier), Some(opener), Some((stream, number)), Some(kind)) = (
            &mut self.verifier,
            &mut self.opener,
            message.place,
            message.kind,
        ) else {
            return Ok(message);
        };
        if verifier.stream() != stream {
            return Ok(message);
        }
        let from = message.from;
        let (bytes, epoch) = verifier
            .verify((number, kind), &message.bytes)
            .map_err(|source| RecvError::NotOpened { from, source })?;
        let from = opener.confirm(now, stream, epoch, completed_by);
        Ok(Message {
            bytes,
            from,
            ..message
        })
    }

    /// Keeps this sender's messages when memory is short, and accepts its
    /// unicast messages of the configured kind.
    pub fn prefer(&mut self, sender: SocketAddr) {
        self.preferred = Some(sender);
        self.reassembler.prefer(Some(sender));
    }

    /// How much of what that sender sent has come.
    #[must_use]
    pub fn reception(&self) -> ShardCounts {
        self.reassembler.reception()
    }

    /// When [`missing`](Self::missing) next has something to ask for, at the earliest.
    #[must_use]
    pub fn next_missing(&self) -> Option<Instant> {
        self.reassembler.next_missing()
    }

    /// What to ask that sender for, see [`Reassembler::missing`].
    pub fn missing(&mut self, now: Instant) -> Option<(SocketAddr, Missing)> {
        self.reassembler.missing(now)
    }

    /// Discards incomplete messages whose time has passed.
    pub fn expire(&mut self, now: Instant) {
        self.reassembler.expire(now);
    }
}

impl Filter {
    /// Whether a datagram passes the filter.
    fn accepts(&self, datagram: &IncomingDatagram<'_>, preferred: Option<SocketAddr>) -> bool {
        let by_host = self
            .host
            .is_none_or(|host| host.to_canonical() == datagram.from.ip().to_canonical());
        let Some(group) = self.group else {
            return by_host;
        };
        let is_reply = preferred == Some(datagram.from)
            && self.unicast.is_some()
            && MessageKind::of_datagram(datagram.bytes) == self.unicast;
        by_host && (is_reply || datagram.to.is_none_or(|to| to == group))
    }
}
