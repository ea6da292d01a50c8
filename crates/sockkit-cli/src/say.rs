//! Lines on standard output.

use std::{
    fmt,
    io::{self, Write},
    process,
    sync::Once,
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
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        // A full disk behind a redirection must not stop a transfer; it is
        // reported once.
        Err(error) => REPORTED.call_once(|| eprintln!("cannot write the output: {error}")),
        Ok(()) => {}
    }
}

static REPORTED: Once = Once::new();
