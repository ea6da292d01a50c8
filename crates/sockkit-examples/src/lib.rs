//! What the course programs share.

pub mod my_tcp_server;
pub mod terminal;

use std::future::Future;

use sockkit::sink::window::Window;

/// Runs a program until it ends or Ctrl-C is pressed.
///
/// # Errors
/// What the program fails with; or what the system says if it does not tell
/// of Ctrl-C.
pub async fn until_ctrl_c(program: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let ctrl_c = tokio::signal::ctrl_c();
    tokio::select! {
        // The handler is in place before the program says that it is ready.
        biased;
        pressed = ctrl_c => Ok(pressed?),
        outcome = program => outcome,
    }
}

/// Returns when somebody closes the window, and never if there is none.
///
/// # Errors
/// If the display went away.
pub async fn closed(window: &mut Option<Window>) -> anyhow::Result<()> {
    match window {
        Some(window) => Ok(window.closed().await?),
        None => std::future::pending().await,
    }
}
