//! The signals that ask a program to stop.

use std::io;

#[cfg(windows)]
use tokio::signal::windows;

/// Ctrl-C and, on Unix, SIGTERM, which service managers send; on Windows Ctrl-Break,
/// and the end of the console or of the system.
///
/// Caught from construction on; they no longer terminate the process for as
/// long as it runs.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    pub(super) fn catch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal. Cancel safe.
    pub(super) async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
#[derive(Debug)]
pub(super) struct StopSignals {
    interrupt: windows::CtrlC,
    interrupt_group: windows::CtrlBreak,
    close: windows::CtrlClose,
    shutdown: windows::CtrlShutdown,
}

#[cfg(windows)]
impl StopSignals {
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: windows::ctrl_c()?,
            interrupt_group: windows::ctrl_break()?,
            close: windows::ctrl_close()?,
            shutdown: windows::ctrl_shutdown()?,
        })
    }

    /// Waits for the next signal. Cancel safe.
    pub(super) async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.interrupt_group.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}
