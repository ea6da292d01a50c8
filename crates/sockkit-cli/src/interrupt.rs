//! Ctrl-C, and the exit code that tells of it.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context;

/// Returns when Ctrl-C is pressed; the program then ends with [`EXIT_CODE`], whatever
/// it still does. On Windows Ctrl-Break, the end of the console and that of the system
/// are as much.
pub(crate) async fn pressed() -> anyhow::Result<()> {
    stopped().await.context("cannot wait for Ctrl-C")?;
    PRESSED.store(true, Ordering::Relaxed);
    Ok(())
}

#[cfg(not(windows))]
async fn stopped() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

#[cfg(windows)]
async fn stopped() -> io::Result<()> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

    let (mut pressed, mut stopped) = (ctrl_c()?, ctrl_break()?);
    let (mut closed, mut shut_down) = (ctrl_close()?, ctrl_shutdown()?);
    tokio::select! {
        _ = pressed.recv() => {}
        _ = stopped.recv() => {}
        _ = closed.recv() => {}
        _ = shut_down.recv() => {}
    }
    Ok(())
}

/// Whether it was.
pub(crate) fn was_pressed() -> bool {
    PRESSED.load(Ordering::Relaxed)
}

/// What a shell gives a program that the signal ends.
pub(crate) const EXIT_CODE: u8 = 128 + 2;

static PRESSED: AtomicBool = AtomicBool::new(false);
