//! From datagrams to messages: what is taken, and from whom.
//!
//! Pure: the caller passes datagrams and `now` in, and calls
//! [`expire`](Inbound::expire) now and then.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use sockkit_codec::shard::{Kind, Older, Reassembler, ReassemblyConfig};
use sockkit_core::udp::Datagram;

use super::{Limits, Message, RecvError};
#[cfg(feature = "sealing")]
use crate::sealing::Opener;

/// The pure half of receiving from datagrams, which a
/// [`Channel`](super::Channel) drives; here for simulations and tests.
#[derive(Debug)]
pub struct Inbound {
    filter: Filter,
    #[cfg(feature = "sealing")]
    opener: Option<Opener>,
    reassembler: Reassembler,
    preferred: Option<SocketAddr>,
}

/// A datagram, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The payload.
    pub bytes: &'a [u8],
    /// The address it came from.
    pub from: SocketAddr,
    /// The address it was sent to, if the system tells.
    pub to: Option<IpAddr>,
}

impl<'a> From<Datagram<'a>> for Incoming<'a> {
    fn from(datagram: Datagram<'a>) -> Self {
        Self {
            bytes: datagram.bytes,
            from: datagram.from,
            to: datagram.to,
        }
    }
}

/// Which datagrams are taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Messages only if they were sent to this group.
    pub group: Option<IpAddr>,
    /// The kind that the preferred sender may also send to this machine alone,
    /// such as its replies.
    pub unicast: Option<Kind>,
    /// What this host sends, and nothing else.
    pub host: Option<IpAddr>,
}

impl Inbound {
    /// Takes what passes `filter`. `older` says what becomes of a sender's
    /// unfinished messages when a newer one is whole.
    pub fn new(filter: Filter, limits: &Limits, older: Older) -> Self {
        let reassembly = ReassemblyConfig::default()
            .max_message_bytes(limits.max_receive_bytes)
            .max_buffered_bytes(limits.max_buffered_bytes())
            .older(older);
        Self {
            filter,
            #[cfg(feature = "sealing")]
            opener: None,
            reassembler: Reassembler::new(reassembly),
            preferred: None,
        }
    }

    /// Takes what `opener` opens, and nothing else: it sees a datagram before any
    /// memory is spent on it.
    #[cfg(feature = "sealing")]
    #[must_use]
    pub fn sealed(mut self, opener: Opener) -> Self {
        self.opener = Some(opener);
        self
    }

    /// Takes one datagram in; returns the message that it completes, if any.
    ///
    /// # Errors
    /// [`RecvError::Filtered`], [`RecvError::NotOpened`] or [`RecvError::Refused`].
    /// The next datagram may be from another sender.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &Incoming<'_>,
    ) -> Result<Option<Message>, RecvError> {
        let from = datagram.from;
        if !self.filter.lets_in(datagram, self.preferred) {
            return Err(RecvError::Filtered { from });
        }
        let (bytes, to) = (datagram.bytes, datagram.to);
        #[cfg(feature = "sealing")]
        let (from, bytes) = match &mut self.opener {
            Some(opener) => match opener.open(from, bytes) {
                Ok(opened) => (opened.from, opened.datagram),
                Err(source) => return Err(RecvError::NotOpened { from, source }),
            },
            None => (from, bytes),
        };
        let whole = self
            .reassembler
            .handle_datagram(now, from, bytes)
            .map_err(|source| RecvError::Refused { from, source })?;
        Ok(whole.map(|whole| Message {
            bytes: whole.bytes,
            from,
            to,
            kind: Some(whole.kind),
            place: Some((whole.stream, whole.number)),
        }))
    }

    /// Spares this sender's messages when room is short, and takes the kind
    /// that it may send to this machine alone.
    pub fn prefer(&mut self, sender: SocketAddr) {
        self.preferred = Some(sender);
        self.reassembler.prefer(Some(sender));
    }

    /// Gives up the messages whose time is over.
    pub fn expire(&mut self, now: Instant) {
        self.reassembler.expire(now);
    }
}

impl Filter {
    /// Whether a datagram is meant for this receiver.
    fn lets_in(&self, datagram: &Incoming<'_>, preferred: Option<SocketAddr>) -> bool {
        let by_host = self
            .host
            .is_none_or(|host| host.to_canonical() == datagram.from.ip().to_canonical());
        let Some(group) = self.group else {
            return by_host;
        };
        let is_reply = preferred == Some(datagram.from)
            && self.unicast.is_some()
            && Kind::of_datagram(datagram.bytes) == self.unicast;
        by_host && (is_reply || datagram.to.is_none_or(|to| to == group))
    }
}
