//! Classifies failures of the destination's disk, for the caller and for the
//! peer.

use std::io;

use super::ReceiveError;
use crate::{Entry, session::Abort};

/// The error of a failed write, given the free space of the disk.
pub(crate) fn write_error(
    entry: &Entry,
    free_bytes: io::Result<u64>,
    error: io::Error,
) -> ReceiveError {
    let path = entry.path.to_string();
    match (error.kind(), free_bytes) {
        (io::ErrorKind::QuotaExceeded, _) => ReceiveError::Quota { path, error },
        (io::ErrorKind::StorageFull, Ok(available_bytes)) if available_bytes < entry.size_bytes => {
            ReceiveError::NoSpace {
                needed_bytes: entry.size_bytes,
                available_bytes,
            }
        }
        (io::ErrorKind::StorageFull, _) => ReceiveError::Full { path, error },
        _ => ReceiveError::Write { path, error },
    }
}

/// Errors that later files would meet as well.
pub(crate) fn is_fatal(error: &io::Error) -> bool {
    is_full(error) || error.kind() == io::ErrorKind::ReadOnlyFilesystem
}

/// The reason to send to the peer; `None` if it is not connected any more.
pub(super) fn abort(error: &ReceiveError) -> Option<Abort> {
    match error {
        ReceiveError::Session(error) => error.abort(),
        ReceiveError::NoSpace {
            needed_bytes,
            available_bytes,
        } => Some(Abort::NoSpace {
            needed: *needed_bytes,
            available: *available_bytes,
        }),
        ReceiveError::NoInodes { .. }
        | ReceiveError::Quota { .. }
        | ReceiveError::Full { .. }
        | ReceiveError::Room(_)
        | ReceiveError::Write { .. }
        | ReceiveError::Sync(_) => Some(Abort::Io),
        ReceiveError::Io(_) | ReceiveError::Worker => None,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said when a file of nine bytes cannot be written.
    fn told(kind: io::ErrorKind, free_bytes: io::Result<u64>) -> String {
        let entry = Entry::file("film", 9);
        write_error(&entry, free_bytes, kind.into()).to_string()
    }

    #[test]
    fn a_full_disk_is_told_as_what_it_is() {
        let full = io::ErrorKind::StorageFull;
        assert_eq!(told(full, Ok(3)), "9 bytes are needed, 3 are free");
        for free_bytes in [Ok(66_305_228_800), Err(io::ErrorKind::Other.into())] {
            let told = told(full, free_bytes);
            assert!(
                told.contains("out of inodes, a quota or a reserve"),
                "{told}"
            );
        }
        let told = told(io::ErrorKind::QuotaExceeded, Ok(3));
        assert!(
            told.contains("your quota on that disk is used up"),
            "{told}"
        );
    }
}
