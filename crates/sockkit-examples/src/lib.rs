//! Code shared by the course's programs.

pub mod my_tcp_server;
pub mod terminal;

use std::future::Future;

use sockkit::sink::window::Window;

/// Runs a program until it ends or Ctrl-C is pressed.
///
/// # Errors
/// The program's error, or the operating system's if Ctrl-C cannot be caught.
pub async fn until_ctrl_c(program: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let ctrl_c = tokio::signal::ctrl_c();
    tokio::select! {
        // The handler is installed before the program reports that it is ready.
        biased;
        pressed = ctrl_c => Ok(pressed?),
        outcome = program => outcome,
    }
}

/// Waits until the user closes the window; pending if there is none.
///
/// # Errors
/// If the display connection was lost.
pub async fn closed(window: &mut Option<Window>) -> anyhow::Result<()> {
    match window {
        Some(window) => Ok(window.closed().await?),
        None => std::future::pending().await,
    }
}
