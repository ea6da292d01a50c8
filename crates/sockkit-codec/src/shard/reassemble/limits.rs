//! Enforces the limits: which messages are dropped, and when.

use std::{net::SocketAddr, time::Instant};

use bytes::BytesMut;

use super::{
    super::header::MessageHeader,
    Reassembler,
    assembly::Assembly,
    missing::Asking,
    share::{Holding, Sender, payer},
    streams::MessageId,
};

impl Reassembler {
    /// Drops the messages that are too old.
    pub fn expire(&mut self, now: Instant) {
        let max_age = self.config.max_age;
        self.give_up_if(|assembly| now.saturating_duration_since(assembly.since) >= max_age);
        let oldest = self.in_flight.iter().map(|assembly| assembly.since).min();
        self.deadline = oldest.and_then(|since| since.checked_add(max_age));
    }

    /// Makes room for a message, by dropping another if all places are in use.
    pub(super) fn begin(&mut self, now: Instant, from: SocketAddr, header: MessageHeader) -> usize {
        let from = Sender::new(from);
        if self.in_flight.len() == self.config.max_messages
            && let Some(place) = self.payer(from, self.config.max_messages, |_| 1)
        {
            self.give_up(place);
        }
        let storage = self.pool.take(header.message_bytes as usize);
        self.in_flight.push(Assembly {
            from,
            header,
            since: now,
            asking: Asking::new(now),
            storage,
        });
        if self.deadline.is_none() {
            self.deadline = now.checked_add(self.config.max_age);
        }
        self.in_flight.len() - 1
    }

    /// Extends the message's buffer by one shard, within the limit.
    ///
    /// Returns its place, which changes when others are dropped; `None` if it
    /// had to be dropped itself.
    pub(super) fn make_room(&mut self, mut place: usize) -> Option<usize> {
        let assembly = self.in_flight.get(place)?;
        let (from, wanted) = (assembly.from, assembly.capacity_for_next());
        let more = wanted - assembly.storage.shards.capacity();
        if more == 0 {
            return Some(place);
        }
        while self.buffered_bytes() + more > self.config.max_buffered_bytes {
            if self.pool.release_one() {
                continue;
            }
            let limit = self.config.max_buffered_bytes;
            let victim = self.payer(from, limit, Assembly::capacity_bytes)?;
            self.give_up(victim);
            if victim == place {
                return None;
            }
            // The last message has moved into the victim's place.
            if place == self.in_flight.len() {
                place = victim;
            }
        }
        let assembly = self.in_flight.get_mut(place)?;
        let mut larger = BytesMut::with_capacity(wanted);
        larger.extend_from_slice(&assembly.storage.shards);
        assembly.storage.shards = larger;
        Some(place)
    }

    /// The place of the message to drop for one of `asker`'s.
    fn payer(
        &self,
        asker: Sender,
        limit: usize,
        weight: impl Fn(&Assembly) -> usize,
    ) -> Option<usize> {
        let holding = |one: &Assembly| Holding {
            from: one.from,
            weight: weight(one),
            since: one.since,
        };
        let holdings: Vec<_> = self.in_flight.iter().map(holding).collect();
        payer(&holdings, asker, self.preferred, limit)
    }

    pub(super) fn give_up_if(&mut self, condition: impl Fn(&Assembly) -> bool) {
        let mut place = 0;
        while let Some(assembly) = self.in_flight.get(place) {
            if condition(assembly) {
                self.give_up(place);
            } else {
                place += 1;
            }
        }
    }

    fn give_up(&mut self, place: usize) {
        let assembly = self.in_flight.swap_remove(place);
        self.stats.given_up += 1;
        self.finished
            .give_up(MessageId::new(assembly.from.address, &assembly.header));
        self.pool.put(assembly.storage);
    }

    /// Releases spare buffers until the rest is within the limit.
    pub(super) fn trim_pool(&mut self) {
        while self.buffered_bytes() > self.config.max_buffered_bytes && self.pool.release_one() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{
        super::{Parity, ShardError},
        Older, ReassemblyConfig,
        tests::{bytes, datagrams, peer, reassembler, splitter, start, take},
    };
    use super::*;

    #[test]
    fn too_many_losses_yield_nothing_until_the_time_is_over() {
        let mut reassembler =
            Reassembler::new(ReassemblyConfig::default().max_age(Duration::from_millis(100)));
        let begun_at = start();
        let lost = datagrams(&mut splitter(1), &bytes(60_000), Parity::percent(20));
        for datagram in &lost[10..] {
            let taken = reassembler.handle_datagram(begun_at, peer(1), datagram);
            assert_eq!(taken, Ok(None));
        }
        let deadline = begun_at + Duration::from_millis(100);
        assert_eq!(reassembler.deadline(), Some(deadline));
        reassembler.expire(deadline - Duration::from_nanos(1));
        assert_eq!(reassembler.stats().given_up, 0);
        reassembler.expire(deadline);
        assert_eq!(reassembler.stats().given_up, 1);
        assert_eq!(reassembler.deadline(), None);
        // It stays dropped.
        let late = reassembler.handle_datagram(deadline, peer(1), &lost[0]);
        assert_eq!((late, reassembler.stats().late), (Ok(None), 1));
    }

    #[test]
    fn the_next_datagram_gives_up_what_is_overdue() {
        for (late, given_up) in [(0, 1), (1, 0)] {
            let age = Duration::from_millis(100);
            let mut reassembler = Reassembler::new(ReassemblyConfig::default().max_age(age));
            let begun_at = start();
            let begun = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
            let other = datagrams(&mut splitter(2), &bytes(9_000), Parity::NONE);
            let _ = reassembler.handle_datagram(begun_at, peer(1), &begun[0]);
            let now = begun_at + age - Duration::from_nanos(late);
            let _ = reassembler.handle_datagram(now, peer(2), &other[0]);
            let stats = reassembler.stats();
            assert_eq!((stats.datagrams, stats.given_up), (2, given_up));
            // The older one decides when there is something to do again.
            let since = if given_up == 1 { now } else { begun_at };
            assert_eq!(reassembler.deadline(), Some(since + age));
        }
    }

    #[test]
    fn a_message_of_one_datagram_holds_nothing() {
        let mut reassembler = reassembler();
        let set = datagrams(&mut splitter(1), &bytes(1_000), Parity::NONE);
        assert_eq!(take(&mut reassembler, &set).len(), 1);
        assert_eq!(reassembler.buffered_bytes(), 0);
    }

    #[test]
    fn room_for_a_message_doubles_up_to_its_size() {
        let mut reassembler = reassembler();
        let set = datagrams(&mut splitter(1), &bytes(60_000), Parity::NONE);
        for (came, datagram) in (1..44).zip(&set) {
            assert_eq!(take(&mut reassembler, [datagram]).len(), 0);
            let shards = match came {
                0..=4 => 4,
                5..=8 => 8,
                9..=16 => 16,
                17..=32 => 32,
                _ => 44,
            };
            assert_eq!(reassembler.buffered_bytes(), shards * 1_364, "{came}");
        }
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut reassembler = reassembler();
        let huge = datagrams(&mut splitter(1), &vec![1; 16 << 20], Parity::percent(10));
        for datagram in [&huge[0], &huge[12_000], huge.last().unwrap()] {
            let _ = reassembler.handle_datagram(start(), peer(1), datagram);
        }
        assert!(reassembler.buffered_bytes() < 16 << 10);
    }

    #[test]
    fn a_message_over_the_limit_is_refused() {
        let limit = ReassemblyConfig::default().max_message_bytes(9_000);
        let mut reassembler = Reassembler::new(limit);
        let fits = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
        let over = datagrams(&mut splitter(2), &bytes(9_001), Parity::NONE);
        assert_eq!(take(&mut reassembler, &fits).len(), 1);
        assert_eq!(
            reassembler.handle_datagram(start(), peer(1), &over[0]),
            Err(ShardError::MessageTooLong {
                announced: 9_001,
                limit: 9_000
            })
        );
        assert_eq!(reassembler.stats().malformed, 1);
    }

    #[test]
    fn a_peer_that_floods_pushes_out_its_own_messages() {
        let mut reassembler = Reassembler::new(ReassemblyConfig::default().max_messages(8));
        let now = start();
        let honest = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
        for datagram in &honest[..6] {
            let _ = reassembler.handle_datagram(now, peer(1), datagram);
        }
        let mut hostile = splitter(2);
        for _ in 0..1_000 {
            let flood = datagrams(&mut hostile, &bytes(9_000), Parity::NONE);
            let _ = reassembler.handle_datagram(now, peer(2), &flood[0]);
            assert!(reassembler.in_flight.len() <= 8);
        }
        assert_eq!(take(&mut reassembler, &honest[6..]).len(), 1);
        assert_eq!(reassembler.stats().given_up, 1_000 - 7);
    }

    #[test]
    fn buffered_bytes_stay_under_the_limit() {
        let limit = 100_000;
        let mut reassembler =
            Reassembler::new(ReassemblyConfig::default().max_buffered_bytes(limit));
        let now = start();
        let mut senders = [splitter(1), splitter(2), splitter(3)];
        for round in 0..50 {
            for (host, sender) in (0..).zip(&mut senders) {
                let set = datagrams(sender, &bytes(20_000 + round * 1_000), Parity::NONE);
                for datagram in &set[1..] {
                    let _ = reassembler.handle_datagram(now, peer(host), datagram);
                    assert!(reassembler.buffered_bytes() <= limit);
                }
            }
        }
        // A message that the limit has room for still arrives.
        let set = datagrams(&mut senders[0], &bytes(60_000), Parity::NONE);
        assert_eq!(take(&mut reassembler, &set).len(), 1);
        // One longer than the limit never does, and holds nothing.
        let set = datagrams(&mut senders[0], &bytes(120_000), Parity::NONE);
        assert_eq!(take(&mut reassembler, &set).len(), 0);
    }

    #[test]
    fn the_limit_of_buffered_bytes_is_usable_to_its_last_byte() {
        // Seven shards of 1,286 bytes.
        for (limit, arrived) in [(9_002, 1), (9_001, 0)] {
            let config = ReassemblyConfig::default().max_buffered_bytes(limit);
            let mut reassembler = Reassembler::new(config);
            let set = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
            assert_eq!(take(&mut reassembler, &set).len(), arrived, "{limit}");
        }
    }

    #[test]
    fn one_stream_too_many_is_one_forgotten() {
        for (streams, again) in [(1, 1), (2, 0)] {
            let config = ReassemblyConfig::default().max_streams(streams);
            let mut reassembler = Reassembler::new(config);
            let first = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
            let second = datagrams(&mut splitter(2), &bytes(9_000), Parity::NONE);
            assert_eq!(take(&mut reassembler, first.iter().chain(&second)).len(), 2);
            assert_eq!(take(&mut reassembler, &first).len(), again, "{streams}");
        }
    }

    #[test]
    fn a_newer_picture_gives_up_the_older_one() {
        for (policy, given_up) in [(Older::Keep, 0), (Older::GiveUp, 1)] {
            let mut reassembler = Reassembler::new(ReassemblyConfig::default().older(policy));
            let mut sender = splitter(1);
            let older = datagrams(&mut sender, &bytes(9_000), Parity::NONE);
            let newer = datagrams(&mut sender, &bytes(9_000), Parity::NONE);
            assert_eq!(take(&mut reassembler, &older[..6]).len(), 0);
            assert_eq!(take(&mut reassembler, &newer).len(), 1);
            assert_eq!(reassembler.stats().given_up, given_up);
            let rest = take(&mut reassembler, &older[6..]).len();
            assert_eq!(rest as u64, 1 - given_up);
        }
    }

    /// An address of host 9, by port.
    fn port(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 9], port))
    }

    /// Whether the honest message of `peer(1)` arrives when all but its first
    /// datagrams come after `flood` messages of 20,000 bytes begun by others.
    fn survives(config: ReassemblyConfig, preferred: bool, flood: &[SocketAddr]) -> bool {
        let mut reassembler = Reassembler::new(config);
        reassembler.prefer(preferred.then(|| peer(1)));
        let now = start();
        let honest = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
        assert_eq!(take(&mut reassembler, &honest[..5]).len(), 0);
        for (stream, from) in (2..).zip(flood) {
            let set = datagrams(&mut splitter(stream), &bytes(20_000), Parity::NONE);
            for (shard, datagram) in set[1..].iter().enumerate() {
                let later = now + Duration::from_micros(stream * 100 + shard as u64);
                let _ = reassembler.handle_datagram(later, *from, datagram);
            }
        }
        take(&mut reassembler, &honest[5..]).len() == 1
    }

    #[test]
    fn the_ports_of_a_host_share_its_quarter() {
        let ports: Vec<_> = (1..=130).map(port).collect();
        let config = ReassemblyConfig::default;
        assert!(survives(config(), false, &ports));
        assert!(survives(config().max_messages(4), false, &ports));
        assert!(survives(
            config().max_buffered_bytes(100_000),
            false,
            &ports
        ));
    }

    #[test]
    fn many_hosts_push_out_what_is_not_preferred() {
        let hosts: Vec<_> = (2..200).map(peer).collect();
        let places = || ReassemblyConfig::default().max_messages(8);
        assert!(survives(places(), true, &hosts));
        assert!(!survives(places(), false, &hosts));
        let room = || ReassemblyConfig::default().max_buffered_bytes(100_000);
        assert!(survives(room(), true, &hosts));
        assert!(!survives(room(), false, &hosts));
    }

    #[test]
    fn one_host_alone_has_all_there_is() {
        let mut reassembler = Reassembler::new(ReassemblyConfig::default().max_messages(8));
        for begun in 1..=10 {
            let set = datagrams(&mut splitter(begun), &bytes(9_000), Parity::NONE);
            take(&mut reassembler, &set[..1]);
            let given_up = begun.saturating_sub(8);
            assert_eq!(reassembler.stats().given_up, given_up, "{begun}");
        }
    }

    #[test]
    fn what_a_delivered_message_leaves_is_within_the_limit() {
        // Out of order it is in two buffers of eleven shards when it is whole.
        let both = 2 * 11 * 1_364;
        for (limit, kept) in [(both, both), (both - 1, both / 2)] {
            let config = ReassemblyConfig::default().max_buffered_bytes(limit);
            let mut reassembler = Reassembler::new(config);
            let mut set = datagrams(&mut splitter(1), &bytes(15_000), Parity::NONE);
            set.reverse();
            assert_eq!(take(&mut reassembler, &set).len(), 1);
            assert_eq!(reassembler.buffered_bytes(), kept, "{limit}");
        }
    }
}
