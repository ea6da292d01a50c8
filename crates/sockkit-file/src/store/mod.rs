//! Disk access: files to send, and the destination of received files. It is
//! independent of peers and sessions, so that any kind of transfer can use it.

mod destination;
mod folder;
mod part;
mod plan;
mod source;
#[cfg(feature = "group")]
mod spool;
mod stale;
mod sync;
mod whole;

#[cfg(any(feature = "group", feature = "web"))]
pub(crate) use self::folder::FileExt;
#[cfg(feature = "group")]
pub(crate) use self::spool::Spool;
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
