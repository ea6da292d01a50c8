//! Diagnostics on standard error, by `RUST_LOG` or `-v`.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use anyhow::Context as _;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Starts logging; `RUST_LOG` (`target=level,…`) overrides `-v`.
pub(crate) fn start(verbose: u8) -> anyhow::Result<()> {
    let filter = match env::var("RUST_LOG") {
        Ok(directives) => directives
            .parse()
            .with_context(|| format!("RUST_LOG={directives} is not a list of target=level"))?,
        Err(_) => default_filter(verbose),
    };
    let to_stderr = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        // It would print them where it has just failed to, and panic.
        .log_internal_errors(false)
        .with_ansi(env::var_os("NO_COLOR").is_none() && takes_colours());
    tracing_subscriber::registry()
        .with(filter)
        .with(to_stderr)
        .init();
    Ok(())
}

/// Whether standard error is a terminal, and not a file or pipe.
fn takes_colours() -> bool {
    // The console of Windows 10 takes them if it is told to, an older one does not.
    #[cfg(windows)]
    if sockkit::console::take_escapes().is_err() {
        return false;
    }
    io::stderr().is_terminal()
}

/// Other crates are only logged with -vv.
fn default_filter(verbose: u8) -> Targets {
    let (others, ours) = match verbose {
        0 => (LevelFilter::ERROR, LevelFilter::WARN),
        1 => (LevelFilter::WARN, LevelFilter::INFO),
        2 => (LevelFilter::INFO, LevelFilter::DEBUG),
        _ => (LevelFilter::DEBUG, LevelFilter::TRACE),
    };
    Targets::new()
        .with_default(others)
        .with_target("sockkit", ours)
}
