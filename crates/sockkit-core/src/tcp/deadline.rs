//! A deadline for one direction of a connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

use super::Timeout;

/// Fails a wait that lasts too long.
///
/// The timer is made when a wait first takes time, and again used for the next.
#[derive(Debug)]
pub(super) struct Deadline {
    after: Option<Duration>,
    says: Timeout,
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Deadline {
    pub(super) fn new(after: Option<Duration>, says: Timeout) -> Self {
        Self {
            after,
            says,
            timer: None,
            is_waiting: false,
        }
    }

    pub(super) fn after(&self) -> Option<Duration> {
        self.after
    }

    /// Holds for the next wait and, measured from now, for the one under way.
    pub(super) fn set(&mut self, after: Option<Duration>) {
        self.after = after;
        self.is_waiting = false;
    }

    /// Passes `result` on, unless it has been pending for too long.
    pub(super) fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let (Poll::Pending, Some(after)) = (&result, self.after) else {
            self.is_waiting = false;
            return result;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(after)));
        if !self.is_waiting {
            timer.as_mut().reset(Instant::now() + after);
            self.is_waiting = true;
        }
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.is_waiting = false;
                Poll::Ready(Err(self.says.into()))
            }
        }
    }
}
