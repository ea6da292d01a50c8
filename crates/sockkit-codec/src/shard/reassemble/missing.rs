//! What a message still lacks, and when to ask its sender for it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{Reassembler, StreamId, assembly::Assembly};

/// Shards that would make a message whole, to be sent once more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Missing {
    /// The stream of the message.
    pub stream: StreamId,
    /// Its number there.
    pub number: u64,
    /// The index of the first shard that is wanted.
    pub first: u16,
    /// A bit for each shard from there on, the lowest for the first.
    pub mask: u128,
}

impl Missing {
    /// Some shards of a message, from `first` on.
    pub fn new(stream: StreamId, number: u64, first: u16, mask: u128) -> Self {
        Self {
            stream,
            number,
            first,
            mask,
        }
    }

    /// The indexes of the shards that are wanted.
    pub fn indexes(self) -> impl Iterator<Item = usize> {
        let wanted = (0..128_usize).filter(move |bit| self.mask >> bit & 1 == 1);
        wanted.map(move |bit| usize::from(self.first) + bit)
    }
}

/// When a message's sender is to be asked for more of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    /// When the first shard came.
    begun: Instant,
    /// When the last one came, or was asked for.
    since: Instant,
    shards: u32,
    asked: u8,
}

impl Asking {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            begun: now,
            since: now,
            shards: 0,
            asked: 0,
        }
    }

    pub(super) fn handle_shard(&mut self, now: Instant) {
        self.since = now;
        self.shards += 1;
    }

    /// How long nothing comes before what is missing is lost: a burst of losses takes as long
    /// as that many shards.
    fn quiet(&self) -> Duration {
        let took = self.since.saturating_duration_since(self.begun);
        took / self.shards.max(1) * BURST_SHARDS + LATE_BY
    }

    /// When to ask, if that is still worth it.
    fn due(&self) -> Option<Instant> {
        let after = match self.asked {
            0 => self.quiet(),
            ASKED_AT_MOST.. => return None,
            _ => ASK_AGAIN_AFTER,
        };
        self.since.checked_add(after)
    }
}

impl Reassembler {
    /// When [`missing`](Self::missing) next has something to ask for, unless it comes before.
    #[must_use]
    pub fn next_missing(&self) -> Option<Instant> {
        self.next_asked().map(|(due, _)| due)
    }

    /// What to ask the preferred sender for: as many shards as one of its messages lacks, half
    /// as many more and four, once nothing came of it for as long as ten of its shards took
    /// and 2 ms.
    ///
    /// Eight times for a message, with 4 ms between. Of several messages, the one that has been
    /// due longest.
    ///
    /// The sender's address comes with it.
    pub fn missing(&mut self, now: Instant) -> Option<(SocketAddr, Missing)> {
        let (_, place) = self.next_asked().filter(|(due, _)| *due <= now)?;
        let assembly = self.in_flight.get_mut(place)?;
        assembly.asking.since = now;
        assembly.asking.asked += 1;
        Some((assembly.from.address, assembly.missing()?))
    }

    /// The place of the message to ask for next, and when. Not by its number: a forged one
    /// must not keep the others from being asked for.
    fn next_asked(&self) -> Option<(Instant, usize)> {
        let preferred = self.preferred?;
        let all = self.in_flight.iter().enumerate();
        all.filter(|(_, one)| one.from.address == preferred)
            .filter_map(|(place, one)| Some((one.asking.due()?, place)))
            .min()
    }
}

impl Assembly {
    /// How many shards make it whole.
    fn lacks(&self) -> u16 {
        let came = u16::try_from(self.storage.order.len()).unwrap_or(u16::MAX);
        self.header.data.saturating_sub(came)
    }

    /// The first shards that did not come, as many as make it whole and some more.
    fn missing(&self) -> Option<Missing> {
        let (lacks, all) = (self.lacks(), self.header.data + self.header.parity);
        let wanted = lacks + lacks.div_ceil(2) + SPARE_SHARDS;
        let first = (0..all).find(|index| !self.has(*index))?;
        let reach = first..all.min(first.saturating_add(128));
        let absent = reach.filter(|index| !self.has(*index));
        let mask = absent
            .take(wanted.into())
            .fold(0, |mask, index| mask | 1 << (index - first));
        let header = &self.header;
        Some(Missing::new(header.stream, header.number, first, mask))
    }
}

const BURST_SHARDS: u32 = 10;

/// How late a shard may come for other reasons, such as a busy machine's.
const LATE_BY: Duration = Duration::from_millis(2);

/// Questions are lost as well, and in bursts; an answer that comes twice costs little.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(4);

const ASKED_AT_MOST: u8 = 8;

/// A burst of losses on the way there takes so many. Of thirty viewers of a group some viewer
/// asks for most pictures: more would cost as much as the parity does.
const SPARE_SHARDS: u16 = 4;

#[cfg(test)]
mod tests {
    use super::super::{
        super::{MessageKind, Parity, SplitConfig, Splitter},
        ReassemblyConfig,
        tests::{bytes, datagrams, peer, splitter, start},
    };
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A sender that is preferred, and the datagrams of its next message.
    struct Ends {
        splitter: Splitter,
        reassembler: Reassembler,
    }

    impl Ends {
        fn new() -> Self {
            let mut reassembler = Reassembler::new(ReassemblyConfig::default());
            reassembler.prefer(Some(peer(1)));
            Self {
                splitter: Splitter::new(SplitConfig::default(), StreamId(1)),
                reassembler,
            }
        }

        /// Sends ten data and two parity shards, of which `lost` do not come.
        fn send(&mut self, now: Instant, lost: &[usize]) -> usize {
            let message = bytes(10 * 1_364);
            let shards = self
                .splitter
                .split(MessageKind(1), &message, Parity::percent(20));
            let came = shards.unwrap().datagrams().enumerate();
            let came = came.filter(|(index, _)| !lost.contains(index));
            came.filter_map(|(_, datagram)| {
                let taken = self.reassembler.handle_datagram(now, peer(1), datagram);
                taken.unwrap()
            })
            .count()
        }

        fn missing(&mut self, now: Instant) -> Option<Vec<usize>> {
            let (to, missing) = self.reassembler.missing(now)?;
            assert_eq!((to, missing.stream), (peer(1), StreamId(1)));
            Some(missing.indexes().collect())
        }
    }

    #[test]
    fn what_is_missing_makes_the_message_whole() {
        let (mut ends, now) = (Ends::new(), start());
        assert_eq!(ends.send(now, &[1, 4, 11]), 0);
        assert_eq!(ends.missing(now + LATE_BY / 2), None);
        assert_eq!(ends.reassembler.next_missing(), Some(now + LATE_BY));
        assert_eq!(ends.missing(now + LATE_BY), Some(vec![1, 4, 11]));
        let again = ends.splitter.last().unwrap();
        assert_eq!(again.number(), 0);
        let first = again.datagrams().nth(1).unwrap();
        let taken = ends
            .reassembler
            .handle_datagram(now + LATE_BY, peer(1), first);
        assert_eq!(taken.unwrap().unwrap().bytes, bytes(10 * 1_364));
        assert_eq!(ends.reassembler.next_missing(), None);
    }

    #[test]
    fn it_is_asked_for_eight_times() {
        let (mut ends, now) = (Ends::new(), start());
        ends.send(now, &[0, 1, 2, 3]);
        let mut asked = Vec::new();
        for millis in 0..200 {
            if ends.missing(now + millis * MS) == Some(vec![0, 1, 2, 3]) {
                asked.push(millis);
            }
        }
        assert_eq!(asked, [2, 6, 10, 14, 18, 22, 26, 30]);
    }

    #[test]
    fn only_the_preferred_sender_is_asked() {
        let (mut ends, now) = (Ends::new(), start());
        ends.send(now, &[5, 6, 7]);
        ends.reassembler.prefer(Some(peer(2)));
        assert_eq!(ends.missing(now + 100 * MS), None);
        assert_eq!(ends.reassembler.next_missing(), None);
    }

    #[test]
    fn each_message_is_asked_for_when_it_is_due() {
        let (mut ends, now) = (Ends::new(), start());
        ends.send(now, &[0, 1, 2, 3]);
        ends.send(now + MS / 2, &[5, 6, 7]);
        assert_eq!(ends.reassembler.next_missing(), Some(now + LATE_BY));
        assert_eq!(ends.missing(now + LATE_BY), Some(vec![0, 1, 2, 3]));
        assert_eq!(ends.missing(now + LATE_BY), None);
        assert_eq!(ends.missing(now + LATE_BY + MS / 2), Some(vec![5, 6, 7]));
    }

    /// The first shards of a message of ten under another stream and number.
    fn forge(ends: &mut Ends, now: Instant, stream: u64, number: u64) {
        let forged = datagrams(&mut splitter(stream), &bytes(10 * 1_364), Parity::NONE);
        for mut datagram in forged.into_iter().take(8) {
            datagram[12..20].copy_from_slice(&number.to_be_bytes());
            let taken = ends.reassembler.handle_datagram(now, peer(1), &datagram);
            assert!(taken.unwrap().is_none());
        }
    }

    #[test]
    fn a_forged_number_does_not_keep_others_from_being_asked_for() {
        let (mut ends, now) = (Ends::new(), start());
        forge(&mut ends, now, 9, u64::MAX);
        ends.send(now, &[1, 4, 11]);
        let asked: Vec<_> = (0..2)
            .map(|_| ends.reassembler.missing(now + LATE_BY).unwrap().1)
            .collect();
        assert!(asked.iter().any(|one| one.number == 0), "{asked:?}");
    }

    #[test]
    fn what_is_due_is_what_is_asked_for_and_that_ends() {
        let (mut ends, now) = (Ends::new(), start());
        // Two streams with the same number, of which one is due before the other.
        forge(&mut ends, now, 7, 0);
        forge(&mut ends, now + MS / 2, 8, 0);
        let mut asked = 0;
        while let Some(due) = ends.reassembler.next_missing() {
            assert!(ends.reassembler.missing(due).is_some(), "after {asked}");
            asked += 1;
        }
        assert_eq!(asked, 2 * ASKED_AT_MOST);
    }

    /// A burst of losses may be longer than half of a message.
    #[test]
    fn a_message_that_lacks_most_of_its_data_is_asked_for() {
        let (mut ends, now) = (Ends::new(), start());
        let lost: Vec<_> = (0..11).collect();
        ends.send(now, &lost);
        assert_eq!(ends.missing(now + LATE_BY), Some(lost));
    }
}
