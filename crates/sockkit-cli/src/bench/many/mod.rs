//! `sockkit bench many`: a file to many receivers, beside uftp and udpcast.
//!
//! Hosts in namespaces on one bridge, without offloads. Each receiver loses packets of
//! its own. What the hosts put on the Ethernet is counted at their interfaces.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::bail;
use clap::Parser;
use sockkit::testing::needs::{Need, met};

use crate::{bench::loss::Loss, say::say};

mod bed;
mod others;
mod ours;
mod usage;

use bed::Bed;
use others::{Udpcast, Uftp};
use ours::Ours;
use usage::Usage;

/// A file to many receivers: `send --many` beside uftp and udpcast; needs root
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// One group alone, as RECEIVERS/LOSS: the loss in per cent, or `bursts` (5 % in
    /// bursts of 4); repeat it for several
    #[arg(long, value_name = "RECEIVERS/LOSS")]
    only: Vec<Cell>,
    /// Length of the file in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=4_096))]
    size: u64,
    /// Rate in megabits per second
    #[arg(long, value_name = "MBIT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rate: u64,
    /// Leave out uftp and udpcast
    #[arg(long)]
    alone: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let needs = [
        Need::Linux,
        Need::Root,
        Need::Program("ip"),
        Need::Program("nft"),
        Need::Program("ethtool"),
    ];
    if !met("bench many", &needs) {
        bail!(
            "the hosts are network namespaces: run it as root, on Linux with iproute2, nft and \
             ethtool"
        );
    }
    // This thread only waits for the programs.
    tokio::task::spawn_blocking(move || table(&args)).await?
}

fn table(args: &Args) -> anyhow::Result<()> {
    let Args { size, rate, .. } = args;
    say!("{size} MiB at {rate} Mbit/s; Ethernet bytes of the sender and of all receivers, divided");
    say!("by the file; time, divided by that of sending the data once; CPU time and peak memory");
    say!("of the sender and of a receiver, the mean and the most; joining is counted apart\n");
    say!(
        "| receivers | loss | program | sent | back | time | CPU, s | memory, MiB | joining, KiB |"
    );
    say!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let cells = match args.only.is_empty() {
        true => Cell::all(),
        false => args.only.clone(),
    };
    for cell in cells {
        for program in programs(args.alone) {
            let bed = Bed::new(cell, size << 20)?;
            let (Cell { receivers, loss }, name) = (cell, program.name());
            match program.run(&bed, *rate) {
                Ok(figures) => say!("| {receivers} | {loss} | {name} | {figures} |"),
                Err(error) if name == Ours.name() => return Err(error),
                // What fails there is a result as well.
                Err(error) => say!("| {receivers} | {loss} | {name} | {error:#} |"),
            }
        }
    }
    Ok(())
}

/// Those of them that are installed.
fn programs(alone: bool) -> Vec<&'static dyn Transfer> {
    let mut programs: Vec<&dyn Transfer> = vec![&Ours];
    if !alone {
        programs.extend([&Uftp as &dyn Transfer, &Udpcast]);
    }
    programs.retain(|program| met(program.name(), program.needs()));
    programs
}

/// A program that sends the file of a bed.
trait Transfer {
    fn name(&self) -> &'static str;

    fn needs(&self) -> &'static [Need<'static>];

    /// Sends it to all receivers.
    ///
    /// # Errors
    /// If one of them has another file in the end, or none.
    fn run(&self, bed: &Bed, mbits: u64) -> anyhow::Result<Figures>;
}

/// What a transfer took.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// Bytes on the Ethernet, divided by those of the file.
    sent: f64,
    back: f64,
    /// Divided by the time of sending the data shards once.
    time: f64,
    sender: Usage,
    /// CPU time is the mean, memory the most.
    receiver: Usage,
    /// Bytes that a receiver took to join, in both directions; `None` if they are counted
    /// with the rest.
    join_bytes: Option<u64>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |usage: Usage| usage.cpu.as_secs_f64();
        let mib = |usage: Usage| usage.peak_bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "{:.4} | {:.2} % | {:.2} × | {:.2}, {:.2} | {:.0}, {:.0} | ",
            self.sent,
            100.0 * self.back,
            self.time,
            seconds(self.sender),
            seconds(self.receiver),
            mib(self.sender),
            mib(self.receiver),
        )?;
        match self.join_bytes {
            Some(bytes) => write!(f, "{:.1}", bytes as f64 / 1_024.0),
            None => f.write_str("included"),
        }
    }
}

/// Some receivers, and what each of them loses.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    receivers: u8,
    loss: Loss,
}

impl Cell {
    fn all() -> Vec<Self> {
        let single = [0.0, 1.0, 5.0].map(|percent| Loss::Single { percent });
        let cell = |receivers, loss| Self { receivers, loss };
        single
            .into_iter()
            .chain([Loss::Bursts])
            .map(|loss| cell(8, loss))
            .chain([cell(30, single[2]), cell(30, Loss::Bursts)])
            .collect()
    }
}

impl FromStr for Cell {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "RECEIVERS/LOSS, such as 8/5 or 30/bursts";
        let (receivers, loss) = text.split_once('/').ok_or(WANTED)?;
        let receivers = receivers.parse().map_err(|_| WANTED)?;
        if !(1..=MAX_RECEIVERS).contains(&receivers) {
            return Err("1 to 200 receivers");
        }
        let loss = loss.parse()?;
        Ok(Self { receivers, loss })
    }
}

/// With the sender, as many hosts as a network of the lab has.
const MAX_RECEIVERS: u8 = 200;

/// What takes so many times as long as sending the data once, and [`PATIENCE`] more, has
/// stopped: udpcast waits for ever for some of the messages that it loses.
const MAX_TIMES: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_as_it_is_written() {
        let cell = |receivers, loss| Ok(Cell { receivers, loss });
        assert_eq!("8/5".parse(), cell(8, Loss::Single { percent: 5.0 }));
        assert_eq!("200/bursts".parse(), cell(200, Loss::Bursts));
        for wrong in ["", "8", "/5", "8/", "0/5", "201/5", "8/NaN", "8/51", "-1/5"] {
            assert!(wrong.parse::<Cell>().is_err(), "{wrong}");
        }
    }
}
