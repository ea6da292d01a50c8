//! The command `sockkit`: files and live pictures between machines.

#![allow(clippy::print_stderr, reason = "a command talks on the terminal")]
#![warn(clippy::print_stdout)]

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgAction, Parser, Subcommand};

mod address;
mod bench;
mod cam;
mod demo;
mod descriptors;
mod doctor;
mod incoming;
mod interfaces;
mod key;
mod link;
mod logging;
mod options;
mod outgoing;
mod prompt;
mod receive;
mod say;
mod send;
mod transfer;
mod unopened;
mod view;

/// Files and live pictures between machines on a local network.
///
/// Over udp:// and tcp:// everything travels in the clear, and quic:// encrypts; no
/// side proves who it is: use it on networks you trust. Pictures over udp:// are
/// sealed with --key: none but those who have the file see or send them.
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
    Demo(demo::Args),
    Cam(cam::Args),
    View(view::Args),
    Send(send::Args),
    Receive(receive::Args),
    Key(key::Args),
    Interfaces(interfaces::Args),
    Options(options::Args),
    Doctor(doctor::Args),
    Bench(bench::Args),
}

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: each cause after what it explains.
            eprintln!("sockkit: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    // The runtime itself panics where it finds none for its signals.
    descriptors::check()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?
        .block_on(run(cli))
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    logging::start(cli.verbose)?;
    outlive_file_size_limit();
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Cam(args) => cam::run(args).await,
        Command::View(args) => view::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Receive(args) => receive::run(args).await,
        Command::Key(args) => key::run(&args),
        Command::Interfaces(args) => interfaces::run(args).await,
        Command::Options(args) => options::run(args),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Bench(args) => bench::run(args).await,
    }
}

/// A file that would grow beyond `ulimit -f` is an error of that file, and ends
/// nothing else: the signal that comes with it ends the program unless there is
/// a handler.
fn outlive_file_size_limit() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        // Once it is there a handler stays; without one the command works too.
        let _ = signal(SignalKind::from_raw(SIGXFSZ));
    }
}

/// The same number on all systems that the command is built for, MIPS excepted.
#[cfg(unix)]
const SIGXFSZ: std::ffi::c_int = 25;
