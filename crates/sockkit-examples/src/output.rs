//! Printing that panics nowhere: a reader that has gone (`… | head`) ends a program quietly,
//! as SIGPIPE ends one in C.

use std::{
    fmt,
    io::{self, Write},
    process::exit,
};

/// `println!`, where a reader that has gone ends the program quietly.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::print_line(format_args!($($argument)*))
    };
}

/// `eprintln!`, where what cannot be written is lost.
#[macro_export]
macro_rules! eprintln {
    ($($argument:tt)*) => {
        $crate::print_error(format_args!($($argument)*))
    };
}

/// For the macro `println`.
pub fn print_line(text: fmt::Arguments<'_>) {
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit(READER_GONE),
        Err(error) => {
            print_error(format_args!("Error: cannot write the output: {error}"));
            exit(1);
        }
    }
}

/// For the macro `eprintln`.
pub fn print_error(text: fmt::Arguments<'_>) {
    // There is no other place to report it.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// What a shell gives a program that SIGPIPE ends.
const READER_GONE: i32 = 128 + 13;
