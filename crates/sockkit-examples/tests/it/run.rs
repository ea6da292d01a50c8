//! Running programs: ours and Python's.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use sockkit::testing::needs::{Need, met};

/// A program that is running. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    errors: thread::JoinHandle<String>,
}

/// Starts one of this crate's programs; `path` is `env!("CARGO_BIN_EXE_…")`.
pub(crate) fn program(path: &str, arguments: &[&str]) -> Program {
    Program::start(Command::new(path).args(arguments))
}

/// Starts Python with a program given as text.
///
/// It must print with `flush=True`. Ask [`has_python`] first.
pub(crate) fn python(text: &str, arguments: &[&str]) -> Program {
    Program::start(Command::new("python3").args(["-c", text]).args(arguments))
}

/// Whether the test can run; says so if not.
#[must_use]
pub(crate) fn has_python(test: &str) -> bool {
    met(test, &[Need::Program("python3")])
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("piped");
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            child,
            lines,
            errors,
        }
    }

    /// The next line that it prints.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        let line = self.lines.recv_timeout(DEADLINE);
        line.unwrap_or_else(|error| panic!("no line from {:?}: {error}", self.child))
    }

    /// Waits until it says where it listens.
    #[track_caller]
    pub(crate) fn listening(&self) -> SocketAddr {
        loop {
            if let Some(address) = self.line().strip_prefix("listening on ") {
                return address.parse().expect("an address");
            }
        }
    }

    /// Waits for its end; what it prints until then, and on standard error.
    #[track_caller]
    pub(crate) fn end(mut self) -> End {
        let deadline = Instant::now() + DEADLINE;
        let mut lines = Vec::new();
        // The channel closes when the program has closed its output.
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            lines.push(line);
        }
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{:?} does not end", self.child);
            thread::sleep(Duration::from_millis(1));
        };
        let errors = std::mem::replace(&mut self.errors, thread::spawn(String::new));
        End {
            succeeded: status.success(),
            lines,
            errors: errors.join().expect("reading does not panic"),
        }
    }

    /// As Ctrl-C does.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) succeeded: bool,
    pub(crate) lines: Vec<String>,
    pub(crate) errors: String,
}

const DEADLINE: Duration = Duration::from_secs(20);
