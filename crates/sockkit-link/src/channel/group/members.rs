//! The members of a group, and the keys that they are told.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use sockkit_core::udp::UdpError;

use super::Reached;
use crate::{
    channel::{
        socket::Socket,
        subscribed::{Subscriber, Subscription},
    },
    sealing::{
        Sealer,
        epochs::Epochs,
        random_secret,
        subscription::{NextEpoch, SubscriptionMessage},
    },
};

/// A member, and how it gets its own datagrams.
#[derive(Clone)]
pub(in crate::channel) struct Member {
    subscriber: Subscriber,
    socket: Arc<Socket>,
    to: SocketAddr,
    /// Since when it gets all by unicast as well, and for how long.
    handed_over: Option<(Instant, Duration)>,
}

impl Member {
    pub(in crate::channel) fn new(
        subscription: &Subscription,
        socket: &Arc<Socket>,
        to: SocketAddr,
    ) -> Self {
        Self {
            subscriber: subscription.subscriber(),
            socket: Arc::clone(socket),
            to,
            handed_over: None,
        }
    }

    /// Sends to it alone, from the address that its firewall knows.
    pub(super) async fn send(&self, run: &[u8], segment_bytes: usize) -> Result<(), UdpError> {
        let endpoint = self.socket.endpoint();
        endpoint
            .send_segments(Some(self.to), run, segment_bytes)
            .await
    }

    /// This machine's address on the network of that member: by loopback no other machine
    /// would hear the group.
    pub(super) fn outward_ip(&self) -> Option<IpAddr> {
        let local = self.socket.endpoint().local_addr().ok()?.ip();
        (!local.is_unspecified() && !local.to_canonical().is_loopback()).then_some(local)
    }

    fn is_unicast(&self, now: Instant) -> bool {
        let is_held = |(since, long)| now.saturating_duration_since(since) < long;
        self.handed_over.is_some_and(is_held) || self.subscriber.hears() != Some(true)
    }
}

pub(super) struct Members {
    epochs: Epochs,
    members: BTreeMap<u64, Member>,
    next: u64,
    /// When one was removed that knows all keys that were told.
    removed: Option<Instant>,
    /// When the others were last told of another key for that.
    changed: Option<Instant>,
}

impl Members {
    pub(super) fn new(epochs: Epochs) -> Self {
        Self {
            epochs,
            members: BTreeMap::new(),
            next: 0,
            removed: None,
            changed: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// The secret of the current epoch, and the later ones that were told.
    pub(super) fn secrets(&self) -> ([u8; 32], impl Iterator<Item = &NextEpoch>) {
        self.epochs.known()
    }

    /// Returns its number.
    pub(super) fn add(&mut self, member: Member) -> u64 {
        let number = self.next;
        self.next += 1;
        self.members.insert(number, member);
        number
    }

    /// Tells the others of a key that this one does not get.
    pub(super) fn remove(&mut self, now: Instant, number: u64) {
        self.members.remove(&number);
        self.removed.get_or_insert(now);
        // Without random numbers, the next message fails.
        let _ = self.change_key(now);
    }

    /// Its place among the others.
    pub(super) fn place(&self, number: u64) -> Option<(usize, Member)> {
        let member = self.members.get(&number)?.clone();
        Some((self.members.range(..number).count(), member))
    }

    pub(super) fn hand_over(&mut self, now: Instant, to: SocketAddr, long: Duration) {
        for member in self.members.values_mut().filter(|one| one.to == to) {
            member.handed_over = Some((now, long));
        }
    }

    /// Tells of a later epoch, or begins one, if it is time for that.
    pub(super) fn before_message(&mut self, now: Instant, sealer: &mut Sealer) -> io::Result<()> {
        self.change_key(now)?;
        if self.epochs.is_due(sealer) {
            let next = self.epochs.tell(random_secret()?);
            self.tell(next);
        }
        self.epochs.before_message(now, sealer);
        Ok(())
    }

    /// Those that get the datagrams by unicast as well.
    pub(super) fn unicast(&self, now: Instant) -> Vec<Member> {
        let members = self.members.values();
        let unicast = members.filter(|one| one.is_unicast(now));
        unicast.cloned().collect()
    }

    pub(super) fn reached(&self, now: Instant) -> Reached {
        let members = self.members.values();
        let unicast: Vec<_> = members
            .filter(|one| one.is_unicast(now))
            .map(|one| one.to)
            .collect();
        Reached {
            multicast: self.members.len() - unicast.len(),
            unicast,
        }
    }

    /// Members that come and go all the time do not cause more than a few keys a second: each
    /// of the others holds three.
    fn change_key(&mut self, now: Instant) -> io::Result<()> {
        let is_early = |changed| now.saturating_duration_since(changed) < CHANGE_EVERY;
        let Some(removed) = self.removed else {
            return Ok(());
        };
        if self.changed.is_some_and(is_early) {
            return Ok(());
        }
        let next = self.epochs.remove((now, removed), random_secret()?);
        (self.removed, self.changed) = (None, Some(now));
        self.tell(next);
        Ok(())
    }

    /// A member that reads nothing is about to be dropped.
    fn tell(&self, next: NextEpoch) {
        let message = SubscriptionMessage::GroupEpoch(next);
        for member in self.members.values() {
            member.subscriber.tell(&message);
        }
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}

/// With the time in which a key is told: a removed member sees no more after 0.65 s.
const CHANGE_EVERY: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use sockkit_codec::shard::{MessageKind, Parity, SplitConfig, Splitter, StreamId};

    use super::*;
    use crate::sealing::{Direction, Key, Opener, ToldStream};

    /// A stream to a group, and a member that stays.
    struct Scene {
        members: Members,
        sealer: Sealer,
        opener: Opener,
        /// When members were removed, and the last epoch that they were told of.
        removed: Vec<(Instant, u64)>,
    }

    impl Scene {
        fn new() -> Self {
            let splitter = Splitter::new(SplitConfig::default(), STREAM);
            let key = Key::new(&[1; 32]).of_sender(SENDER);
            let sealer = Sealer::new(key.clone(), Direction::FromSender, splitter);
            let told = ToldStream {
                id: STREAM,
                next: sealer.position(),
                key,
                epochs_are_told: true,
                from: FROM,
            };
            let mut opener = Opener::told(Direction::FromSender, []);
            opener.join(told);
            Self {
                members: Members::new(Epochs::new(SENDER, 0, [1; 32])),
                sealer,
                opener,
                removed: Vec::new(),
            }
        }

        fn last_told(&self) -> u64 {
            let (_, later) = self.members.secrets();
            let told = later.last().map(|last| last.epoch);
            told.unwrap_or_else(|| self.sealer.position().epoch())
        }

        fn remove(&mut self, now: Instant) {
            self.removed.push((now, self.last_told()));
            self.members.remove(now, 0);
            self.tell();
        }

        fn tell(&mut self) {
            let (_, later) = self.members.secrets();
            for next in later {
                let key = Key::new(&next.secret).of_sender(SENDER);
                self.opener.tell(STREAM, next.epoch, key, next.removed);
            }
        }

        fn send(&mut self, now: Instant) {
            let told = self.last_told();
            self.members.before_message(now, &mut self.sealer).unwrap();
            let epoch = self.sealer.position().epoch();
            assert!(epoch <= told, "it was told before the message");
            self.tell();
            for (removed, told) in &self.removed {
                let is_gone = now.duration_since(*removed) >= Duration::from_millis(650);
                assert!(epoch > *told || !is_gone, "{epoch}, {told}");
            }
            let sent = (self.sealer).split_parts(MessageKind(1), &[b"a picture"], Parity::NONE);
            for datagram in sent.unwrap().datagrams() {
                self.opener.open(now, FROM, datagram).unwrap();
            }
            self.opener.confirm(now, STREAM, epoch, FROM);
        }
    }

    #[test]
    fn members_that_leave_all_the_time_cost_the_others_nothing() {
        let start = Instant::now();
        for between in [40, 200, 1_000] {
            let mut scene = Scene::new();
            for millis in 0..20_000 {
                let now = start + Duration::from_millis(millis);
                // A leave a moment before a message, and long before it.
                if millis % 400 == 0 {
                    scene.remove(now);
                }
                if millis % between == 0 {
                    scene.send(now);
                }
            }
            assert!(scene.sealer.position().epoch() >= 19, "{between}");
        }
    }

    const STREAM: StreamId = StreamId(7);
    const SENDER: [u8; 32] = [9; 32];
    const FROM: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);
}
