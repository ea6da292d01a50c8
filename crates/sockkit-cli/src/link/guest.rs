//! The two sides of a transfer as guests of an acceptor.

use std::sync::Arc;

use sockkit::file::{
    Incoming, Manifest, Outgoing, ReceiveConfig, ReceiveError, SendConfig, SendError, greet,
    receive,
    session::{Abort, Role},
};

use super::{Link, acceptor::Guest};

/// A sender that has made its offer.
impl Guest for Incoming<Link> {
    type Config = ReceiveConfig;
    type Error = ReceiveError;

    const ROLE: Role = Role::Receiver;

    async fn greet(link: Link, config: &ReceiveConfig, busy: bool) -> Result<Self, ReceiveError> {
        receive(link, &config.clone().busy(busy)).await
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

/// A receiver that has said hello.
impl Guest for Outgoing<Link> {
    type Config = (Arc<Manifest>, SendConfig);
    type Error = SendError;

    const ROLE: Role = Role::Sender;

    async fn greet(link: Link, config: &Self::Config, _busy: bool) -> Result<Self, SendError> {
        let (manifest, config) = config;
        greet(link, Arc::clone(manifest), config).await
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
