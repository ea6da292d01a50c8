//! What `view` tells of each of its sources: its connection, its sender, its figures.

use std::{net::SocketAddr, time::Duration};

use indicatif::ProgressBar;
use sockkit::{
    latest::Subscriber,
    link::{Address, Scheme},
    picture::Picture,
    stream::{ConnectionState, End, Receiver, Stats, StatsHandle},
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::{
    json::Object,
    say::{self, note, say},
    unopened::{self, Advice},
};

/// Which states of a connection are news: there may be several attempts a second.
#[derive(Debug, Default)]
struct Links {
    told: Option<ConnectionState>,
    /// Pictures that had been received when it was connected.
    received: u64,
    /// Why the last connection ended, if it brought no picture.
    fruitless: Option<End>,
    /// That it is connected again was not told: nor did the last one bring any.
    untold: Option<ConnectionState>,
}

impl Links {
    fn is_news(&mut self, link: ConnectionState, received: u64) -> bool {
        let was_told = self.told == Some(link);
        match link {
            ConnectionState::Up { .. } => {
                self.received = received;
                if self.fruitless.is_some() {
                    self.untold = Some(link);
                    return false;
                }
            }
            ConnectionState::Down { why } => {
                let was_up = matches!(self.told, Some(ConnectionState::Up { .. }));
                let was_connected = self.untold.take().is_some() || was_up;
                let is_again = self.fruitless == Some(why);
                let brought_none = was_connected && received == self.received;
                self.fruitless = brought_none.then_some(why);
                if is_again && brought_none {
                    return false;
                }
            }
            _ => {}
        }
        self.told = Some(link);
        !was_told
    }

    /// A connection of which nothing was told, once it brings pictures.
    fn on_picture(&mut self) -> Option<ConnectionState> {
        self.fruitless = None;
        let link = self.untold.take()?;
        self.told = Some(link);
        Some(link)
    }
}

/// A source that is received.
#[derive(Clone, Debug)]
pub(super) struct Source {
    name: String,
    /// Begins its lines if there are several.
    label: String,
    address: Address,
    pictures: Subscriber<Picture>,
    stats: StatsHandle,
    link: Option<Subscriber<ConnectionState>>,
    /// Whether its sender is neither authenticated nor expected to encrypt.
    is_plain: bool,
}

impl Source {
    pub(super) fn new(name: &str, address: &Address, receiver: &Receiver, is_plain: bool) -> Self {
        Self {
            name: name.to_owned(),
            label: String::new(),
            address: address.clone(),
            pictures: receiver.pictures(),
            stats: receiver.stats(),
            link: receiver.connection_state(),
            is_plain,
        }
    }

    /// Its lines begin with its name.
    pub(super) fn labelled(mut self) -> Self {
        self.label = format!("{}: ", self.name);
        self
    }

    /// Prints what happens to its connection and its sender, once each, and that nothing
    /// comes; ends with the receiver.
    pub(super) async fn tell_events(mut self, progress: ProgressBar) {
        let (mut links, mut sender, mut advice) = (Links::default(), None, Advice::default());
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let patience = sleep_until(Instant::now() + PATIENCE);
        tokio::pin!(patience);
        let mut is_patient = true;
        loop {
            tokio::select! {
                next = self.pictures.next() => {
                    if next.is_none() {
                        return;
                    }
                    if let Some(link) = links.on_picture() {
                        progress.suspend(|| self.tell(link));
                    }
                    let now = self.stats.snapshot().sender;
                    // A connection has already been reported.
                    if self.link.is_none() && sender != now {
                        progress.suspend(|| tell_sender(&self.label, sender, now));
                        sender = now;
                    }
                }
                _ = seconds.tick() => {
                    if let Some(words) = advice.on_figures(&self.stats.snapshot()) {
                        progress.suspend(|| note!("{}{words}", self.label));
                    }
                }
                Some(link) = next_link(&mut self.link) => {
                    if links.is_news(link, self.stats.snapshot().received) {
                        progress.suspend(|| self.tell(link));
                    }
                }
                () = &mut patience, if is_patient => {
                    is_patient = false;
                    // The state of a connection is printed anyway.
                    if self.link.is_none() && self.is_silent() {
                        progress.suspend(|| note!("{}", self.nothing_came()));
                    }
                }
            }
        }
    }

    fn tell(&self, link: ConnectionState) {
        let Self { name, label, .. } = self;
        match link {
            ConnectionState::Up { peer } => say::result(
                &Object::new("connected")
                    .text("name", name)
                    .text("peer", peer),
                format_args!("{label}connected {peer}"),
            ),
            ConnectionState::Down { why } => {
                note!("{label}not connected: {}; retrying", self.words(why));
            }
            _ => {}
        }
    }

    fn words(&self, why: End) -> String {
        match why {
            NOT_TRUSTED => "the camera does not know this machine: pair again, by the code that \
                            it shows"
                .to_owned(),
            End::Finished if self.is_plain && self.is_silent() => {
                format!("{why}; if that camera encrypts, leave out --plain")
            }
            why => why.to_string(),
        }
    }

    /// Whether no picture has been received.
    pub(super) fn is_silent(&self) -> bool {
        self.stats.snapshot().received == 0
    }

    /// The error of a source of which no picture was received.
    pub(super) fn nothing_came(&self) -> String {
        let at = &self.address;
        let begin = format!("no picture arrived from {at}{}", self.left_out());
        match self.link.as_ref().map(Subscriber::latest) {
            Some(Some(ConnectionState::Down { why })) => format!("{begin}: {}", self.words(why)),
            Some(Some(ConnectionState::Up { .. })) => {
                format!("{begin}: does the camera there give pictures?")
            }
            // It is dialled.
            Some(_) => format!(
                "{begin}: no answer yet; is it on this network, does `sockkit cam` listen there, \
                 and does a firewall let it through?"
            ),
            None if at.scheme() == Scheme::Zenoh => {
                format!("{begin}: does `sockkit cam --to {at}` run?")
            }
            None => format!(
                "{begin}: does `sockkit cam` send to this machine and port, and does a firewall \
                 let it through?"
            ),
        }
    }

    /// What a filter has rejected, for a user who waits for a picture.
    fn left_out(&self) -> String {
        let stats = self.stats.snapshot();
        if let Some(why) = stats.why_unopened {
            return format!("; {}", unopened::words(why));
        }
        match stats.filtered {
            0 => String::new(),
            filtered => format!(
                "; {filtered} datagrams were ignored: from hosts other than --from, or not sent to \
                 the group"
            ),
        }
    }

    /// Statistics in one line.
    pub(super) fn one_line(&self) -> String {
        format!("{}{}", self.label, one_line(&self.stats.snapshot()))
    }

    /// Statistics for programs: `name=value`, `-` for an unknown value.
    pub(super) fn logfmt(&self) -> String {
        let line = logfmt(&self.stats.snapshot());
        match self.label.is_empty() {
            true => line,
            false => format!("name={} {line}", self.name),
        }
    }

    /// The same as an object.
    pub(super) fn figures(&self) -> Object {
        let stats = self.stats.snapshot();
        let age = |age: Option<Duration>| age.map(millis);
        let sender = stats.sender.map(|at| at.to_string());
        Object::new("pictures")
            .text("name", &self.name)
            .number("received", stats.received)
            .float("rate", Some(stats.frames_per_second))
            .number("lost", stats.lost)
            .number("late", stats.late)
            .float("age_p50_ms", age(stats.age_p50))
            .float("age_p99_ms", age(stats.age_p99))
            .text("sender", sender.unwrap_or_default())
    }
}

/// Waits for the next state of the connection.
async fn next_link(link: &mut Option<Subscriber<ConnectionState>>) -> Option<ConnectionState> {
    match link {
        Some(link) => link.next().await,
        None => None,
    }
}

/// Reports the sender of the pictures, so that an unexpected one is noticed.
pub(super) fn tell_sender(label: &str, before: Option<SocketAddr>, sender: Option<SocketAddr>) {
    match (before, sender) {
        (None, Some(sender)) => say!("{label}pictures from {sender}"),
        (Some(before), Some(sender)) => {
            say!("{label}pictures from {sender} now, previously from {before}");
        }
        (_, None) => {}
    }
}

fn one_line(stats: &Stats) -> String {
    let age = match (stats.age_p50, stats.age_error) {
        (Some(age), Some(error)) => format!("{:.1} ± {:.1} ms", millis(age), millis(error)),
        _ => "of unknown age".to_owned(),
    };
    let from = stats.sender.map(|sender| format!(", from {sender}"));
    format!(
        "{} pictures, {:.1}/s, {} lost, {} late, {age}{}",
        stats.received,
        stats.frames_per_second,
        stats.lost,
        stats.late,
        from.unwrap_or_default()
    )
}

fn logfmt(stats: &Stats) -> String {
    let millis = |age: Option<Duration>| {
        age.map_or_else(|| "-".to_owned(), |age| format!("{:.3}", millis(age)))
    };
    format!(
        "received={} rate={:.1} lost={} late={} skipped={} refused={} restarts={} \
         age_p50_ms={} age_p99_ms={} age_error_ms={} filtered={} unopened={} sender={}",
        stats.received,
        stats.frames_per_second,
        stats.lost,
        stats.late,
        stats.skipped,
        stats.refused,
        stats.restarts,
        millis(stats.age_p50),
        millis(stats.age_p99),
        millis(stats.age_error),
        stats.filtered,
        stats.unopened,
        stats
            .sender
            .map_or_else(|| "-".to_owned(), |sender| sender.to_string()),
    )
}

fn millis(age: Duration) -> f64 {
    age.as_secs_f64() * 1_000.0
}

/// A running camera sends within a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a connection ends whose other side does not know this machine, or no longer.
const NOT_TRUSTED: End = End::Failed(std::io::ErrorKind::PermissionDenied);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const UP: ConnectionState = ConnectionState::Up {
        peer: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5006),
    };

    fn down(why: End) -> ConnectionState {
        ConnectionState::Down { why }
    }

    #[test]
    fn a_connection_that_brings_nothing_is_told_once() {
        let mut links = Links::default();
        assert!(links.is_news(UP, 0));
        assert!(links.is_news(down(End::Finished), 0));
        for _ in 0..3 {
            assert!(!links.is_news(UP, 0));
            assert!(!links.is_news(down(End::Finished), 0));
        }
        assert!(!links.is_news(UP, 0));
        assert!(links.is_news(down(End::Reset), 0));
        assert!(!links.is_news(UP, 0));
        // Its first picture.
        assert_eq!(links.on_picture(), Some(UP));
        assert_eq!(links.on_picture(), None);
    }

    #[test]
    fn each_end_and_return_of_a_camera_is_told() {
        let mut links = Links::default();
        for round in 1..4 {
            assert!(links.is_news(UP, round * 10 - 10));
            assert_eq!(links.on_picture(), None);
            assert!(links.is_news(down(End::Finished), round * 10));
            // Attempts while it is away.
            assert!(links.is_news(down(End::Refused), round * 10));
            assert!(!links.is_news(down(End::Refused), round * 10));
        }
    }
}
