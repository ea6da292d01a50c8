//! Results on standard output, and notes on standard error.

use std::{
    fmt,
    io::{self, Write},
    process,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::json::Object;

/// Like `println!`, but if the reader is gone (`sockkit … | head`), the program
/// exits without a word, as other programs do; a transfer is finished first.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::say::line(format_args!($($argument)*))
    };
}

/// Like [`tell`], for what is neither a result nor an error: silent with `--quiet`.
macro_rules! note {
    ($($argument:tt)*) => {
        $crate::say::note_line(format_args!($($argument)*))
    };
}

/// Like `eprintln!`, for errors and what belongs to a question: also with `--quiet`. What
/// cannot be written is lost, and ends no work.
macro_rules! tell {
    ($($argument:tt)*) => {
        $crate::say::error_line(format_args!($($argument)*))
    };
}

pub(crate) use {note, say, tell};

pub(crate) fn line(text: fmt::Arguments<'_>) {
    if DIVERTED.load(Ordering::Relaxed) {
        error_line(text);
        return;
    }
    match is_json() {
        false => write(text),
        true => write(format_args!(
            "{}",
            Object::new("text").text("text", text.to_string())
        )),
    }
}

/// A result: `text` for users, `object` for programs.
pub(crate) fn result(object: &Object, text: fmt::Arguments<'_>) {
    match is_json() && !DIVERTED.load(Ordering::Relaxed) {
        true => write(format_args!("{object}")),
        false => line(text),
    }
}

/// What only programs are told, and users see otherwise.
pub(crate) fn only_json(object: impl FnOnce() -> Object) {
    if is_json() && !DIVERTED.load(Ordering::Relaxed) {
        write(format_args!("{}", object()));
    }
}

fn write(line: fmt::Arguments<'_>) {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            if !FINISHES.load(Ordering::Relaxed) {
                process::exit(READER_GONE.into());
            }
            GONE.store(true, Ordering::Relaxed);
        }
        // A full disk behind a redirection must not stop a transfer; one
        // complaint is enough.
        Err(error) => {
            if !FAILED.swap(true, Ordering::Relaxed) {
                tell!("sockkit: cannot write the output: {error}");
            }
        }
        Ok(()) => {}
    }
}

pub(crate) fn note_line(text: fmt::Arguments<'_>) {
    if !is_quiet() {
        error_line(text);
    }
}

pub(crate) fn error_line(text: fmt::Arguments<'_>) {
    // There is no other place to report it.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// From now on, what the program does matters more than a reader of its lines.
pub(crate) fn finish_without_reader() {
    FINISHES.store(true, Ordering::Relaxed);
}

/// Whether the reader of standard output has gone meanwhile.
pub(crate) fn has_lost_reader() -> bool {
    GONE.load(Ordering::Relaxed)
}

/// Sends all later lines to standard error: standard output carries a file.
pub(crate) fn on_standard_error() {
    DIVERTED.store(true, Ordering::Relaxed);
}

/// From now on, lines are JSON objects.
pub(crate) fn as_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// From now on, notes are not printed.
pub(crate) fn quietly() {
    QUIET.store(true, Ordering::Relaxed);
}

pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Whether progress is drawn on standard error.
pub(crate) fn draws_progress() -> bool {
    !is_quiet() && !is_json()
}

fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Whether a line was lost.
pub(crate) fn has_failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

/// What a shell gives a program that SIGPIPE ends.
pub(crate) const READER_GONE: u8 = 128 + 13;

static DIVERTED: AtomicBool = AtomicBool::new(false);
static FINISHES: AtomicBool = AtomicBool::new(false);
static GONE: AtomicBool = AtomicBool::new(false);
static FAILED: AtomicBool = AtomicBool::new(false);
static JSON: AtomicBool = AtomicBool::new(false);
static QUIET: AtomicBool = AtomicBool::new(false);
