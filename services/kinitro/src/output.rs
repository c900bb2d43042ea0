//! Writing to stdout and stderr, which may be closed or full: the standard macros would panic.
//!
//! A reader that has seen enough (`kinitro … | head`) ends the program quietly. Anything else that keeps data from stdout is an error. What
//! goes to stderr is for people: where it cannot be written, the work goes on.

use std::{
    fmt,
    io::{self, ErrorKind, Write as _},
    process::exit,
};

/// Writes to stdout, or ends the process: 0 when the reader has gone, 1 when the text cannot be written.
#[expect(
    clippy::disallowed_methods,
    reason = "the reader has gone or the disk is full: the command cannot do what it was asked for"
)]
pub fn write(text: fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(0),
        Err(error) => {
            tell(format_args!("error: cannot write to stdout: {error}\n"));
            exit(1)
        }
    }
}

/// Writes to stderr, if that is possible.
pub fn tell(text: fmt::Arguments<'_>) {
    // There is no place left to say so.
    let _ = io::stderr().lock().write_fmt(text);
}

/// In place of the standard one, all over this crate.
macro_rules! println {
    () => { $crate::output::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// In place of the standard one, all over this crate.
macro_rules! eprintln {
    () => { $crate::output::tell(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::tell(format_args!("{}\n", format_args!($($text)*))) };
}
