//! One connection: its handler, its one timer, its end.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use futures::FutureExt;
use tokio::time::{Sleep, sleep};
use tracing::Instrument;

use super::{
    Accepted, Control, Ended, Handled, Handler, HandlerEnd, Peer, Stream, Transport,
    activity::Activity,
    lifecycle::Lifecycle,
    limiter::Permit,
    panic_message,
    stream::{SharedActivity, now},
};
use crate::tcp::{End, Timeout};

/// Serves one connection to its end. `permit` is free again when it returns.
pub(super) async fn serve<T: Transport, H: Handler<Stream<T>>>(
    accepted: Accepted<T>,
    id: u64,
    permit: Permit,
    handler: Arc<H>,
    control: Arc<Control>,
) {
    let timeouts = control.config.timeouts;
    let timeouts = timeouts.shortened(accepted.read_timeout, accepted.write_timeout);
    let watch = Arc::new(SharedActivity::new(timeouts));
    let address = accepted.peer;
    let stop = {
        let stream = Stream::new(accepted.transport, Arc::clone(&watch));
        let peer = Peer {
            id,
            address: address.clone(),
            draining: control.lifecycle.draining.clone(),
        };
        // What the handler logs says which connection it is about.
        let span = tracing::info_span!("connection", id, peer = %address);
        let running = async { handler.handle(stream, peer).await }.instrument(span);
        let running = AssertUnwindSafe(running).catch_unwind();
        let timed = run_timed(running, &watch, &control.lifecycle);
        // A handler that is stopped is dropped in there, and its values may
        // panic as well.
        let timed = AssertUnwindSafe(timed).catch_unwind().await;
        timed.unwrap_or_else(Stop::Broken)
    };
    let ended = watch.look(|activity| Ended {
        id,
        peer: address,
        end: end(&stop, activity),
        handler: stop.handler_end(),
        received_bytes: activity.received_bytes,
        sent_bytes: activity.sent_bytes,
        lasted: now() - activity.started,
    });
    stop.log(&ended);
    control.handle_end(&ended);
    drop(permit);
}

/// A decision of this side comes first, then what the socket said, then a
/// deadline of the handler's own; if none says anything, the handler has closed.
fn end(stop: &Stop, activity: &Activity) -> End {
    match stop {
        Stop::TimedOut(timeout) => End::TimedOut(*timeout),
        Stop::Aborted => End::Drained,
        Stop::Panicked(_) | Stop::Broken(_) | Stop::Returned(Ok(())) => {
            activity.end().unwrap_or(End::Closed)
        }
        Stop::Returned(Err(error)) => activity
            .end()
            .or_else(|| passed_deadline(&**error))
            .unwrap_or(End::Closed),
    }
}

fn passed_deadline(error: &(dyn std::error::Error + 'static)) -> Option<End> {
    let end = End::from_io(error.downcast_ref()?);
    matches!(end, End::TimedOut(_)).then_some(end)
}

/// What stopped a handler, if not itself.
enum Stop {
    Returned(Handled),
    Panicked(Box<dyn Any + Send>),
    /// The connection's own task panicked, or the handler while it was dropped.
    Broken(Box<dyn Any + Send>),
    TimedOut(Timeout),
    Aborted,
}

/// Polls the handler, and beside it one timer for all deadlines and the server's
/// end.
async fn run_timed(
    handler: impl Future<Output = Result<Handled, Box<dyn Any + Send>>>,
    watch: &SharedActivity,
    lifecycle: &Lifecycle,
) -> Stop {
    let mut handler = pin!(handler);
    let mut timer = Timer {
        sleep: pin!(sleep(Duration::MAX)),
        is_set: false,
    };
    let mut aborting = pin!(lifecycle.aborting.cancelled());
    let mut draining = pin!(lifecycle.draining.cancelled());
    let mut is_draining = false;
    let mut known = None;
    std::future::poll_fn(|cx| {
        // Each of these costs a lock or more to poll. They wake this task, and
        // until then only another waker is news to them.
        let is_heard = is_known(&mut known, cx.waker());
        if !is_heard || lifecycle.is_stopping() {
            if aborting.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Stop::Aborted);
            }
            if !is_draining && draining.as_mut().poll(cx).is_ready() {
                is_draining = true;
                watch.drain();
                timer.is_set = false;
            }
        }
        if let Poll::Ready(result) = handler.as_mut().poll(cx) {
            return Poll::Ready(match result {
                Ok(handled) => Stop::Returned(handled),
                Err(panic) => Stop::Panicked(panic),
            });
        }
        if is_heard && timer.is_set && !timer.sleep.is_elapsed() {
            return Poll::Pending;
        }
        timer.poll(cx, watch)
    })
    .await
}

/// Whether futures that were polled before will wake this task.
fn is_known(known: &mut Option<Waker>, waker: &Waker) -> bool {
    if known.as_ref().is_some_and(|known| known.will_wake(waker)) {
        return true;
    }
    *known = Some(waker.clone());
    false
}

/// The timer of one connection.
///
/// It is never moved to ring sooner. Traffic puts deadlines off, and the timer
/// finds that out when it rings: a byte costs no timer.
struct Timer<'a> {
    sleep: Pin<&'a mut Sleep>,
    /// Whether it rings when the next look is due.
    is_set: bool,
}

impl Timer<'_> {
    fn poll(&mut self, cx: &mut Context<'_>, watch: &SharedActivity) -> Poll<Stop> {
        loop {
            if self.is_set {
                ready!(self.sleep.as_mut().poll(cx));
                self.is_set = false;
            }
            let (timeouts, now) = (watch.timeouts(), now());
            let (next, reads_end, look) = watch.look(|activity| {
                (
                    activity.deadline(timeouts),
                    activity.reads_end(timeouts),
                    activity.next_look(timeouts, now),
                )
            });
            if let Some((deadline, timeout)) = next
                && deadline <= now
            {
                return Poll::Ready(Stop::TimedOut(timeout));
            }
            if reads_end.is_some_and(|end| end <= now) {
                watch.wake_reader();
            }
            let look = look.unwrap_or(now + LONGEST_LOOK);
            self.sleep.as_mut().reset(look.into());
            self.is_set = true;
        }
    }
}

impl Stop {
    fn handler_end(&self) -> HandlerEnd {
        match self {
            Self::Returned(Ok(())) => HandlerEnd::Returned,
            Self::Returned(Err(_)) => HandlerEnd::Failed,
            Self::Panicked(_) | Self::Broken(_) => HandlerEnd::Panicked,
            Self::TimedOut(_) | Self::Aborted => HandlerEnd::Stopped,
        }
    }

    fn log(&self, ended: &Ended) {
        let Ended {
            id,
            peer,
            end,
            received_bytes,
            sent_bytes,
            lasted,
            ..
        } = ended;
        match self {
            Self::Panicked(panic) => {
                let message = panic_message(&**panic);
                tracing::error!(id, %peer, ?end, message, "handler panicked");
            }
            Self::Broken(panic) => {
                let message = panic_message(&**panic);
                tracing::error!(id, %peer, ?end, message, "a connection's task panicked");
            }
            Self::Returned(Err(error)) => {
                tracing::warn!(id, %peer, ?end, error = &**error as &dyn std::error::Error, "handler failed");
            }
            _ => {}
        }
        tracing::debug!(id, %peer, ?end, received_bytes, sent_bytes, ?lasted, "connection ended");
    }
}

/// Until the next look at a connection that has no deadline.
const LONGEST_LOOK: Duration = Duration::from_secs(24 * 60 * 60);
