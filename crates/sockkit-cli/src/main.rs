//! The command `sockkit`: files and live camera video between machines.

use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};

mod logging;

/// Files and live camera video between machines on a local network.
///
/// Traffic is in the clear: use it on networks you trust.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Say more: -v what happens, -vv every step (RUST_LOG overrides)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: each cause after the one it explains.
            eprintln!("sockkit: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    logging::start(cli.verbose)?;
    match cli.command {}
}
