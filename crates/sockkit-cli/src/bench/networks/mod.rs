//! `sockkit bench networks`: files and pictures over links with delay and loss.
//!
//! Two hosts in namespaces, with a relay on the cable between them. For each link one
//! connection transfers 120 MB, or as much as it can in some seconds, by TCP and by QUIC, and
//! then a camera sends pictures. At last two connections share a link.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::bail;
use clap::Parser;
use sockkit::testing::{
    lab::{Lab, Relay},
    needs::{Need, met},
    sim::LinkConfig,
};

use crate::{bench::loss::Loss, say::say};

mod goodput;
mod pictures;

use goodput::Over;

/// Files and pictures over links with delay and loss: QUIC beside TCP; needs root
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// One link alone, as LOSS/RTT: the loss in per cent, or `bursts` (5 % in bursts of 4),
    /// and the round trip in milliseconds; repeat it for several. 0/20 is shared by two as well
    #[arg(long, value_name = "LOSS/RTT")]
    only: Vec<Cell>,
    /// How often each is measured; the table has medians
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,
    /// Seconds for each measurement; a transfer of 120 MB ends it before
    #[arg(long, default_value_t = 15, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=60))]
    seconds: u8,
    /// QUIC's transfers alone, without TCP's, pictures and two at once: for many runs
    #[arg(long)]
    quic_alone: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let needs = [
        Need::Linux,
        Need::Root,
        Need::Program("ip"),
        Need::Device("/dev/net/tun"),
    ];
    if !met("bench networks", &needs) {
        bail!("the links are made of network namespaces: run it as root, on Linux with iproute2");
    }
    // The hosts have threads of their own; this one only waits for them.
    tokio::task::spawn_blocking(move || table(&args)).await?
}

fn table(args: &Args) -> anyhow::Result<()> {
    let effort = Effort {
        runs: args.runs,
        each: Duration::from_secs(args.seconds.into()),
    };
    let cells = match args.only.is_empty() {
        true => Cell::all(),
        false => args.only.clone(),
    };
    if args.quic_alone {
        return quic_alone(&cells, effort);
    }
    say!(
        "100 Mbit/s, a queue of one round trip or 100 KB; 120 MB, or what arrives in {} s:",
        args.seconds
    );
    say!(
        "Mbit/s and the spread of {} runs; share: QUIC's of the link × (1 − loss);",
        args.runs
    );
    say!("pictures of 60 KB, 30 a second: shown, age (median, 99th percentile), overhead\n");
    say!("| loss | round trip | TCP Cubic | TCP BBR | QUIC | share | shown | age | overhead |");
    say!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for cell in &cells {
        cell.measure(effort)?;
    }
    match cells.contains(&SHARED) {
        true => shares(SHARED, effort),
        false => Ok(()),
    }
}

/// QUIC's columns, for as many runs as take too long with all the others.
fn quic_alone(cells: &[Cell], effort: Effort) -> anyhow::Result<()> {
    say!(
        "120 MB each: Mbit/s and the spread of {} runs, and the share of the link × (1 − loss)\n",
        effort.runs
    );
    say!("| loss | round trip | QUIC | share |");
    say!("| --- | --- | --- | --- |");
    for cell in cells {
        say!("{cell}{}", cell.quic(effort)?);
    }
    Ok(())
}

/// How two connections share a link without loss.
fn shares(cell: Cell, effort: Effort) -> anyhow::Result<()> {
    say!(
        "\nTwo at once: {} ms, no loss; Mbit/s, the first one's share and its spread\n",
        cell.round_trip.as_millis()
    );
    say!("| first | second | both | share of the first |");
    say!("| --- | --- | --- | --- |");
    for (first, second) in PAIRS {
        if !first.is_there() || !second.is_there() {
            continue;
        }
        let measure = |run| Network::new(cell, run)?.floods([first, second], effort.each);
        let share = |&[first, second]: &[f64; 2]| first / (first + second);
        let pairs = effort.repeat(measure, share)?;
        let shares = pairs.iter().map(share).collect::<Vec<_>>();
        let (least, median, most) = spread(&shares);
        let [of_first, of_second] = pairs[pairs.len() / 2];
        say!(
            "| {first} {of_first:.1} | {second} {of_second:.1} | {:.1} | {:.0} % ({:.0} to {:.0}) |",
            of_first + of_second,
            100.0 * median,
            100.0 * least,
            100.0 * most
        );
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Effort {
    runs: u8,
    each: Duration,
}

impl Effort {
    /// The results of all runs, in ascending order of what `by` says.
    fn repeat<T>(
        self,
        mut run: impl FnMut(u64) -> anyhow::Result<T>,
        by: impl Fn(&T) -> f64,
    ) -> anyhow::Result<Vec<T>> {
        let mut results = (0..self.runs.into())
            .map(&mut run)
            .collect::<anyhow::Result<Vec<_>>>()?;
        results.sort_by(|one, other| by(one).total_cmp(&by(other)));
        Ok(results)
    }
}

/// One link of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    loss: Loss,
    round_trip: Duration,
}

impl Cell {
    fn all() -> Vec<Self> {
        let single = [0.0, 1.0, 5.0, 20.0].map(|percent| Loss::Single { percent });
        let losses = single.into_iter().chain([Loss::Bursts]);
        let round_trips = [1, 20, 100].map(Duration::from_millis);
        losses
            .flat_map(|loss| round_trips.map(|round_trip| Self { loss, round_trip }))
            .collect()
    }

    /// Measures all there is over this link, and prints its line.
    fn measure(self, effort: Effort) -> anyhow::Result<()> {
        let mut line = self.to_string();
        for control in ["cubic", "bbr"].map(Over::Tcp) {
            line += &match control.is_there() {
                true => self.goodput(control, effort)?.to_string(),
                false => " not in this kernel |".to_owned(),
            };
        }
        line += &self.quic(effort)?;
        let measure = |run| Network::new(self, run)?.pictures(effort.each);
        let shown = effort.repeat(measure, |shown| shown.share)?;
        let median = &shown[shown.len() / 2];
        say!("{line} {median} |");
        Ok(())
    }

    /// QUIC's goodput, and its share of what the link does not lose.
    fn quic(self, effort: Effort) -> anyhow::Result<String> {
        let goodput = self.goodput(Over::Quic, effort)?;
        let possible = LINK_MBITS * (1.0 - self.loss.share());
        Ok(format!("{goodput} {:.2} |", goodput.median / possible))
    }

    fn goodput(self, over: Over, effort: Effort) -> anyhow::Result<Goodput> {
        let measure = |run| Network::new(self, run)?.transfer(over, effort.each);
        let (least, median, most) = spread(&effort.repeat(measure, |&mbits| mbits)?);
        Ok(Goodput {
            least,
            median,
            most,
        })
    }

    fn link(self) -> LinkConfig {
        let millis = usize::try_from(self.round_trip.as_millis()).unwrap_or_default();
        LinkConfig::default()
            .rate(1_000 * LINK_BYTES_PER_MS as u64)
            .queue_bytes((millis * LINK_BYTES_PER_MS).max(LEAST_QUEUE_BYTES))
            .delay(self.round_trip / 2)
            .loss(self.loss.model())
    }
}

/// The beginning of its line.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} ms |", self.loss, self.round_trip.as_millis())
    }
}

/// Mbit/s of some runs.
#[derive(Clone, Copy, Debug)]
struct Goodput {
    least: f64,
    median: f64,
    most: f64,
}

impl fmt::Display for Goodput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            least,
            median,
            most,
        } = self;
        write!(f, " {median:.1} ({least:.1} to {most:.1}) |")
    }
}

impl FromStr for Cell {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "LOSS/RTT, such as 5/20 or bursts/100";
        let (loss, round_trip) = text.split_once('/').ok_or(WANTED)?;
        let loss = loss.parse()?;
        let millis: u16 = round_trip.parse().map_err(|_| WANTED)?;
        if millis > 1_000 {
            return Err("a round trip of 1,000 ms at most");
        }
        Ok(Self {
            loss,
            round_trip: Duration::from_millis(millis.into()),
        })
    }
}

/// Two hosts and a link, for one run.
struct Network {
    lab: Lab,
    _relay: Relay,
}

impl Network {
    /// Every run of a cell has other losses, and every transport of a run the same.
    fn new(cell: Cell, run: u64) -> anyhow::Result<Self> {
        let Some(lab) = Lab::new("bench networks", 2, 1) else {
            bail!("network namespaces cannot be made here");
        };
        let relay = lab.host(0).port(0).relay(&cell.link(), run + 1);
        Ok(Self { lab, _relay: relay })
    }
}

/// The least, the median and the greatest of what is in ascending order.
fn spread(sorted: &[f64]) -> (f64, f64, f64) {
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    (
        at(0),
        at(sorted.len() / 2),
        at(sorted.len().saturating_sub(1)),
    )
}

/// The link that two connections share as well.
const SHARED: Cell = Cell {
    loss: Loss::Single { percent: 0.0 },
    round_trip: Duration::from_millis(20),
};

/// What shares a link with what: ours with each, and, to compare, TCP with TCP.
const PAIRS: [(Over, Over); 5] = [
    (Over::Quic, Over::Quic),
    (Over::Quic, Over::Tcp("cubic")),
    (Over::Quic, Over::Tcp("bbr")),
    (Over::Tcp("cubic"), Over::Tcp("cubic")),
    (Over::Tcp("bbr"), Over::Tcp("cubic")),
];

const LINK_MBITS: f64 = 100.0;

/// 100 Mbit/s of IP packets of 1,500 bytes, which are 1,514 on the cable.
const LINK_BYTES_PER_MS: usize = 12_617;

/// Eight milliseconds of the link: what home routers have at least.
const LEAST_QUEUE_BYTES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_as_it_is_written() {
        let cell = |loss, millis| Cell {
            loss,
            round_trip: Duration::from_millis(millis),
        };
        let single = |percent| Loss::Single { percent };
        assert_eq!("5/20".parse(), Ok(cell(single(5.0), 20)));
        assert_eq!("0.5/1".parse(), Ok(cell(single(0.5), 1)));
        assert_eq!("bursts/100".parse(), Ok(cell(Loss::Bursts, 100)));
        for wrong in [
            "", "5", "5/", "/20", "NaN/1", "-1/1", "51/1", "5/-1", "5/1001", "inf/1",
        ] {
            assert!(wrong.parse::<Cell>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_table_has_fifteen_links() {
        assert_eq!(Cell::all().len(), 15);
    }
}
