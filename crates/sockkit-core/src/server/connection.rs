//! One connection: its handler, its one timer, its end.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use futures::FutureExt;
use tokio::time::sleep;

use super::{
    Accepted, Control, Ended, Handled, Handler, HandlerEnd, Peer, Stream, Transport,
    activity::{Activity, Timeouts},
    panic_message,
    slots::Slot,
    stream::{Watch, now},
};
use crate::tcp::{End, Timeout};

/// Serves one connection to its end. `slot` is free again when it returns.
pub(super) async fn serve<T: Transport, H: Handler<Stream<T>>>(
    accepted: Accepted<T>,
    id: u64,
    slot: Slot,
    handler: Arc<H>,
    control: Arc<Control>,
) {
    let watch = Arc::new(Watch::new(Activity::new(now())));
    let timeouts =
        (control.config.timeouts).shortened(accepted.read_timeout, accepted.write_timeout);
    let address = accepted.peer;
    let stop = {
        let stream = Stream::new(accepted.transport, Arc::clone(&watch));
        let peer = Peer {
            id,
            address: address.clone(),
            draining: control.lifecycle.draining.clone(),
        };
        let running = AssertUnwindSafe(async { handler.handle(stream, peer).await });
        let aborting = control.lifecycle.aborting.cancelled();
        let timed = run_timed(running.catch_unwind(), &watch, &timeouts, aborting);
        // A handler that is stopped is dropped in there, and its values may
        // panic as well.
        let timed = AssertUnwindSafe(timed).catch_unwind().await;
        timed.unwrap_or_else(Stop::Broken)
    };
    let ended = watch.read(|activity| Ended {
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
    drop(slot);
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

/// Polls the handler, and beside it one timer for all deadlines.
///
/// The timer is moved only when it must ring sooner. Traffic puts deadlines
/// off, and the timer finds that out when it rings: a byte costs no timer.
async fn run_timed(
    handler: impl Future<Output = Result<Handled, Box<dyn Any + Send>>>,
    watch: &Watch,
    timeouts: &Timeouts,
    aborting: impl Future<Output = ()>,
) -> Stop {
    let mut handler = pin!(handler);
    let mut timer = pin!(sleep(Duration::MAX));
    let mut aborting = pin!(aborting);
    std::future::poll_fn(|cx| {
        if aborting.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Stop::Aborted);
        }
        if let Poll::Ready(result) = handler.as_mut().poll(cx) {
            return Poll::Ready(match result {
                Ok(handled) => Stop::Returned(handled),
                Err(panic) => Stop::Panicked(panic),
            });
        }
        loop {
            let (next, now) = (watch.read(|activity| activity.deadline(timeouts)), now());
            if let Some((deadline, timeout)) = next
                && deadline <= now
            {
                return Poll::Ready(Stop::TimedOut(timeout));
            }
            let Some(look) = timeouts.next_look(now, next.map(|(deadline, _)| deadline)) else {
                return Poll::Pending;
            };
            if timer.is_elapsed() || look < timer.deadline().into_std() {
                timer.as_mut().reset(look.into());
            }
            ready!(timer.as_mut().poll(cx));
        }
    })
    .await
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
