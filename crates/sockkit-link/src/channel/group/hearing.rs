//! Whether a group reaches a member. Pure.

use std::time::{Duration, Instant};

/// What a member says about the group.
#[derive(Debug)]
pub(super) struct Hearing {
    /// When the last datagram came by the group, or it was joined.
    heard: Instant,
    /// After so much silence the group is not heard any more.
    timeout: Duration,
    said: Option<bool>,
}

impl Hearing {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            timeout: TIMEOUT,
            said: None,
        }
    }

    /// A datagram of the sender has come by the group. Returns what to say, if that is new.
    pub(super) fn on_datagram(&mut self, now: Instant) -> Option<bool> {
        if self.said.is_some() {
            // A sender of few messages is not silent between two, also if that was said.
            let least = TIMEOUT + 2 * now.saturating_duration_since(self.heard);
            let timeout = self.timeout.saturating_sub(FORGOTTEN).max(least);
            self.timeout = timeout.min(MAX_TIMEOUT);
        }
        self.heard = now;
        self.say(true)
    }

    /// Returns what to say after some time, if that is new.
    pub(super) fn on_timeout(&mut self, now: Instant) -> Option<bool> {
        let is_over = self.deadline().is_some_and(|deadline| now >= deadline);
        if is_over { self.say(false) } else { None }
    }

    /// When [`on_timeout`](Self::on_timeout) has something to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.said != Some(false)).then(|| self.heard + self.timeout)
    }

    fn say(&mut self, hears: bool) -> Option<bool> {
        (self.said.replace(hears) != Some(hears)).then_some(hears)
    }
}

const TIMEOUT: Duration = Duration::from_secs(1);

/// Of a longer silence, with each datagram.
const FORGOTTEN: Duration = Duration::from_millis(1);

const MAX_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_said_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut hearing = Hearing::new(start);
        assert_eq!(hearing.on_timeout(at(999)), None);
        assert_eq!(hearing.on_timeout(at(1_000)), Some(false));
        assert_eq!(hearing.deadline(), None);
        assert_eq!(hearing.on_timeout(at(9_000)), None);
        assert_eq!(hearing.on_datagram(at(9_000)), Some(true));
        assert_eq!(hearing.on_datagram(at(9_040)), None);
        // After the longest pause between two messages.
        assert_eq!(hearing.deadline(), Some(at(19_039)));
        assert_eq!(hearing.on_timeout(at(19_038)), None);
        assert_eq!(hearing.on_timeout(at(19_039)), Some(false));
    }

    #[test]
    fn rare_messages_are_no_silence() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut hearing = Hearing::new(start);
        hearing.on_datagram(start);
        assert_eq!(hearing.on_timeout(at(1)), Some(false));
        assert_eq!(hearing.on_datagram(at(3)), Some(true));
        assert_eq!(hearing.deadline(), Some(at(10)));
        hearing.on_datagram(at(9));
        assert_eq!(hearing.deadline(), Some(at(19)));
        // Then many, and after a while it is as before.
        for _ in 0..9_000 {
            hearing.on_datagram(at(9));
        }
        assert_eq!(hearing.deadline(), Some(at(10)));
    }
}
