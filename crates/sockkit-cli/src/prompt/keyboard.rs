//! Asks one question on the terminal.

#[cfg(windows)]
use std::sync::{Mutex, PoisonError};
use std::{
    io::{self, Write},
    thread,
};

use anyhow::Context;
use tokio::sync::oneshot;

/// Asks, and returns the line; an empty one at the end of input. Input typed
/// before the question is discarded.
pub(super) async fn ask(question: &str) -> anyhow::Result<String> {
    discard_typed_ahead().context("cannot ask")?;
    let mut terminal = io::stderr();
    write!(terminal, "{question}")
        .and_then(|()| terminal.flush())
        .context("cannot ask")?;
    let (answered, answer) = oneshot::channel();
    listen(answered);
    Ok(answer.await.context("the question was cancelled")??)
}

/// Reads on a separate thread, because the program waits for the runtime's threads on
/// exit.
#[cfg(unix)]
fn listen(answered: Answered) {
    thread::spawn(move || {
        if let Some(line) = read_line(&answered).transpose() {
            let _ = answered.send(line);
        }
    });
}

/// As on Unix. A read of the console cannot be withdrawn with its question, so that the
/// next one takes it over.
#[cfg(windows)]
fn listen(answered: Answered) {
    let asked = || ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if asked().replace(answered).is_some() {
        return;
    }
    thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        if let Some(answered) = asked().take() {
            let _ = answered.send(read.map(|_| line));
        }
    });
}

/// The question that the next line answers.
#[cfg(windows)]
static ASKED: Mutex<Option<Answered>> = Mutex::new(None);

type Answered = oneshot::Sender<io::Result<String>>;

#[cfg(unix)]
fn discard_typed_ahead() -> io::Result<()> {
    use rustix::termios::{QueueSelector, tcflush};
    Ok(tcflush(io::stdin(), QueueSelector::IFlush)?)
}

/// `None` if the question was withdrawn: later input belongs to the next one.
#[cfg(unix)]
fn read_line(answered: &Answered) -> io::Result<Option<String>> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    /// How long a withdrawn question may still poll the keyboard.
    const WATCH: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let stdin = io::stdin();
    loop {
        let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
        let polled = poll(&mut watched, Some(&WATCH));
        // Checked before the line is read, which may answer the next question.
        if answered.is_closed() {
            return Ok(None);
        }
        match polled {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    // Bypasses std's buffer, which would keep a line for the next question. A
    // terminal returns at most one line.
    let mut line = [0; 256];
    match rustix::io::read(&stdin, &mut line) {
        // A terminal that has gone returns this error.
        Err(rustix::io::Errno::IO) => Ok(Some(String::new())),
        read => {
            let line = line.get(..read?).unwrap_or_default();
            Ok(Some(String::from_utf8_lossy(line).into_owned()))
        }
    }
}

#[cfg(windows)]
fn discard_typed_ahead() -> io::Result<()> {
    sockkit::console::discard_typed_ahead()
}
