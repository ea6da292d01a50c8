//! `sockkit bench`: speed on this machine, beside what people use otherwise.

use clap::{Parser, Subcommand};

mod loss;
// Its senders are started at a terminal.
#[cfg(unix)]
mod many;
mod networks;
mod pair;
mod udp;

/// Measure speed on this machine, beside plain calls and TCP
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[cfg(unix)]
    Many(many::Args),
    Networks(networks::Args),
    Udp(udp::Args),
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        #[cfg(unix)]
        What::Many(args) => many::run(args).await,
        What::Networks(args) => networks::run(args).await,
        What::Udp(args) => udp::run(args).await,
    }
}
