//! File transfer: confined disk access, and the drivers that run a session of
//! `sockkit-codec` over a stream.
//!
//! ```
//! # mod sockkit { pub use ::sockkit_file as file; }
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit::file::{Destination, FileSet, ReceiveConfig, SendConfig, receive, send};
//!
//! let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
//! std::fs::write(here.path().join("note"), "hello")?;
//! let source = FileSet::gather([here.path().join("note")])?;
//! let destination = Destination::open(there.path())?;
//!
//! // Any stream: a TCP or QUIC connection, or this one in memory.
//! let (near, far) = tokio::io::duplex(1 << 16);
//! let receiving = async {
//!     let offer = receive(far, &ReceiveConfig::default()).await?;
//!     offer.accept(&destination).await
//! };
//! let config = SendConfig::default();
//! let (sent, received) = tokio::join!(send(near, source, &config), receiving);
//! (sent?, received?);
//! assert_eq!(std::fs::read_to_string(there.path().join("note"))?, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
// Libraries do not print; programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod driver;
#[cfg(feature = "group")]
pub mod group;
mod store;
#[cfg(feature = "web")]
pub mod web;

pub use sockkit_codec::file::{
    Answer, BLOCK_BYTES, BlockHasher, BlockIndex, Digest, DigestTree, Entry, EntryIndex, EntryKind,
    EntryPath, FailReason, FileTime, Integrity, LeftOut, LeftOutReason, LinkTarget, Manifest,
    NameError, NameRules, RawPath, RefuseReason, TEMPORARY_PREFIX, block_count, escape_name,
    escape_name_bytes, session,
};

pub use self::{
    driver::{
        Arrival, FailedHandshake, FileOutcome, FileSink, FileSource, FileSummary, Offer,
        OnProgress, Outgoing, Progress, Queue, QueuePermit, QueuedPeer, ReceiveConfig,
        ReceiveError, SendConfig, SendError, SourceFile, Summary, TransferIoError, Turn, greet,
        receive, refusal, send, turn_away,
    },
    store::{
        Destination, FileSet, FileSetError, OnConflict, Planned, SkipReason, Skipped, Whole,
        escape_path,
    },
};
