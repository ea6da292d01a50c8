//! Lines on standard output.

use std::{
    fmt,
    io::{self, Write},
    process,
    sync::Once,
};

/// As `println!`, but where the reader has gone (`sockkit … | head`) the
/// program ends without a word, as others do.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::say::line(format_args!($($argument)*))
    };
}

pub(crate) use say;

pub(crate) fn line(text: fmt::Arguments<'_>) {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        // A full disk behind a redirection must not stop a transfer; one
        // complaint is enough.
        Err(error) => COMPLAINED.call_once(|| eprintln!("cannot write the output: {error}")),
        Ok(()) => {}
    }
}

static COMPLAINED: Once = Once::new();
