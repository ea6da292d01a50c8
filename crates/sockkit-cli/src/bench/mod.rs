//! `sockkit bench`: performance on this machine, as ratios of interleaved
//! pairs.

use clap::{Parser, Subcommand};

mod pair;
mod udp;

/// Measure performance on this machine, compared with plain calls
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
