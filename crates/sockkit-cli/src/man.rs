//! `sockkit man`.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::CommandFactory as _;
use sockkit::file::escape_path;

use crate::Cli;

/// Write the manual pages, sockkit.1 and one for each subcommand
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to write them to, such as ~/.local/share/man/man1; created if it does not
    /// exist
    #[arg(value_name = "DIR")]
    into: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    fs::create_dir_all(&args.into)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.into))
        .with_context(|| format!("cannot write to {}", escape_path(&args.into)))
}
