//! Who was admitted, and how each member ended.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{MemberOutcome, MemberSummary};

/// A member to be admitted.
#[derive(Debug)]
pub struct NewMember<S> {
    pub(super) stream: S,
    pub(super) label: String,
    pub(super) key: Option<[u8; 32]>,
    pub(super) address: Option<IpAddr>,
}

impl<S> NewMember<S> {
    /// A connection, authenticated and encrypted, and how to call the member in events
    /// and in the summary.
    pub fn new(stream: S, label: impl Into<String>) -> Self {
        Self {
            stream,
            label: label.into(),
            key: None,
            address: None,
        }
    }

    /// The address from which it is connected. What is multicast for one address alone is
    /// limited, however many members connect from there. Default: none; each connection
    /// has a limit of its own.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The fingerprint of the key with which it was authenticated. One that disconnects
    /// and comes back is known by it. Default: none; each connection is a member of its
    /// own.
    pub fn key(mut self, fingerprint: [u8; 32]) -> Self {
        self.key = Some(fingerprint);
        self
    }
}

/// Everyone that was admitted, in order.
#[derive(Debug, Default)]
pub(super) struct Roster {
    entries: Vec<Entry>,
    /// Which entries have that key, in order.
    by_key: HashMap<[u8; 32], Vec<usize>>,
}

/// Connections of one member, each from after the one before.
#[derive(Debug)]
struct Entry {
    key: Option<[u8; 32]>,
    admitted_at: Instant,
    /// When its member last said something.
    heard_at: Instant,
    /// The best of the connections before.
    earlier: Option<MemberSummary>,
    last: MemberSummary,
    is_open: bool,
}

impl Roster {
    /// Returns its place. A connection with the key of one that has ended is of the same
    /// member, and gets its place; of several, that of the one that lacks most.
    pub(super) fn admit(&mut self, label: String, key: Option<[u8; 32]>, now: Instant) -> usize {
        let of_key = key.and_then(|key| self.by_key.get(&key));
        // From the last to the first: of several that lack as much it is the first.
        let of_key = of_key.into_iter().flatten().rev().copied();
        let closed = of_key.filter(|&place| !self.entries[place].is_open);
        if let Some(place) = closed.max_by_key(|&place| self.entries[place].lacks()) {
            self.entries[place].reopen(label, now);
            return place;
        }
        let place = self.place_for_another();
        let entry = Entry::new(label, key, now);
        match self.entries.get_mut(place) {
            Some(forgotten) => *forgotten = entry,
            None => self.entries.push(entry),
        }
        if let Some(key) = key {
            self.by_key.entry(key).or_default().push(place);
        }
        place
    }

    /// Where there are very many, that of one that has failed.
    fn place_for_another(&mut self) -> usize {
        let end = self.entries.len();
        if end < MAX_ENTRIES {
            return end;
        }
        let Some(place) = self.entries.iter().position(Entry::has_failed) else {
            return end;
        };
        if let Some(key) = self.entries[place].key
            && let Some(places) = self.by_key.get_mut(&key)
        {
            places.retain(|of_key| *of_key != place);
            if places.is_empty() {
                self.by_key.remove(&key);
            }
        }
        place
    }

    /// The connection at that place has brought a message.
    pub(super) fn heard(&mut self, place: usize, now: Instant) {
        if let Some(entry) = self.entries.get_mut(place) {
            entry.heard_at = now;
        }
    }

    /// The connection at that place has ended.
    pub(super) fn end(&mut self, place: usize, outcome: MemberOutcome) {
        if let Some(entry) = self.entries.get_mut(place) {
            entry.last.outcome = outcome;
            entry.is_open = false;
        }
    }

    /// One summary for each member, with the best outcome of its connections. One with
    /// the key of an older one that said nothing any more is of the same member. Two that
    /// speak at the same time are two machines, such as clones of one disk.
    pub(super) fn into_members(self) -> Vec<MemberSummary> {
        let mut entries: Vec<_> = self.entries.into_iter().map(Some).collect();
        for places in self.by_key.values() {
            for (number, &place) in places.iter().enumerate() {
                let Some(next) = entries[place].take() else {
                    continue;
                };
                let before = places[..number].iter().rev().filter_map(|&place| {
                    let earlier: &Entry = entries[place].as_ref()?;
                    (earlier.precedes(&next)).then(|| (earlier.lacks(), place))
                });
                // As when it is admitted.
                let earlier = before.max_by_key(|(lacks, _)| *lacks);
                match earlier.and_then(|(_, place)| entries[place].as_mut()) {
                    Some(earlier) => earlier.succeed(next),
                    None => entries[place] = Some(next),
                }
            }
        }
        let members = entries.into_iter().flatten();
        members.map(Entry::into_summary).collect()
    }
}

impl Entry {
    fn new(label: String, key: Option<[u8; 32]>, now: Instant) -> Self {
        Self {
            key,
            admitted_at: now,
            heard_at: now,
            earlier: None,
            last: not_accepted(label),
            is_open: true,
        }
    }

    fn reopen(&mut self, label: String, now: Instant) {
        let last = std::mem::replace(&mut self.last, not_accepted(label));
        self.earlier = Some(better(self.earlier.take(), last));
        (self.heard_at, self.is_open) = (now, true);
    }

    fn has_failed(&self) -> bool {
        !self.is_open && self.lacks() == u64::MAX
    }

    /// The fewest files that one of its connections lacked.
    fn lacks(&self) -> u64 {
        let connections = self.earlier.iter().chain([&self.last]);
        let lacks = connections.map(|member| rank(&member.outcome));
        lacks.min().unwrap_or(u64::MAX)
    }

    /// Whether it is the same machine that has come back.
    fn precedes(&self, next: &Self) -> bool {
        self.heard_at <= next.admitted_at + ON_ITS_WAY
    }

    fn succeed(&mut self, next: Self) {
        self.heard_at = next.heard_at;
        let next = next.into_summary();
        let last = std::mem::replace(&mut self.last, next);
        self.earlier = Some(better(self.earlier.take(), last));
    }

    fn into_summary(self) -> MemberSummary {
        better(self.earlier, self.last)
    }
}

fn not_accepted(label: String) -> MemberSummary {
    let outcome = MemberOutcome::Failed("it has not accepted".to_owned());
    MemberSummary { label, outcome }
}

/// The later of two that are as good.
fn better(earlier: Option<MemberSummary>, next: MemberSummary) -> MemberSummary {
    match earlier {
        Some(earlier) if rank(&earlier.outcome) < rank(&next.outcome) => earlier,
        _ => next,
    }
}

/// Files that the member does not have.
fn rank(outcome: &MemberOutcome) -> u64 {
    match outcome {
        MemberOutcome::Complete => 0,
        MemberOutcome::Without(files) => (*files).into(),
        MemberOutcome::Failed(_) => u64::MAX,
    }
}

/// What a connection brought may be read a little after the next one was admitted.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// Far more than a group has: only a peer that comes with new keys all the time fills it.
const MAX_ENTRIES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: fn() -> MemberOutcome = || MemberOutcome::Failed("gone".to_owned());

    /// A key; in seconds when it was admitted, and when it was last heard; its outcome.
    type Connection = (Option<u8>, u64, u64, MemberOutcome);

    /// The outcomes of the members, with the numbers of their connections. That a
    /// connection has ended is seen when it was last heard, or only in the end.
    fn members(connections: &[Connection]) -> Vec<(String, MemberOutcome)> {
        let at_once = members_if(connections, |heard| heard);
        assert_eq!(at_once, members_if(connections, |_| u64::MAX));
        at_once
    }

    fn members_if(
        connections: &[Connection],
        seen_at: impl Fn(u64) -> u64,
    ) -> Vec<(String, MemberOutcome)> {
        let (start, mut roster) = (Instant::now(), Roster::default());
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut open: Vec<(u64, usize, MemberOutcome)> = Vec::new();
        for (number, (key, admitted, heard, outcome)) in connections.iter().enumerate() {
            for (_, place, outcome) in open.extract_if(.., |(at, ..)| *at < *admitted) {
                roster.end(place, outcome);
            }
            let key = key.map(|key| [key; 32]);
            let place = roster.admit(number.to_string(), key, after(*admitted));
            roster.heard(place, after(*heard));
            open.push((seen_at(*heard), place, outcome.clone()));
        }
        for (_, place, outcome) in open {
            roster.end(place, outcome);
        }
        let members = roster.into_members().into_iter();
        members
            .map(|member| (member.label, member.outcome))
            .collect()
    }

    fn member(label: &str, outcome: MemberOutcome) -> (String, MemberOutcome) {
        (label.to_owned(), outcome)
    }

    #[test]
    fn a_member_that_comes_back_has_the_outcome_of_its_last_attempt() {
        let connections = [
            (Some(1), 0, 5, FAILED()),
            (Some(2), 0, 20, MemberOutcome::Complete),
            (Some(1), 7, 8, FAILED()),
            (Some(1), 9, 20, MemberOutcome::Complete),
        ];
        let expected = [
            member("3", MemberOutcome::Complete),
            member("1", MemberOutcome::Complete),
        ];
        assert_eq!(members(&connections), expected);
        let expected = [member("2", FAILED()), member("1", MemberOutcome::Complete)];
        assert_eq!(members(&connections[..3]), expected);
    }

    #[test]
    fn what_a_member_had_it_does_not_lose_by_coming_back() {
        let connections = [
            (Some(1), 0, 5, MemberOutcome::Complete),
            (Some(1), 7, 8, FAILED()),
            (Some(2), 0, 5, MemberOutcome::Without(1)),
            (Some(2), 7, 8, MemberOutcome::Without(2)),
        ];
        let expected = [
            member("0", MemberOutcome::Complete),
            member("2", MemberOutcome::Without(1)),
        ];
        assert_eq!(members(&connections), expected);
    }

    #[test]
    fn two_that_speak_at_the_same_time_are_two_members() {
        let connections = [
            (Some(1), 0, 9, FAILED()),
            (Some(1), 2, 9, MemberOutcome::Complete),
            (None, 0, 1, FAILED()),
            (None, 2, 9, MemberOutcome::Complete),
        ];
        let members = members(&connections);
        let failed = |(_, outcome): &&(String, MemberOutcome)| *outcome == FAILED();
        assert_eq!(
            (members.len(), members.iter().filter(failed).count()),
            (4, 2)
        );
    }

    #[test]
    fn of_two_with_one_key_the_one_that_lacks_files_comes_back() {
        for lacking in [FAILED(), MemberOutcome::Without(3)] {
            let connections = [
                (Some(1), 0, 5, MemberOutcome::Complete),
                (Some(1), 0, 9, lacking),
                (Some(1), 20, 30, MemberOutcome::Complete),
            ];
            let expected = [
                member("0", MemberOutcome::Complete),
                member("2", MemberOutcome::Complete),
            ];
            assert_eq!(members(&connections), expected);
        }
    }

    #[test]
    fn one_that_comes_back_again_and_again_takes_no_more_room() {
        let (start, mut roster) = (Instant::now(), Roster::default());
        for attempt in 0..1_000 {
            let now = start + Duration::from_millis(attempt);
            let place = roster.admit(attempt.to_string(), Some([1; 32]), now);
            roster.end(place, FAILED());
        }
        assert_eq!(roster.entries.len(), 1);
        let members = roster.into_members();
        assert_eq!((members.len(), &*members[0].label), (1, "999"));
    }

    #[test]
    fn of_very_many_some_that_failed_are_forgotten() {
        let (now, mut roster) = (Instant::now(), Roster::default());
        let open = roster.admit("open".to_owned(), None, now);
        for number in 0..MAX_ENTRIES + 9 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let place = roster.admit(number.to_string(), Some(key), now);
            roster.end(place, FAILED());
        }
        roster.end(open, MemberOutcome::Complete);
        assert_eq!(roster.entries.len(), MAX_ENTRIES);
        assert_eq!(roster.by_key.len(), MAX_ENTRIES - 1);
        let members = roster.into_members();
        assert_eq!(members[0].outcome, MemberOutcome::Complete);
        assert_eq!(members.len(), MAX_ENTRIES);
    }
}
