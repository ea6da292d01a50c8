//! One connection: its handler, its timer, its end.

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

/// Serves one connection. `permit` is released when it returns.
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
        // Events logged by the handler carry the connection's id and peer.
        let span = tracing::info_span!("connection", id, peer = %address);
        let running = async { handler.handle(stream, peer).await }.instrument(span);
        let running = AssertUnwindSafe(running).catch_unwind();
        let timed = run_timed(running, &watch, &control.lifecycle);
        // A cancelled handler is dropped in here, and its destructors may
        // panic, too.
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

/// Precedence: a decision of the server, then the end reported by the socket,
/// then a timeout of the handler's own. If there is none of these, the handler
/// has closed the connection.
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

/// Why a handler stopped before it returned.
enum Stop {
    Returned(Handled),
    Panicked(Box<dyn Any + Send>),
    /// The connection's task panicked, or the handler did while it was dropped.
    Broken(Box<dyn Any + Send>),
    TimedOut(Timeout),
    Aborted,
}

/// Polls the handler, one timer for all deadlines, and the shutdown signals.
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
        // Each of these takes a lock or more to poll. They wake this task when
        // they change, so they are polled again only then, or when the waker
        // has changed.
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

/// Whether the futures polled before will wake this task.
fn is_known(known: &mut Option<Waker>, waker: &Waker) -> bool {
    if known.as_ref().is_some_and(|known| known.will_wake(waker)) {
        return true;
    }
    *known = Some(waker.clone());
    false
}

/// The timer of one connection.
///
/// It is never reset to an earlier time. Traffic moves deadlines back, and the
/// timer notices this when it fires, so reading or writing a byte touches no
/// timer.
struct Timer<'a> {
    sleep: Pin<&'a mut Sleep>,
    /// Whether the timer is armed for the next check.
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
                tracing::error!(id, %peer, ?end, message, "connection task panicked");
            }
            Self::Returned(Err(error)) => {
                // Any peer can cause it, as often as it likes.
                tracing::info!(id, %peer, ?end, error = &**error as &dyn std::error::Error, "handler failed");
            }
            _ => {}
        }
        tracing::debug!(id, %peer, ?end, received_bytes, sent_bytes, ?lasted, "connection ended");
    }
}

/// Interval between checks of a connection that has no deadline.
const LONGEST_LOOK: Duration = Duration::from_secs(24 * 60 * 60);
