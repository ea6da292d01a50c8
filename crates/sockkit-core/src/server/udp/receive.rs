//! The receive loop, and the task that answers one request.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use tokio::time::timeout;

use super::{
    Control,
    responder::{Request, Responder},
};
use crate::{
    server::{lifecycle::panic_message, limiter::Permit, metrics::add},
    udp::{Datagram, ReceiveBatch, Transmit, UdpEndpoint, UdpError},
};

/// Receives requests until the server drains.
pub(super) async fn receive<R: Responder>(
    endpoint: UdpEndpoint,
    responder: Arc<R>,
    control: Arc<Control>,
) {
    let endpoint = Arc::new(endpoint);
    let mut batch = ReceiveBatch::new();
    let mut draining = pin!(control.lifecycle.draining.cancelled());
    loop {
        let received = tokio::select! {
            biased;
            () = &mut draining => return,
            received = endpoint.recv_batch(&mut batch) => received,
        };
        while let Some(error) = endpoint.take_peer_error() {
            tracing::debug!(%error, "a reply was not delivered");
        }
        match received {
            Ok(()) => {
                for datagram in batch.iter() {
                    admit(&datagram, &endpoint, &responder, &control);
                }
            }
            Err(UdpError::TimedOut { .. }) => {}
            Err(error) => {
                add(&control.counters.receive_errors, 1);
                tracing::warn!(%error, "cannot receive");
                tokio::select! {
                    () = &mut draining => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
}

fn admit<R: Responder>(
    datagram: &Datagram<'_>,
    endpoint: &Arc<UdpEndpoint>,
    responder: &Arc<R>,
    control: &Arc<Control>,
) {
    let Some(permit) = control.lifecycle.limiter.take(datagram.from.ip()) else {
        add(&control.counters.dropped, 1);
        tracing::debug!(from = %datagram.from, "dropped: too many requests in flight");
        return;
    };
    add(&control.counters.requests, 1);
    let request = Request {
        bytes: Bytes::copy_from_slice(datagram.bytes),
        from: datagram.from,
        to: datagram.to,
        interface_index: datagram.interface_index,
    };
    let (endpoint, responder) = (Arc::clone(endpoint), Arc::clone(responder));
    let task_control = Arc::clone(control);
    control.lifecycle.tasks.spawn(async move {
        let answering = answer(request, permit, endpoint, responder, &task_control);
        task_control.lifecycle.count_panic(answering).await;
    });
}

/// Answers one request. `permit` is released when it returns.
async fn answer<R: Responder>(
    request: Request,
    permit: Permit,
    endpoint: Arc<UdpEndpoint>,
    responder: Arc<R>,
    control: &Control,
) {
    let (from, to) = (request.from, request.to);
    let replying = AssertUnwindSafe(async { responder.reply(request).await }).catch_unwind();
    let whole = timeout(control.config.reply, async {
        match replying.await {
            Ok(Ok(Some(bytes))) => send(&endpoint, from, to, &bytes, control).await,
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                add(&control.counters.failed, 1);
                tracing::warn!(%from, error = &*error as &dyn std::error::Error, "responder failed");
            }
            Err(panic) => {
                control.lifecycle.panicked();
                tracing::error!(%from, message = panic_message(&*panic), "responder panicked");
            }
        }
    });
    tokio::select! {
        biased;
        () = control.lifecycle.aborting.cancelled() => {}
        outcome = whole => if outcome.is_err() {
            add(&control.counters.timed_out, 1);
            tracing::debug!(%from, "reply timed out");
        }
    }
    drop(permit);
}

async fn send(
    endpoint: &UdpEndpoint,
    from: SocketAddr,
    to: Option<IpAddr>,
    bytes: &[u8],
    control: &Control,
) {
    let answer = Transmit::new(from, bytes);
    let sent = match to.filter(|to| may_be_a_source(*to)) {
        None => endpoint.send(answer).await,
        // Only an interface's prefix distinguishes a directed broadcast address
        // from a local one, and the kernel knows it: it then chooses the source
        // address.
        Some(source) => match endpoint.send(answer.source(source)).await {
            Err(UdpError::Send { .. }) => endpoint.send(answer).await,
            sent => sent,
        },
    };
    match sent {
        Ok(()) => add(&control.counters.replies, 1),
        Err(error) => {
            add(&control.counters.send_errors, 1);
            tracing::debug!(%from, error = &error as &dyn std::error::Error, "cannot send the reply");
        }
    }
}

fn may_be_a_source(to: IpAddr) -> bool {
    !to.is_multicast() && to != Ipv4Addr::BROADCAST
}

/// Pause after a failed receive, so that a persistent error costs next to no
/// CPU.
const PAUSE: Duration = Duration::from_millis(100);
