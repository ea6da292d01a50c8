//! Programs as child processes: start, read lines, type, interrupt, kill.

use std::{
    cell::Cell,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A running program. Killed when dropped.
///
/// Every wait has a timeout of 60 seconds, after which it panics: this is for
/// tests.
///
/// ```
/// # mod sockkit { pub use ::sockkit_testing as testing; }
/// use std::process::Command;
///
/// use sockkit::testing::program::Program;
///
/// let mut cat = Program::start(&mut Command::new("cat"));
/// cat.type_line("안녕");
/// assert_eq!(cat.line(), "안녕");
/// cat.close_input();
/// assert!(cat.end().status.success());
/// ```
#[derive(Debug)]
pub struct Program {
    child: Child,
    input: Option<Input>,
    lines: Receiver<String>,
    errors: Arc<Mutex<Vec<u8>>>,
    /// Length of standard error up to the last text waited for.
    errors_seen: Cell<usize>,
    error_reader: Option<JoinHandle<()>>,
}

/// How a program ended.
#[derive(Debug)]
pub struct ProgramOutput {
    /// The exit status.
    pub status: ExitStatus,
    /// Lines of standard output that were not read yet.
    pub lines: Vec<String>,
    /// Everything it wrote to standard error.
    pub errors: String,
}

impl Program {
    /// Starts it with all three standard streams as pipes.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let mut program = Self::spawn(command, Stdio::piped());
        program.input = program.child.stdin.take().map(Input::Pipe);
        program
    }

    /// Starts it with a terminal of its own as its standard input; the other two
    /// standard streams are pipes.
    ///
    /// # Panics
    /// If it cannot be started, or there is no terminal left.
    #[cfg(unix)]
    #[track_caller]
    pub fn start_on_terminal(command: &mut Command) -> Self {
        let (keyboard, terminal) = terminal().expect("a terminal is left");
        let mut program = Self::spawn(command, terminal.into());
        program.input = Some(Input::Terminal(keyboard));
        // The command would keep the program's end open.
        command.stdin(Stdio::null());
        program
    }

    #[track_caller]
    fn spawn(command: &mut Command, input: Stdio) -> Self {
        let mut child = command
            .stdin(input)
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
        let stderr = child.stderr.take().expect("piped");
        let errors = Arc::default();
        let error_reader = collect(stderr, Arc::clone(&errors));
        Self {
            input: None,
            child,
            lines,
            errors,
            errors_seen: Cell::new(0),
            error_reader: Some(error_reader),
        }
    }

    /// Returns the next line of its standard output.
    ///
    /// # Panics
    /// If it closes its output or prints nothing.
    #[track_caller]
    pub fn line(&self) -> String {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => line,
            Err(_) => self.give_up("prints no line"),
        }
    }

    /// Returns the first line that starts with `prefix`, without it; drops
    /// earlier lines.
    ///
    /// # Panics
    /// If no such line comes.
    #[track_caller]
    pub fn line_after(&self, prefix: &str) -> String {
        loop {
            if let Some(rest) = self.line().strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }

    /// Waits until it prints `listening on ADDR`.
    ///
    /// # Panics
    /// If it does not print that.
    #[track_caller]
    pub fn listening(&self) -> SocketAddr {
        let address = self.line_after("listening on ");
        address
            .parse()
            .unwrap_or_else(|_| self.give_up(&format!("listens on {address:?}, no address")))
    }

    /// Types a line on its standard input. On a terminal the line is available
    /// to the program when this returns.
    ///
    /// # Panics
    /// If its input is closed.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        input.type_line(line).expect("the program reads");
    }

    /// Waits until it has written `text` to standard error, after the text last
    /// waited for.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn wait_for_error(&self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let errors = self.errors();
            let fresh = errors.get(self.errors_seen.get()..).unwrap_or_default();
            if let Some(at) = fresh.find(text) {
                let seen = self.errors_seen.get() + at + text.len();
                self.errors_seen.set(seen);
                return;
            }
            if Instant::now() > deadline {
                self.give_up(&format!("does not say {text:?}"));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Closes its standard input, as Ctrl-D does.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGINT, as Ctrl-C does.
    ///
    /// # Panics
    /// If it has ended.
    #[cfg(unix)]
    #[track_caller]
    pub fn interrupt(&self) {
        self.signal(rustix::process::Signal::INT);
    }

    /// Sends SIGKILL, like a crash.
    ///
    /// # Panics
    /// If it has ended.
    #[cfg(unix)]
    #[track_caller]
    pub fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// Sends SIGSTOP, which suspends it.
    ///
    /// # Panics
    /// If it has ended.
    #[cfg(unix)]
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Sends SIGCONT, which resumes it after [`freeze`](Self::freeze).
    ///
    /// # Panics
    /// If it has ended.
    #[cfg(unix)]
    #[track_caller]
    pub fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    #[cfg(unix)]
    #[track_caller]
    fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).ok();
        let id = id.and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(id.expect("an id"), signal).expect("the program runs");
    }

    /// Waits until it exits.
    ///
    /// # Panics
    /// If it does not exit.
    #[track_caller]
    pub fn end(mut self) -> ProgramOutput {
        self.close_input();
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
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                break status;
            }
            if Instant::now() > deadline {
                self.give_up("does not end");
            }
            thread::sleep(Duration::from_millis(1));
        };
        if let Some(reader) = self.error_reader.take() {
            let _ = reader.join();
        }
        ProgramOutput {
            status,
            lines,
            errors: self.errors(),
        }
    }

    /// Panics with everything that it wrote to standard error.
    #[track_caller]
    fn give_up(&self, complaint: &str) -> ! {
        #[cfg(unix)]
        self.kill();
        // Its children may keep the stream open: do not wait forever.
        let deadline = Instant::now() + LAST_WORDS;
        while !self
            .error_reader
            .as_ref()
            .is_none_or(JoinHandle::is_finished)
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(1));
        }
        panic!("{complaint}; its standard error:\n{}", self.errors());
    }

    fn errors(&self) -> String {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&errors).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
enum Input {
    Pipe(ChildStdin),
    /// The keyboard's end of the terminal.
    #[cfg(unix)]
    Terminal(std::fs::File),
}

impl Input {
    fn type_line(&mut self, line: &str) -> std::io::Result<()> {
        match self {
            Self::Pipe(pipe) => writeln!(pipe, "{line}"),
            #[cfg(unix)]
            Self::Terminal(keyboard) => {
                writeln!(keyboard, "{line}")?;
                // The terminal echoes what it has received.
                let mut echo = [0];
                while echo != *b"\n" {
                    keyboard.read_exact(&mut echo)?;
                }
                Ok(())
            }
        }
    }
}

/// The keyboard's end, and the program's.
#[cfg(unix)]
fn terminal() -> rustix::io::Result<(std::fs::File, std::fs::File)> {
    use rustix::{
        fs::{Mode, OFlags},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    };

    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    #[cfg(target_os = "linux")]
    let keyboard = openpt(flags | OpenptFlags::CLOEXEC)?;
    #[cfg(not(target_os = "linux"))]
    let keyboard = {
        let keyboard = openpt(flags)?;
        rustix::io::fcntl_setfd(&keyboard, rustix::io::FdFlags::CLOEXEC)?;
        keyboard
    };
    grantpt(&keyboard)?;
    unlockpt(&keyboard)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let name = ptsname(&keyboard, Vec::new())?;
    let terminal = rustix::fs::open(name, flags, Mode::empty())?;
    Ok((keyboard.into(), terminal.into()))
}

fn collect(mut from: ChildStderr, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut chunk = [0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
            into.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
    })
}

const DEADLINE: Duration = Duration::from_secs(60);

const LAST_WORDS: Duration = Duration::from_secs(1);

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn shell(script: &str) -> Program {
        Program::start(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn what_it_says_and_how_it_ends_is_seen() {
        let end = shell("echo one; echo two >&2; exit 3").end();
        assert_eq!(end.status.code(), Some(3));
        assert_eq!(end.lines, ["one"]);
        assert_eq!(end.errors, "two\n");
    }

    #[test]
    fn it_can_have_a_terminal() {
        let script = "test -t 0 && echo terminal; echo asked >&2; read line; echo $line";
        let mut shell = Program::start_on_terminal(Command::new("sh").args(["-c", script]));
        shell.wait_for_error("asked");
        shell.type_line("typed");
        assert_eq!(shell.line(), "terminal");
        assert_eq!(shell.line(), "typed");
    }

    #[test]
    fn it_can_be_interrupted_frozen_and_killed() {
        // A signal just before a `read` would wait until that has read something. A shell
        // cannot trap what is ignored when it starts, as Ctrl-C is in the background.
        let script = "trap 'echo bye; exit 0' INT; echo ready; while sleep 0.05; do :; done";
        let mut polite = Command::new("env");
        let polite = Program::start(polite.args(["--default-signal=INT", "sh", "-c", script]));
        polite.line_after("ready");
        polite.freeze();
        polite.interrupt();
        polite.thaw();
        assert_eq!(polite.line(), "bye");
        let sudden = shell("echo ready; read line");
        sudden.line_after("ready");
        sudden.kill();
        assert_eq!(sudden.end().status.signal(), Some(9));
    }

    #[test]
    #[should_panic(expected = "no such file here")]
    fn a_missing_line_shows_what_it_complained_about() {
        let shell = shell("echo no such file here >&2; exec >&-; read line");
        shell.line();
    }
}
