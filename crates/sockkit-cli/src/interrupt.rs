//! Ctrl-C, and the exit code that tells of it.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// Returns when Ctrl-C is pressed; the program then ends with [`EXIT_CODE`], whatever
/// it still does.
pub(crate) async fn pressed() -> anyhow::Result<()> {
    tokio::signal::ctrl_c()
        .await
        .context("cannot wait for Ctrl-C")?;
    PRESSED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether it was.
pub(crate) fn was_pressed() -> bool {
    PRESSED.load(Ordering::Relaxed)
}

/// What a shell gives a program that the signal ends.
pub(crate) const EXIT_CODE: u8 = 128 + 2;

static PRESSED: AtomicBool = AtomicBool::new(false);
