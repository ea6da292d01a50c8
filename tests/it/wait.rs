//! Waits that fail a test instead of hanging it.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// What `future` comes to, which must be before long.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("in time")
}

/// Waits for what another task or the kernel is about to do.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it never is so");
}

/// Longer than any machine is busy.
const PATIENCE: Duration = Duration::from_secs(60);
