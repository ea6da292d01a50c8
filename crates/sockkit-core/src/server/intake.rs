//! The accept loop: limits, and what happens when descriptors run out.

use std::{pin::pin, sync::Arc, time::Duration};

use socket2::{Domain, Socket, Type};

use super::{
    Accept, Accepted, Backoff, Control, Ended, Handler, HandlerEnd, Stream, Transport,
    accept::{concerns_one_connection, is_final},
    connection::serve,
    metrics::add,
};
use crate::tcp::End;

/// Accepts connections until the server drains, then closes the listener.
pub(super) async fn accept<L: Accept, H: Handler<Stream<L::Transport>>>(
    mut listener: L,
    handler: Arc<H>,
    control: Arc<Control>,
) {
    let mut spare = SpareFd::new();
    let mut backoff = Backoff::default();
    let mut draining = pin!(control.lifecycle.draining.cancelled());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut draining => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                backoff.succeeded();
                spare.refill();
                admit(accepted, &handler, &control);
            }
            Err(error) if is_final(&error) => {
                add(&control.counters.accept_errors, 1);
                tracing::error!(%error, "listener ended; existing connections are still served");
                draining.await;
                break;
            }
            Err(error) if concerns_one_connection(&error) => {
                add(&control.counters.accept_errors, 1);
            }
            Err(error) => {
                add(&control.counters.accept_errors, 1);
                let refused = spare.refuse_waiting(&mut listener);
                add(&control.counters.refused, refused);
                tracing::warn!(%error, refused, "cannot accept");
                tokio::select! {
                    () = &mut draining => break,
                    () = backoff.wait() => {}
                }
            }
        }
    }
    // Clients whose TCP handshake is complete consider themselves connected.
    // They are served before the listener is closed.
    while let Some(accepted) = listener.accept_waiting() {
        admit(accepted, &handler, &control);
    }
}

fn admit<T: Transport, H: Handler<Stream<T>>>(
    accepted: Accepted<T>,
    handler: &Arc<H>,
    control: &Arc<Control>,
) {
    let id = control.next_id();
    let Some(permit) = control.lifecycle.limiter.take(accepted.peer.ip()) else {
        add(&control.counters.refused, 1);
        match &control.config.refusal {
            Some(refusal) => accepted.transport.refuse(refusal),
            None => accepted.transport.abort(),
        }
        let peer = accepted.peer;
        tracing::debug!(id, %peer, "refused: too many connections");
        control.handle_end(&Ended {
            id,
            peer,
            end: End::Limit,
            handler: HandlerEnd::NotRun,
            received_bytes: 0,
            sent_bytes: 0,
            lasted: Duration::ZERO,
        });
        return;
    };
    add(&control.counters.accepted, 1);
    let task = serve(
        accepted,
        id,
        permit,
        Arc::clone(handler),
        Arc::clone(control),
    );
    control.lifecycle.tasks.spawn(task);
}

/// A spare descriptor, given up to refuse waiting clients when the process has
/// no other left.
struct SpareFd(Option<Socket>);

impl SpareFd {
    fn new() -> Self {
        Self(Socket::new(Domain::IPV4, Type::DGRAM, None).ok())
    }

    /// Resets the pending connections instead of leaving them to hang until
    /// descriptors are available. Returns their number.
    fn refuse_waiting(&mut self, listener: &mut impl Accept) -> u64 {
        self.0 = None;
        let mut refused = 0;
        // Closes with RST: the peer notices at once, and no TIME_WAIT state
        // remains.
        while let Some(accepted) = listener.accept_waiting() {
            accepted.transport.abort();
            refused += 1;
        }
        self.refill();
        refused
    }

    /// Another thread may have taken the released descriptor first.
    fn refill(&mut self) {
        if self.0.is_none() {
            *self = Self::new();
        }
    }
}
