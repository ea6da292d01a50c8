//! The receiving half: opens only what is authentic and new.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use ring::aead::{Aad, LessSafeKey, Nonce};
use sockkit_codec::shard::{
    ShardError, StreamId,
    seal::{Position, ReplayWindow, Sealed, Suite},
};

use super::{Direction, Key};
use crate::channel::OpenError;

/// Opens the datagrams of any number of streams: of all that are sealed with one
/// key, or of those that it was told of.
///
/// With one key, a stream is known from its first authentic datagram on; earlier
/// ones are rejected. The last 1,024 streams are remembered, so that a sender's
/// earlier runs cannot be replayed. Forged datagrams have no effect.
pub struct Opener {
    /// Of streams besides those told, if they are accepted.
    key: Option<Key>,
    direction: Direction,
    streams: BTreeMap<StreamId, Stream>,
    /// Counts opened datagrams; orders streams by use.
    clock: u64,
    buffer: Vec<u8>,
}

/// A stream as a receiver is told of it, over a connection that proves whose it is.
#[derive(Clone, Debug)]
pub struct ToldStream {
    /// Its number.
    pub id: StreamId,
    /// The position of its next datagram, which makes earlier recordings stale.
    pub next: Position,
    /// Its key, of all epochs or of the first one alone.
    pub key: Key,
    /// Whether later epochs have other keys, of which
    /// [`Opener::tell`] is called.
    pub epochs_are_told: bool,
    /// Where it comes from; replies go there.
    pub from: SocketAddr,
}

/// An authentic datagram that was not seen before.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Opened<'a> {
    /// Source address of the stream's first datagram. The others are attributed
    /// to it by the key: a copy that overtakes the original does not split a
    /// message. Of a shared stream only what comes from the sender's host is.
    pub from: SocketAddr,
    /// The datagram as it was before sealing.
    pub datagram: &'a [u8],
}

impl Opener {
    /// Accepts every stream with this key.
    pub fn new(key: Key, direction: Direction) -> Self {
        Self {
            key: Some(key),
            ..Self::told(direction, [])
        }
    }

    /// Accepts only these streams.
    pub fn told(direction: Direction, streams: impl IntoIterator<Item = ToldStream>) -> Self {
        let streams = streams.into_iter();
        Self {
            key: None,
            direction,
            streams: streams.map(|told| (told.id, Stream::told(told))).collect(),
            clock: 0,
            buffer: Vec::new(),
        }
    }

    /// Accepts this stream as well, whose key other receivers have: they could seal as its
    /// sender does. The sender signs the messages of such a shared stream, and a datagram
    /// alone moves neither its replay window nor its epoch.
    #[cfg(feature = "pairing")]
    pub(crate) fn join(&mut self, told: ToldStream) {
        self.streams.insert(told.id, Stream::shared(told));
    }

    /// Notes that the sender of a shared stream has signed a message, in this epoch, whose last
    /// datagram came from this address. Returns the address that the stream was told with.
    #[cfg(feature = "pairing")]
    pub(crate) fn confirm(
        &mut self,
        now: Instant,
        stream: StreamId,
        epoch: u64,
        from: SocketAddr,
    ) -> SocketAddr {
        match self.streams.get_mut(&stream) {
            Some(stream) => stream.confirm(now, epoch, from),
            None => from,
        }
    }

    /// Whether the sender of a shared stream sends from this host, as far as is known.
    #[cfg(feature = "pairing")]
    pub(crate) fn is_shared_by(&self, stream: StreamId, host: IpAddr) -> bool {
        let stream = self.streams.get(&stream);
        stream.is_some_and(|stream| stream.is_shared_by(host.to_canonical()))
    }

    /// Adds the key of a later epoch of a stream that it was told of. If a member
    /// was `removed`, which has the earlier keys, none of those is accepted any more once
    /// that epoch has begun.
    pub fn tell(&mut self, stream: StreamId, epoch: u64, key: Key, removed: bool) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.secrets.tell(epoch, key, removed);
        }
    }

    /// Opens one datagram.
    ///
    /// # Errors
    /// [`OpenError`] if it is not sealed, not authentic, or not new. The state
    /// is then unchanged.
    pub fn open(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<Opened<'_>, OpenError> {
        let sealed = Sealed::parse(datagram)?;
        self.clock += 1;
        let clock = self.clock;
        let stream = match self.streams.get_mut(&sealed.stream()) {
            Some(stream) => {
                stream.open(now, self.direction, &sealed, &mut self.buffer)?;
                stream
            }
            None => self.meet(now, &sealed)?,
        };
        stream.used = clock;
        Ok(Opened {
            from: stream.attributed(from),
            datagram: &self.buffer,
        })
    }

    /// Opens the first datagram of a stream.
    fn meet(&mut self, now: Instant, sealed: &Sealed<'_>) -> Result<&mut Stream, OpenError> {
        let key = self.key.clone().ok_or(OpenError::OtherStream)?;
        let mut stream = Stream::starting_at(sealed.position(), Secrets::Same(key));
        stream
            .open(now, self.direction, sealed, &mut self.buffer)
            .map_err(|error| match error {
                OpenError::Altered => OpenError::OtherKey,
                error => error,
            })?;
        if self.streams.len() == MAX_STREAMS {
            let unused = self.streams.iter().min_by_key(|(_, stream)| stream.used);
            if let Some(unused) = unused.map(|(id, _)| *id) {
                self.streams.remove(&unused);
            }
        }
        Ok(self.streams.entry(sealed.stream()).or_insert(stream))
    }
}

/// The state of one stream.
struct Stream {
    window: ReplayWindow,
    secrets: Secrets,
    /// Newest first: around the end of an epoch two are in use.
    keys: Vec<EpochKey>,
    /// The latest epoch of which a datagram was opened, and how long earlier ones
    /// are still accepted.
    newest: u64,
    earlier_until: Option<Instant>,
    from: Option<SocketAddr>,
    /// Of a shared stream: the other address of its sender's host, from which the last signed
    /// message came; until there is one, that of `from`.
    shared_by: Option<IpAddr>,
    used: u64,
}

impl Stream {
    fn told(told: ToldStream) -> Self {
        let ToldStream { next, key, .. } = told;
        let secrets = match told.epochs_are_told {
            true => Secrets::Told(vec![ToldEpoch {
                epoch: next.epoch(),
                key,
                removed: false,
            }]),
            false => Secrets::Same(key),
        };
        Self {
            from: Some(told.from),
            ..Self::starting_at(next, secrets)
        }
    }

    #[cfg(feature = "pairing")]
    fn shared(told: ToldStream) -> Self {
        Self {
            shared_by: Some(host_of(told.from)),
            ..Self::told(told)
        }
    }

    fn starting_at(position: Position, secrets: Secrets) -> Self {
        Self {
            window: ReplayWindow::starting_at(position),
            secrets,
            keys: Vec::new(),
            newest: position.epoch(),
            earlier_until: None,
            from: None,
            shared_by: None,
            used: 0,
        }
    }

    /// What another member seals under the stream's number does not mix with the sender's.
    ///
    /// A group of the other IP version than the connection comes from another address, and is
    /// repaired from that of the connection. Of the same version only the latter counts: a
    /// member that sends a signed message on may be faster than the sender.
    fn attributed(&mut self, from: SocketAddr) -> SocketAddr {
        let told = *self.from.get_or_insert(from);
        let Some(shared_by) = self.shared_by else {
            return told;
        };
        let [host, told_host] = [from, told].map(host_of);
        let is_other_version = host.is_ipv4() != told_host.is_ipv4();
        match host == told_host || is_other_version && host == shared_by {
            true => told,
            false => from,
        }
    }

    /// The sender may send to the group from another of its addresses.
    #[cfg(feature = "pairing")]
    fn confirm(&mut self, now: Instant, epoch: u64, from: SocketAddr) -> SocketAddr {
        self.begin_epoch(now, epoch);
        let told = *self.from.get_or_insert(from);
        if host_of(from) != host_of(told) {
            self.shared_by = Some(host_of(from));
        }
        told
    }

    #[cfg(feature = "pairing")]
    fn is_shared_by(&self, host: IpAddr) -> bool {
        let told = self.from.map(host_of);
        self.shared_by
            .is_some_and(|shared_by| shared_by == host || told == Some(host))
    }

    fn begin_epoch(&mut self, now: Instant, epoch: u64) {
        if epoch > self.newest {
            let has_removed = self.secrets.has_removed(self.newest, epoch);
            self.earlier_until = (!has_removed).then(|| now + EARLIER_FOR);
            self.newest = epoch;
        }
    }

    /// Opens a datagram into `buffer`.
    fn open(
        &mut self,
        now: Instant,
        direction: Direction,
        sealed: &Sealed<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), OpenError> {
        let position = sealed.position();
        let epoch = position.epoch();
        let is_over = epoch < self.newest && self.earlier_until.is_none_or(|until| now > until);
        let is_shared = self.shared_by.is_some();
        if is_over || !is_shared && !self.window.is_new(position) {
            return Err(OpenError::NotNew);
        }
        let secret = self.secrets.of(epoch).ok_or(OpenError::OtherEpoch)?;
        if let Some(known) = self.keys.iter().find(|known| known.is_for(sealed)) {
            known.open(sealed, buffer)?;
        } else {
            let fresh = EpochKey::derive(secret, direction, sealed);
            fresh.open(sealed, buffer)?;
            self.keys.insert(0, fresh);
            self.keys.truncate(KEYS);
        }
        if !is_shared {
            self.window.note(position);
            self.begin_epoch(now, epoch);
        }
        Ok(())
    }
}

fn host_of(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

/// What the keys of a stream are derived from.
enum Secrets {
    /// One secret for all epochs.
    Same(Key),
    /// One for each epoch: the last one, the current one, and the next one.
    Told(Vec<ToldEpoch>),
}

struct ToldEpoch {
    epoch: u64,
    key: Key,
    /// Whether a receiver that has the earlier keys has been removed.
    removed: bool,
}

impl Secrets {
    fn of(&self, epoch: u64) -> Option<&Key> {
        match self {
            Self::Same(key) => Some(key),
            Self::Told(told) => {
                let told = told.iter().find(|told| told.epoch == epoch);
                told.map(|told| &told.key)
            }
        }
    }

    /// Whether a receiver was removed after one epoch and not after the other.
    fn has_removed(&self, after: u64, until: u64) -> bool {
        match self {
            Self::Same(_) => false,
            Self::Told(told) => {
                let mut told = told.iter();
                told.any(|told| told.removed && told.epoch > after && told.epoch <= until)
            }
        }
    }

    /// Epochs only grow.
    fn tell(&mut self, epoch: u64, key: Key, removed: bool) {
        let Self::Told(told) = self else { return };
        if told.last().is_some_and(|last| last.epoch >= epoch) {
            return;
        }
        told.push(ToldEpoch {
            epoch,
            key,
            removed,
        });
        let spare = told.len().saturating_sub(EPOCHS);
        told.drain(..spare);
    }
}

struct EpochKey {
    suite: Suite,
    epoch: u64,
    key: LessSafeKey,
}

impl EpochKey {
    fn derive(key: &Key, direction: Direction, sealed: &Sealed<'_>) -> Self {
        let (suite, epoch) = (sealed.suite(), sealed.position().epoch());
        Self {
            suite,
            epoch,
            key: key.derive(suite, direction, sealed.stream(), epoch),
        }
    }

    fn is_for(&self, sealed: &Sealed<'_>) -> bool {
        (self.suite, self.epoch) == (sealed.suite(), sealed.position().epoch())
    }

    fn open(&self, sealed: &Sealed<'_>, buffer: &mut Vec<u8>) -> Result<(), OpenError> {
        let opened = sealed.open(buffer, |header, text| {
            let nonce = Nonce::assume_unique_for_key(sealed.position().nonce());
            let opened = self.key.open_in_place(nonce, Aad::from(header), text);
            opened.is_ok()
        });
        opened.map(|_| ()).ok_or(OpenError::Altered)
    }
}

impl From<ShardError> for OpenError {
    fn from(error: ShardError) -> Self {
        match error {
            ShardError::NotSealed => Self::NotSealed,
            error => Self::Shard(error),
        }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("direction", &self.direction)
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

/// About 1.5 KiB each.
const MAX_STREAMS: usize = 1_024;

const KEYS: usize = 2;

/// Epochs whose keys are held: the last one, the current one, and the next one.
const EPOCHS: usize = 3;

/// How long an epoch is accepted after the next one has begun: what is later was
/// held back.
const EARLIER_FOR: Duration = Duration::from_secs(1);
