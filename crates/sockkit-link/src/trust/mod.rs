//! Known peers, and their rights.

mod rights;
mod store;
mod watched;
mod who;

pub use self::{
    rights::{Right, Rights, RightsError},
    store::{KnownPeer, PeerError, PeerStore},
    who::Trust,
};
