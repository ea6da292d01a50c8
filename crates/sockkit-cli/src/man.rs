//! `sockkit man`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;
use sockkit::file::escape_path;

use crate::Cli;

/// Write the manual pages, sockkit.1 and one for each subcommand
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to write them to, such as ~/.local/share/man/man1
    #[arg(value_name = "DIR")]
    into: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    clap_mangen::generate_to(Cli::command(), &args.into)
        .with_context(|| format!("cannot write to {}", escape_path(&args.into)))
}
