//! Network namespaces, and how to run code inside one.

use std::{
    fs::File,
    io::Write,
    panic::resume_unwind,
    process::{Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::{Port, kernel};

/// One host of a [`Lab`](super::Lab): a network namespace.
#[derive(Debug)]
pub struct Host {
    pub(super) index: u8,
    pub(super) namespace: Namespace,
    /// Contains the bridges, and the far ends of this host's cables.
    pub(super) switch: Arc<Namespace>,
    networks: u8,
}

impl Host {
    pub(super) fn new(index: u8, networks: u8, switch: &Arc<Namespace>) -> Self {
        Self {
            index,
            namespace: Namespace::new(),
            switch: Arc::clone(switch),
            networks,
        }
    }

    /// The host's port on a network, counted from 0.
    ///
    /// # Panics
    /// If the lab has no such network.
    pub fn port(&self, network: u8) -> Port<'_> {
        assert!(network < self.networks, "the lab has no network {network}");
        Port {
            host: self,
            network,
        }
    }

    /// Runs `work` inside the host and waits for it.
    ///
    /// Sockets and processes created there belong to the host, and remain there
    /// when they are returned.
    ///
    /// # Panics
    /// If `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.run(work)
    }

    /// Runs async `work` inside the host, on a runtime of its own, and waits.
    ///
    /// # Panics
    /// If `work` panics.
    pub fn block_on<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        self.run(|| runtime().block_on(work()))
    }

    /// Runs async `work` inside the host, on a runtime of its own, in the
    /// background.
    ///
    /// # Panics
    /// If the thread cannot be started. A panic of `work` is returned when the
    /// thread is joined.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let namespace = self.namespace.clone();
        thread::spawn(move || {
            namespace.enter();
            runtime().block_on(work())
        })
    }
}

/// A network namespace without a name. It lives as long as a descriptor of it,
/// a thread in it or a socket of it.
#[derive(Clone, Debug)]
pub(super) struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// Creates one with its loopback interface up.
    pub(super) fn new() -> Self {
        // In a new thread, because entering is permanent.
        let file = thread::spawn(kernel::enter_new_namespace);
        let namespace = Self {
            file: Arc::new(file.join().expect("making a namespace")),
        };
        namespace.ip("link set lo up");
        namespace
    }

    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                work()
            });
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace permanently.
    fn enter(&self) {
        kernel::enter(&self.file);
    }

    /// The path by which other programs find the namespace.
    pub(super) fn path(&self) -> String {
        kernel::path_of(&self.file)
    }

    /// Runs lines of `ip` commands here.
    pub(super) fn ip(&self, lines: &str) {
        self.command(&["ip", "-batch", "-"], lines);
    }

    /// Runs a program in the namespace with the given `input`. Returns its
    /// output, and panics unless it succeeds.
    pub(super) fn command(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(|| {
            let mut child = Command::new(arguments[0])
                .args(&arguments[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
            let mut stdin = child.stdin.take().expect("stdin is piped");
            stdin
                .write_all(input.as_bytes())
                .expect("it reads its input");
            drop(stdin);
            child.wait_with_output().expect("it ends")
        });
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{input}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs a few descriptors only")
}
