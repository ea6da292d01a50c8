//! The two sides of a transfer as peers of a queue.

use std::sync::Arc;

use sockkit_core::server::Transport;

use self::sealed::Sealed;
use crate::{
    Manifest, Offer, Outgoing, ReceiveConfig, ReceiveError, SendConfig, SendError, greet, receive,
    session::{Abort, Role},
};

/// A peer that has completed its handshake: an [`Offer`] from a sender, or an
/// [`Outgoing`] receiver, which waits for an offer.
pub trait QueuedPeer: Sealed + Sized + Send + 'static {
    /// Its connection.
    type Stream: Transport;

    /// Settings of this side; includes the manifest for a sender.
    type Config: Send + Sync + 'static;

    /// Error of the handshake.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The role of this side.
    #[doc(hidden)]
    const ROLE: Role;

    /// Performs the handshake; tells the peer if others come first.
    #[doc(hidden)]
    fn greet(
        stream: Self::Stream,
        config: &Self::Config,
        busy: bool,
    ) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Waits for `decision`, or until the peer disconnects.
    #[doc(hidden)]
    fn hold<T: Send>(
        &mut self,
        decision: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Result<T, Self::Error>> + Send;

    /// Refuses the peer with a reason.
    #[doc(hidden)]
    fn refuse(self, reason: Abort) -> impl Future<Output = ()> + Send;
}

/// These are the only two implementations.
mod sealed {
    #[allow(unnameable_types, reason = "that is what seals it")]
    pub trait Sealed {}

    impl<S> Sealed for crate::Offer<S> {}
    impl<S> Sealed for crate::Outgoing<S> {}
}

impl<S: Transport> QueuedPeer for Offer<S> {
    type Stream = S;
    type Config = ReceiveConfig;
    type Error = ReceiveError;

    const ROLE: Role = Role::Receiver;

    async fn greet(stream: S, config: &ReceiveConfig, busy: bool) -> Result<Self, ReceiveError> {
        receive(stream, &config.clone().busy(busy)).await
    }

    async fn hold<T: Send>(
        &mut self,
        decision: impl Future<Output = T> + Send,
    ) -> Result<T, ReceiveError> {
        Self::hold(self, decision).await
    }

    async fn refuse(self, reason: Abort) {
        Self::refuse(self, reason).await;
    }
}

impl<S: Transport> QueuedPeer for Outgoing<S> {
    type Stream = S;
    type Config = (Arc<Manifest>, SendConfig);
    type Error = SendError;

    const ROLE: Role = Role::Sender;

    async fn greet(stream: S, config: &Self::Config, _busy: bool) -> Result<Self, SendError> {
        let (manifest, config) = config;
        greet(stream, Arc::clone(manifest), config).await
    }

    async fn hold<T: Send>(
        &mut self,
        decision: impl Future<Output = T> + Send,
    ) -> Result<T, SendError> {
        Self::hold(self, decision).await
    }

    async fn refuse(self, reason: Abort) {
        Self::refuse(self, reason).await;
    }
}
