//! The command `sockkit`: live pictures between machines.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks on the terminal"
)]

use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};

mod cam;
mod demo;
mod endpoint;
mod logging;
mod view;

/// Live pictures between machines on a local network.
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
enum Command {
    /// Show the main job on one machine: pictures over UDP, watched in a browser
    Demo(demo::Args),
    Cam(cam::Args),
    View(view::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: each cause after what it explains.
            eprintln!("sockkit: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    logging::start(cli.verbose)?;
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Cam(args) => cam::run(args).await,
        Command::View(args) => view::run(args).await,
    }
}
