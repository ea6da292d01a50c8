//! `sockkit bench`: speed on this machine, as ratios of interleaved pairs.

use clap::{Parser, Subcommand};

mod pair;
mod udp;

/// Measure speed on this machine, side by side with plain calls
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Udp(udp::Args),
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Udp(args) => udp::run(args).await,
    }
}
