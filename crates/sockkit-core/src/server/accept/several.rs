//! Several listeners under the limits of one server.

use std::{
    io,
    task::{Context, Poll},
};

use futures::future::select_all;
use tokio_util::either::Either;

use super::{Accept, Accepted, Transport};

/// Listeners of one kind, such as one for each address of this machine.
impl<A: Accept> Accept for Vec<A> {
    type Transport = A::Transport;
    type Address = Vec<A::Address>;

    fn local_addr(&self) -> io::Result<Vec<A::Address>> {
        if self.is_empty() {
            let message = "no listener to serve; give the server at least one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.iter().map(Accept::local_addr).collect()
    }

    async fn accept(&mut self) -> io::Result<Accepted<A::Transport>> {
        // The listener polled first has an advantage.
        self.rotate_left(1);
        let waits = self.iter_mut().map(|listener| Box::pin(listener.accept()));
        select_all(waits).await.0
    }

    fn accept_waiting(&mut self) -> Option<Accepted<A::Transport>> {
        self.iter_mut().find_map(Accept::accept_waiting)
    }
}

/// Two kinds of listeners, such as TCP and a Unix socket.
impl<A: Accept, B: Accept> Accept for (A, B) {
    type Transport = Either<A::Transport, B::Transport>;
    type Address = (A::Address, B::Address);

    fn local_addr(&self) -> io::Result<Self::Address> {
        Ok((self.0.local_addr()?, self.1.local_addr()?))
    }

    async fn accept(&mut self) -> io::Result<Accepted<Self::Transport>> {
        // Polled in random order, so that neither starves.
        tokio::select! {
            accepted = self.0.accept() => Ok(accepted?.map(Either::Left)),
            accepted = self.1.accept() => Ok(accepted?.map(Either::Right)),
        }
    }

    fn accept_waiting(&mut self) -> Option<Accepted<Self::Transport>> {
        let left = self.0.accept_waiting();
        left.map(|accepted| accepted.map(Either::Left)).or_else(|| {
            let right = self.1.accept_waiting();
            right.map(|accepted| accepted.map(Either::Right))
        })
    }
}

impl<L: Transport, R: Transport> Transport for Either<L, R> {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Left(transport) => transport.readable().await,
            Self::Right(transport) => transport.readable().await,
        }
    }

    fn has_arrived(&self) -> io::Result<bool> {
        match self {
            Self::Left(transport) => transport.has_arrived(),
            Self::Right(transport) => transport.has_arrived(),
        }
    }

    fn poll_unsent_below_lowat(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Left(transport) => transport.poll_unsent_below_lowat(cx),
            Self::Right(transport) => transport.poll_unsent_below_lowat(cx),
        }
    }

    fn refuse(self, refusal: &[u8]) {
        match self {
            Self::Left(transport) => transport.refuse(refusal),
            Self::Right(transport) => transport.refuse(refusal),
        }
    }

    fn abort(self) {
        match self {
            Self::Left(transport) => transport.abort(),
            Self::Right(transport) => transport.abort(),
        }
    }
}
