//! TCP: listen, connect, and why a connection ended.

use std::time::Duration;

use sockkit::tcp::{Connection, Listener, connect};

mod connecting;
mod ends;
mod vanishing;

/// Both sides of a connection over loopback.
async fn pair() -> (Connection, Connection) {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(connect(address), listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

/// Long enough for anything on loopback.
const PATIENCE: Duration = Duration::from_secs(10);

/// A deadline that is meant to pass.
const SOON: Duration = Duration::from_millis(30);
