//! Diagnostics on standard error, by `RUST_LOG` or `-v`.

use std::{
    env, fmt,
    io::{self, IsTerminal as _},
};

use anyhow::Context as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// Starts logging; `RUST_LOG` (`target=level,…`) overrides `-v`. With neither, warnings
/// are notes to the user, and with `--quiet` only errors are told.
pub(crate) fn start(verbose: u8, is_quiet: bool) -> anyhow::Result<()> {
    let (filter, is_log) = match env::var("RUST_LOG") {
        Ok(directives) => {
            let filter = directives
                .parse()
                .with_context(|| format!("RUST_LOG={directives} is not a list of target=level"))?;
            (filter, true)
        }
        Err(_) if verbose == 0 && is_quiet => {
            (Targets::new().with_default(LevelFilter::ERROR), false)
        }
        Err(_) => (default_filter(verbose), verbose > 0),
    };
    let to_stderr = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        // It would print them where it has just failed to, and panic.
        .log_internal_errors(false)
        .with_ansi(is_log && env::var_os("NO_COLOR").is_none() && takes_colours());
    let registry = tracing_subscriber::registry().with(filter);
    match is_log {
        true => registry.with(to_stderr).init(),
        false => registry.with(to_stderr.event_format(Notes)).init(),
    }
    Ok(())
}

/// Events as notes: without the time, the level and the place in the program.
struct Notes;

impl<S, N> FormatEvent<S, N> for Notes
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str(match *event.metadata().level() {
            Level::ERROR => "sockkit: ",
            _ => "note: ",
        })?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
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
