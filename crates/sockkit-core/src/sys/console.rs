//! The console, on Windows.
//!
//! # Source
//! Microsoft's "SetConsoleMode", "FlushConsoleInputBuffer" and
//! "GetConsoleScreenBufferInfo".

#![expect(unsafe_code, reason = "std reads and writes the console, and no more")]

use std::{
    io::{self, stderr, stdin},
    os::windows::io::AsRawHandle,
};

use windows_sys::{
    Win32::System::Console::{
        CONSOLE_SCREEN_BUFFER_INFO, ENABLE_VIRTUAL_TERMINAL_PROCESSING, FlushConsoleInputBuffer,
        GetConsoleMode, GetConsoleScreenBufferInfo, SetConsoleMode,
    },
    core::BOOL,
};

/// Has standard error's console take escape sequences, such as colours.
///
/// # Errors
/// The system's error: there is no console, or it is older than Windows 10.
pub fn take_escapes() -> io::Result<()> {
    let (console, mut mode) = (stderr().as_raw_handle(), 0);
    // SAFETY: the place for the mode is alive. A handle of another kind is an error.
    check(unsafe { GetConsoleMode(console, &raw mut mode) })?;
    // SAFETY: nothing is borrowed.
    check(unsafe { SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) })
}

/// Discards what was typed on standard input and not read yet.
///
/// # Errors
/// The system's error: there is no console.
pub fn discard_typed_ahead() -> io::Result<()> {
    // SAFETY: nothing is borrowed. A handle of another kind is an error.
    check(unsafe { FlushConsoleInputBuffer(stdin().as_raw_handle()) })
}

/// Columns of the window that shows standard error, if it is a console.
pub fn columns() -> Option<u16> {
    let mut screen = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the structure is alive. A handle of another kind is an error.
    check(unsafe { GetConsoleScreenBufferInfo(stderr().as_raw_handle(), &raw mut screen) }).ok()?;
    let (left, right) = (screen.srWindow.Left, screen.srWindow.Right);
    u16::try_from(right.checked_sub(left)?.checked_add(1)?).ok()
}

fn check(done: BOOL) -> io::Result<()> {
    match done {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
