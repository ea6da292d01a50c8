//! The command `sockkit`: files and live video between machines.

// Both panic where they cannot write; `say` has what does not.
#![warn(clippy::print_stderr, clippy::print_stdout)]

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod address;
mod bench;
mod browser;
mod cam;
mod completions;
mod demo;
mod descriptors;
mod doctor;
mod find;
mod https;
mod id;
mod incoming;
mod interfaces;
mod interrupt;
mod json;
mod key;
mod link;
mod logging;
mod man;
mod many;
mod meeting;
mod options;
mod outgoing;
mod peers;
mod pipe;
mod players;
mod progress;
mod prompt;
mod receive;
mod remote;
mod resume;
mod routed;
mod say;
mod secure;
mod send;
mod skipped;
mod transfer;
mod typed;
mod units;
mod unopened;
mod view;
mod watchers;
mod web;

use crate::{json::Object, say::tell};

/// Files and live video between machines on a local network
///
/// Files and pictures are encrypted between machines that authenticate each other, by a
/// code that one shows and the user of the other types, or by their keys from then on.
/// Pictures to a multicast group are sealed with --key: only machines that have the file
/// can show or send them. --plain on both sides does without; use it on networks you trust.
#[derive(Debug, Parser)]
#[command(name = "sockkit", version)]
struct Cli {
    /// Print more: -v for events, -vv for every step (RUST_LOG overrides)
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    /// Print results and errors only: no notes, no progress
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print one JSON object a line on standard output; docs/json.md lists them
    #[arg(long, global = true)]
    json: bool,
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
    Id(id::Args),
    Peers(peers::Args),
    Find(find::Args),
    Key(key::Args),
    Interfaces(interfaces::Args),
    Options(options::Args),
    Doctor(doctor::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(usage) => return print_usage(&usage),
    };
    let ended = start(cli);
    if let Err(error) = &ended {
        // One line: each cause after the error that it explains.
        tell!("sockkit: {error:#}");
        say::only_json(|| Object::new("error").text("message", format_args!("{error:#}")));
    }
    match ended {
        _ if interrupt::was_pressed() => interrupt::EXIT_CODE.into(),
        Ok(()) if say::has_lost_reader() => say::READER_GONE.into(),
        Ok(()) if !say::has_failed() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn parse() -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    typed::remember(&command, &matches);
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Prints help, the version, or what is wrong with the arguments.
fn print_usage(usage: &clap::Error) -> ExitCode {
    match usage.print().and_then(|()| io::stdout().flush()) {
        Ok(()) => u8::try_from(usage.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(_) => ExitCode::FAILURE,
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    // The runtime itself panics if it gets no descriptors for signals.
    descriptors::check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let ended = runtime.block_on(run(cli));
    // A thread that reads standard input may never return; one that writes a file does.
    runtime.shutdown_timeout(Duration::from_secs(2));
    ended
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    logging::start(cli.verbose, cli.quiet)?;
    if cli.quiet {
        say::quietly();
    }
    if cli.json {
        say::as_json();
    }
    outlive_file_size_limit();
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Cam(args) => cam::run(args).await,
        Command::View(args) => view::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Receive(args) => receive::run(args).await,
        Command::Id(args) => id::run(&args),
        Command::Peers(args) => peers::run(args),
        Command::Find(args) => find::run(args).await,
        Command::Key(args) => key::run(&args),
        Command::Interfaces(args) => interfaces::run(args).await,
        Command::Options(args) => options::run(args),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// A file beyond `ulimit -f` is an error of that file, and must not end the
/// program. The accompanying signal terminates the process unless it has a
/// handler.
fn outlive_file_size_limit() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        // Once installed, a handler stays; if it fails, the command works
        // without.
        let _ = signal(SignalKind::from_raw(SIGXFSZ));
    }
}

/// The same number on all supported systems except MIPS.
#[cfg(unix)]
const SIGXFSZ: std::ffi::c_int = 25;
