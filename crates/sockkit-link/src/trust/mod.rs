//! Whom this machine knows, and what each of them may do.

mod rights;
mod store;
mod who;

pub use self::{
    rights::{Right, Rights, RightsError},
    store::{KnownPeer, PeerError, PeerStore},
    who::Trust,
};
