//! The receiving half: opens only what is authentic and new.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use ring::aead::{Aad, LessSafeKey, Nonce};
use sockkit_codec::shard::{
    ShardError, StreamId,
    seal::{Position, ReplayWindow, Sealed, Suite},
};

use super::{Direction, Key};
use crate::channel::OpenError;

/// Opens the datagrams of any number of streams with one key.
///
/// A stream is known from its first authentic datagram on; earlier ones are
/// rejected. The last 1,024 streams are remembered, so that a sender's earlier
/// runs cannot be replayed. Forged datagrams have no effect.
pub struct Opener {
    key: Key,
    direction: Direction,
    streams: BTreeMap<StreamId, Stream>,
    /// Whether streams other than those told are accepted.
    takes_any: bool,
    /// Counts opened datagrams; orders streams by use.
    clock: u64,
    buffer: Vec<u8>,
}

/// An authentic datagram that was not seen before.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Opened<'a> {
    /// Source address of the stream's first datagram. The others are attributed
    /// to it by the key: a copy that overtakes the original does not split a
    /// message.
    pub from: SocketAddr,
    /// The datagram as it was before sealing.
    pub datagram: &'a [u8],
}

impl Opener {
    /// Accepts every stream with this key.
    pub fn new(key: Key, direction: Direction) -> Self {
        Self {
            key,
            direction,
            streams: BTreeMap::new(),
            takes_any: true,
            clock: 0,
            buffer: Vec::new(),
        }
    }

    /// Accepts only this stream, from that position on, which makes earlier
    /// recordings stale.
    pub fn told(key: Key, direction: Direction, stream: StreamId, next: Position) -> Self {
        let mut opener = Self::new(key, direction);
        opener.takes_any = false;
        opener.streams.insert(stream, Stream::starting_at(next));
        opener
    }

    /// Opens one datagram.
    ///
    /// # Errors
    /// [`OpenError`] if it is not sealed, not authentic, or not new. The state
    /// is then unchanged.
    pub fn open(&mut self, from: SocketAddr, datagram: &[u8]) -> Result<Opened<'_>, OpenError> {
        let sealed = Sealed::parse(datagram)?;
        self.clock += 1;
        let clock = self.clock;
        let stream = match self.streams.get_mut(&sealed.stream()) {
            Some(stream) => {
                stream.open(&self.key, self.direction, &sealed, &mut self.buffer)?;
                stream
            }
            None => self.meet(&sealed)?,
        };
        stream.used = clock;
        Ok(Opened {
            from: *stream.from.get_or_insert(from),
            datagram: &self.buffer,
        })
    }

    /// Opens the first datagram of a stream.
    fn meet(&mut self, sealed: &Sealed<'_>) -> Result<&mut Stream, OpenError> {
        if !self.takes_any {
            return Err(OpenError::OtherStream);
        }
        let mut stream = Stream::starting_at(sealed.position());
        stream
            .open(&self.key, self.direction, sealed, &mut self.buffer)
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
    /// Newest first: around the end of an epoch two are in use.
    keys: Vec<EpochKey>,
    from: Option<SocketAddr>,
    used: u64,
}

impl Stream {
    fn starting_at(position: Position) -> Self {
        Self {
            window: ReplayWindow::starting_at(position),
            keys: Vec::new(),
            from: None,
            used: 0,
        }
    }

    /// Opens a datagram into `buffer`.
    fn open(
        &mut self,
        key: &Key,
        direction: Direction,
        sealed: &Sealed<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), OpenError> {
        let position = sealed.position();
        if !self.window.is_new(position) {
            return Err(OpenError::NotNew);
        }
        if let Some(known) = self.keys.iter().find(|known| known.is_for(sealed)) {
            known.open(sealed, buffer)?;
        } else {
            let fresh = EpochKey::derive(key, direction, sealed);
            fresh.open(sealed, buffer)?;
            self.keys.insert(0, fresh);
            self.keys.truncate(KEYS);
        }
        self.window.note(position);
        Ok(())
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
