//! Lines on standard output.

use std::{
    fmt,
    io::{self, Write},
    process,
    sync::atomic::{AtomicBool, Ordering},
};

/// Like `println!`, but if the reader is gone (`sockkit … | head`), the program
/// exits silently, as other programs do.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::say::line(format_args!($($argument)*))
    };
}

pub(crate) use say;

pub(crate) fn line(text: fmt::Arguments<'_>) {
    if DIVERTED.load(Ordering::Relaxed) {
        eprintln!("{text}");
        return;
    }
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        // A full disk behind a redirection must not stop a transfer; one
        // complaint is enough.
        Err(error) => {
            if !FAILED.swap(true, Ordering::Relaxed) {
                eprintln!("cannot write the output: {error}");
            }
        }
        Ok(()) => {}
    }
}

/// Sends all later lines to standard error: standard output carries a file.
pub(crate) fn on_standard_error() {
    DIVERTED.store(true, Ordering::Relaxed);
}

/// Whether a line was lost.
pub(crate) fn has_failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

static DIVERTED: AtomicBool = AtomicBool::new(false);
static FAILED: AtomicBool = AtomicBool::new(false);
