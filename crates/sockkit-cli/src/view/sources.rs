//! What `view` tells of each of its sources: its connection, its sender, its figures.

use std::{net::SocketAddr, time::Duration};

use indicatif::ProgressBar;
use sockkit::{
    latest::Subscriber,
    link::{Address, Scheme},
    picture::Picture,
    stream::{ConnectionState, Receiver, Stats, StatsHandle},
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::{
    json::Object,
    say::{self, note, say},
    unopened::{self, Advice},
};

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
}

impl Source {
    pub(super) fn new(name: &str, address: &Address, receiver: &Receiver) -> Self {
        Self {
            name: name.to_owned(),
            label: String::new(),
            address: address.clone(),
            pictures: receiver.pictures(),
            stats: receiver.stats(),
            link: receiver.connection_state(),
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
        let (mut told, mut sender, mut advice) = (None, None, Advice::default());
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
                Some(link) = next_link(&mut self.link) => if told != Some(link) {
                    // Several attempts a second: each reason is reported once.
                    progress.suspend(|| self.tell(link));
                    told = Some(link);
                },
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
            ConnectionState::Down { why } => note!("{label}not connected: {why}; retrying"),
            _ => {}
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
            Some(Some(ConnectionState::Down { why })) => format!("{begin}: {why}"),
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
