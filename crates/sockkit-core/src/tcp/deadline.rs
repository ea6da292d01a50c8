//! A timeout for one direction of a connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::Timeout;
use crate::deadline::deadline_after;

/// Fails with a timeout if an operation stays pending too long.
///
/// The timer is created by the first operation that has to wait, and reused.
#[derive(Debug)]
pub(super) struct Deadline {
    timeout: Option<Duration>,
    says: Timeout,
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Deadline {
    pub(super) fn new(timeout: Option<Duration>, says: Timeout) -> Self {
        Self {
            timeout,
            says,
            timer: None,
            is_waiting: false,
        }
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Applies to future operations and, measured from now, to the pending one.
    pub(super) fn set(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
        self.is_waiting = false;
    }

    /// Passes `result` on, or fails if it has been pending for too long.
    pub(super) fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let (Poll::Pending, Some(timeout)) = (&result, self.timeout) else {
            self.is_waiting = false;
            return result;
        };
        if !self.is_waiting {
            let Some(deadline) = deadline_after(Instant::now().into_std(), timeout) else {
                return Poll::Pending;
            };
            self.start(deadline.into());
        }
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.is_waiting = false;
                Poll::Ready(Err(self.says.into()))
            }
        }
    }

    fn start(&mut self, deadline: Instant) {
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(deadline),
            None => self.timer = Some(Box::pin(sleep_until(deadline))),
        }
        self.is_waiting = true;
    }
}
