//! The disk: what is sent, and where received files go. It knows no peer and no
//! session, so that any way to transfer files can use it.

mod destination;
mod folder;
mod part;
mod plan;
mod source;
mod stale;
mod sync;
mod whole;

pub use self::{
    destination::{Destination, OnConflict},
    plan::Planned,
    source::{FileSet, FileSetError, SkipReason, Skipped, escape_path},
    whole::Whole,
};
pub(crate) use self::{
    destination::{Writer, refusal},
    folder::has_no_links,
    part::Part,
    plan::Planner,
    source::OpenFileSet,
};
