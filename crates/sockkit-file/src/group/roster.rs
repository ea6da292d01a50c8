//! Who was admitted, and how each member ended.

use std::{
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

/// Every connection that was admitted, in order.
#[derive(Debug, Default)]
pub(super) struct Roster(Vec<Admitted>);

#[derive(Debug)]
struct Admitted {
    label: String,
    key: Option<[u8; 32]>,
    admitted_at: Instant,
    /// When its member last said something.
    heard_at: Instant,
    outcome: MemberOutcome,
}

impl Roster {
    /// Returns its place.
    pub(super) fn admit(&mut self, label: String, key: Option<[u8; 32]>, now: Instant) -> usize {
        self.0.push(Admitted {
            label,
            key,
            admitted_at: now,
            heard_at: now,
            outcome: MemberOutcome::Failed("it has not accepted".to_owned()),
        });
        self.0.len() - 1
    }

    /// The connection at that place has brought a message.
    pub(super) fn heard(&mut self, place: usize, now: Instant) {
        if let Some(admitted) = self.0.get_mut(place) {
            admitted.heard_at = now;
        }
    }

    /// The connection at that place has ended.
    pub(super) fn end(&mut self, place: usize, outcome: MemberOutcome) {
        if let Some(admitted) = self.0.get_mut(place) {
            admitted.outcome = outcome;
        }
    }

    /// One entry for each member. A connection with the key of one that said nothing
    /// any more is of the same member, which has the better of both outcomes. Two that
    /// speak at the same time are two machines, such as clones of one disk.
    pub(super) fn into_members(self) -> Vec<MemberSummary> {
        let mut members: Vec<Admitted> = Vec::new();
        for next in self.0 {
            let earlier = members.iter_mut().find(|earlier| earlier.precedes(&next));
            match earlier {
                Some(earlier) => earlier.succeed(next),
                None => members.push(next),
            }
        }
        let summary = |member: Admitted| MemberSummary {
            label: member.label,
            outcome: member.outcome,
        };
        members.into_iter().map(summary).collect()
    }
}

impl Admitted {
    /// Whether it is the same machine that has come back.
    fn precedes(&self, next: &Self) -> bool {
        self.key.is_some() && self.key == next.key && self.heard_at <= next.admitted_at + ON_ITS_WAY
    }

    fn succeed(&mut self, next: Self) {
        self.heard_at = next.heard_at;
        if rank(&next.outcome) <= rank(&self.outcome) {
            (self.label, self.outcome) = (next.label, next.outcome);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: fn() -> MemberOutcome = || MemberOutcome::Failed("gone".to_owned());

    /// A key; in seconds when it was admitted, and when it was last heard; its outcome.
    type Connection = (Option<u8>, u64, u64, MemberOutcome);

    /// The outcomes of the members, with the numbers of their connections.
    fn members(connections: &[Connection]) -> Vec<(String, MemberOutcome)> {
        let (start, mut roster) = (Instant::now(), Roster::default());
        let after = |seconds| start + Duration::from_secs(seconds);
        for (number, (key, admitted, heard, outcome)) in connections.iter().enumerate() {
            let key = key.map(|key| [key; 32]);
            let place = roster.admit(number.to_string(), key, after(*admitted));
            roster.heard(place, after(*heard));
            roster.end(place, outcome.clone());
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
}
