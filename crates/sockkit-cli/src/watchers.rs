//! `sockkit cam --many`: pictures once for all viewers, by multicast.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, bail};
use sockkit::{
    link::{Address, Host, Scheme, sealing::random_secret},
    stream::Sender,
};

use crate::{address::PICTURES_PORT, json::Object, say, secure};

/// Options of `cam --many`.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "To many")]
pub(crate) struct Many {
    /// Send each picture once for all viewers, by multicast: each of them types the line
    /// that is shown here. Those that it does not reach get theirs by unicast
    #[arg(long, conflicts_with_all = ["to", "key"])]
    pub(crate) many: bool,
}

impl Many {
    /// Where it listens without an address.
    pub(crate) fn default_address(self) -> Option<Address> {
        let address = Address::new(Scheme::Udp, Host::Unspecified, PICTURES_PORT);
        self.many.then_some(address)
    }

    /// Refuses what has no members.
    pub(crate) fn check(self, at: &[Address], secure: &secure::Security) -> anyhow::Result<()> {
        if !self.many {
            return Ok(());
        }
        if secure.is_plain() {
            bail!("--many hands out a key, so it needs encryption: leave out --plain");
        }
        if let Some(at) = at.iter().find(|at| at.scheme() != Scheme::Udp) {
            let udp = Address::new(Scheme::Udp, at.host().clone(), at.port());
            bail!(
                "viewers at {at} each have a connection of their own: with --many type --listen {udp}"
            );
        }
        if let [_, other, ..] = at {
            bail!("--many listens at one address: leave out {other}");
        }
        Ok(())
    }

    /// A group that others are unlikely to use.
    pub(crate) fn group(self) -> anyhow::Result<Option<SocketAddr>> {
        if !self.many {
            return Ok(None);
        }
        let [a, b, c, d, ..] = random_secret().context("cannot choose a group")?;
        // Where the system takes ports for connections from, others are used.
        let port = 0x4000 | u16::from_be_bytes([c, d]) & 0x3fff;
        Ok(Some((Ipv4Addr::new(239, 255, a, b), port).into()))
    }
}

/// Tells how many viewers are reached, and how.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    told: (usize, usize),
}

impl Attendance {
    /// The words, if the numbers have changed.
    pub(crate) fn on_figures(&mut self, sender: &Sender) -> Option<String> {
        let reached = sender.reached()?;
        let now = (reached.multicast, reached.unicast.len());
        let before = std::mem::replace(&mut self.told, now);
        if before == now {
            return None;
        }
        say::only_json(|| {
            Object::new("viewers")
                .number("multicast", now.0 as u64)
                .number("unicast", now.1 as u64)
        });
        Some(words(now))
    }
}

/// The members of the sender's group, and the worst loss that they report.
pub(crate) fn one_line(sender: &Sender) -> Option<String> {
    let reached = sender.reached()?;
    let stats = sender.stats();
    let share = |report: &sockkit::stream::Report| match report.shards_sent {
        0 => 0.0,
        sent => 100.0 * report.shards_lost as f64 / sent as f64,
    };
    let reports = sender.reports();
    let worst = reports.iter().map(|(_, report)| share(report));
    Some(format!(
        "{} pictures, {}; {}; {:.1} % lost at most, {} skipped, {} failed",
        stats.sent,
        indicatif::HumanBytes(stats.bytes),
        words((reached.multicast, reached.unicast.len())),
        worst.fold(0.0, f64::max),
        stats.skipped,
        stats.failed,
    ))
}

fn words((multicast, unicast): (usize, usize)) -> String {
    format!("viewers: {multicast} by multicast, {unicast} by unicast")
}
