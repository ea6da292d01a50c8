//! The disk: what is sent, and where received files go. It knows no peer and no
//! session, so that any way to transfer files can use it.

mod destination;
mod folder;
mod part;
mod source;
mod whole;

pub use self::{
    destination::{Destination, OnConflict},
    source::{SkipReason, Skipped, Source, SourceError},
    whole::Whole,
};
pub(crate) use self::{
    destination::{Writer, refusal},
    part::Part,
    source::OpenSource,
};
