//! Exchanges the messages over a connection.

use std::{io, net::IpAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::spawn_blocking,
};

use super::{
    AuthenticatedPeer, Offer, PairingError, Refusal, TypedCode,
    dialler::{Asking, Ended},
    exchange::{Bound, Seed},
    listener::Answering,
    wire::{self, ELEMENT_BYTES, Hello, PROCEED, TAG_BYTES, Way},
};
use crate::{Connection, Fingerprint, identity::Identity, trust::Trust};

/// The identity of this side, and the peers it trusts.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) identity: Identity,
    pub(crate) trust: Trust,
}

/// The ALPN name of a service that starts with these messages, so that peers
/// without them fail in the TLS handshake.
pub(crate) fn protocol(service: &[u8]) -> Vec<u8> {
    [b"sockkit-pair/1 ", service].concat()
}

impl Party {
    /// Runs the dialler's side. Nothing else is sent before it returns; after
    /// an error the connection is unusable.
    pub(crate) async fn dial(
        &self,
        connection: &mut Connection,
        listener: Fingerprint,
    ) -> Result<AuthenticatedPeer, PairingError> {
        if let Some(typed) = self.trust.typed_for(listener) {
            return self.dial_by_code(connection, listener, typed).await;
        }
        let trust = self.trust.clone();
        let known = blocking(move || trust.to_dial(listener)).await?;
        let fingerprint = listener;
        let peer = known.ok_or(PairingError::Unknown { fingerprint })?;
        let hello = Hello {
            way: Way::Known,
            number: 0,
        };
        connection.write_all(&hello.to_bytes()).await?;
        connection.flush().await?;
        heard(connection).await?;
        Ok(peer)
    }

    async fn dial_by_code(
        &self,
        connection: &mut Connection,
        listener: Fingerprint,
        typed: &TypedCode,
    ) -> Result<AuthenticatedPeer, PairingError> {
        if typed.is_spent() {
            return Err(PairingError::Spent);
        }
        self.check_room(listener).await?;
        let bound = self.bound(connection, self.identity.fingerprint(), listener)?;
        let (asking, first) = Asking::new(&bound, typed, seed()?);
        connection.write_all(&first).await?;
        connection.flush().await?;
        heard(connection).await?;
        let (confirming, tag) = asking.answer(&read::<ELEMENT_BYTES>(connection).await?)?;
        connection.write_all(&tag).await?;
        connection.flush().await?;
        heard(connection).await?;
        confirming.confirm(&read::<TAG_BYTES>(connection).await?)?;
        let name = read_name(connection).await?;
        connection
            .write_all(&wire::name(self.identity.name()))
            .await?;
        connection.flush().await?;
        // The listener has stored this side, which may dial by its key at once.
        heard(connection).await?;
        self.pair(listener, name, false).await
    }

    /// Runs the listener's side. A peer that is not accepted is told why.
    pub(crate) async fn accept(
        &self,
        connection: &mut Connection,
        dialler: Fingerprint,
    ) -> Result<AuthenticatedPeer, PairingError> {
        let answered = self.answer(connection, dialler).await;
        let told = match &answered {
            Err(PairingError::Refused(refusal)) => *refusal,
            Err(PairingError::State(_) | PairingError::Store(_)) => Refusal::Internal,
            _ => return answered,
        };
        refuse(connection, told).await;
        answered
    }

    async fn answer(
        &self,
        connection: &mut Connection,
        dialler: Fingerprint,
    ) -> Result<AuthenticatedPeer, PairingError> {
        let hello = Hello::parse(read(connection).await?)?;
        if hello.way == Way::Code {
            let offer = self.trust.shown().ok_or(Refusal::NoCode)?;
            return self
                .answer_code(connection, dialler, offer, hello.number)
                .await;
        }
        let trust = self.trust.clone();
        let peer = blocking(move || trust.to_accept(dialler)).await??;
        connection.write_all(&[PROCEED]).await?;
        connection.flush().await?;
        Ok(peer)
    }

    async fn answer_code(
        &self,
        connection: &mut Connection,
        dialler: Fingerprint,
        offer: &Offer,
        number: u16,
    ) -> Result<AuthenticatedPeer, PairingError> {
        let element = read::<ELEMENT_BYTES>(connection).await?;
        let bound = self.bound(connection, dialler, self.identity.fingerprint())?;
        let from: IpAddr = connection.peer_addr().ip();
        // Dropped on every path but one, and counted then.
        let (code, guess) = offer.begin(number, from)?;
        let answering = Answering::new(&bound, &code, seed()?, &element)?;
        connection
            .write_all(&wire::proceed(&answering.element()))
            .await?;
        connection.flush().await?;
        let theirs = read::<TAG_BYTES>(connection).await?;
        let own = answering.confirm(&theirs).ok_or(Refusal::Wrong)?;
        if let Err(error) = self.check_room(dialler).await {
            guess.give_back();
            return Err(error);
        }
        if !guess.was_right() {
            return Err(Refusal::NoCode.into());
        }
        let name = wire::name(self.identity.name());
        let confirmed = [&wire::proceed(&own)[..], &name].concat();
        connection.write_all(&confirmed).await?;
        connection.flush().await?;
        let name = read_name(connection).await?;
        let peer = self.pair(dialler, name, true).await?;
        connection.write_all(&[PROCEED]).await?;
        connection.flush().await?;
        Ok(peer)
    }

    fn bound(
        &self,
        connection: &Connection,
        dialler: Fingerprint,
        listener: Fingerprint,
    ) -> Result<Bound, PairingError> {
        let binding = connection.export_keying_material(EXPORTER);
        let binding = binding.map_err(|_not_encrypted| PairingError::Plain)?;
        Ok(Bound {
            dialler,
            listener,
            binding,
        })
    }

    /// Before a code is used: it stays valid if the peer cannot be stored.
    async fn check_room(&self, peer: Fingerprint) -> Result<(), PairingError> {
        let trust = self.trust.clone();
        let checked = spawn_blocking(move || trust.check_room(peer)).await;
        let checked = checked.map_err(io::Error::from)?;
        checked.map_err(|error| PairingError::Store(Box::new(error)))
    }

    async fn pair(
        &self,
        peer: Fingerprint,
        name: String,
        grants: bool,
    ) -> Result<AuthenticatedPeer, PairingError> {
        let trust = self.trust.clone();
        let paired = spawn_blocking(move || trust.pair(peer, &name, grants)).await;
        let paired = paired.map_err(io::Error::from)?;
        paired.map_err(|error| PairingError::Store(Box::new(error)))
    }
}

/// The reason matters more than whether it was delivered.
async fn refuse(connection: &mut Connection, why: Refusal) {
    if connection.write_all(&[why.byte()]).await.is_ok() {
        let _ = connection.shutdown().await;
    }
}

/// Reads a file outside the threads that serve sockets.
async fn blocking<T: Send + 'static, E: Send + 'static>(
    look: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, PairingError>
where
    PairingError: From<E>,
{
    Ok(spawn_blocking(look).await.map_err(io::Error::from)??)
}

/// Waits for the status byte; returns the refusal as an error.
async fn heard(connection: &mut Connection) -> Result<(), PairingError> {
    let [byte] = read(connection).await?;
    Ok(wire::status(byte)?)
}

async fn read<const BYTES: usize>(connection: &mut Connection) -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    connection.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Reads up to 255 bytes; the caller makes them displayable.
async fn read_name(connection: &mut Connection) -> io::Result<String> {
    let [length] = read(connection).await?;
    let mut name = vec![0; length.into()];
    connection.read_exact(&mut name).await?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

fn seed() -> io::Result<Seed> {
    let mut seed = [0; size_of::<Seed>()];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

impl From<Ended> for PairingError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Spent => Self::Spent,
            Ended::BadElement => Self::Malformed,
            Ended::Wrong => Self::WrongListener,
        }
    }
}

pub(super) const EXPORTER: &str = "EXPORTER-sockkit-pair-1";
