//! A receiver's answer to an entry, and why either side gives one up. Decided
//! by the disk, carried by a session.

use std::fmt;

use super::{Digest, DigestTree};

/// The receiver's answer to one entry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// Send all of it. A folder or a link will be created.
    Send,
    /// Do not send it.
    Refuse(RefuseReason),
    /// Resume: the blocks in the tree are present and verified.
    Resume(Box<DigestTree>),
    /// A file of that size with this digest is present: compare it.
    Compare(Digest),
}

/// Defines an enum with a code and a sentence for each variant, and room for
/// later codes.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $code:literal => $text:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
            /// A code of a later minor version.
            Other(u8),
        }

        impl $name {
            pub(crate) fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Other(code) => code,
                }
            }

            pub(crate) fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    code => Self::Other(code),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Other(code) => write!(f, "reason {code}, unknown to this version"),
                }
            }
        }
    };
}

codes! {
    /// Why the receiver refuses an entry.
    RefuseReason {
        /// Its name is not allowed on the receiver's system.
        Name = 1 => "name is not allowed on the receiving system",
        /// The receiver's file system would treat its name as that of an
        /// earlier entry.
        Collision = 2 => "name collides with another one in the offer",
        /// A file of that name exists.
        Exists = 3 => "a file of that name exists",
        /// A file of that name exists, with other contents.
        Differs = 4 => "a file of that name exists and differs",
        /// Something other than a file or a folder has that name.
        InTheWay = 5 => "something that is not a file or folder is in the way",
        /// The user did not select it.
        Unwanted = 6 => "not wanted",
        /// Another transfer is writing it.
        Busy = 7 => "another transfer is writing that file",
        /// The receiver has no write permission, or its disk failed.
        Io = 8 => "the receiver's file system failed",
        /// It exceeds the maximum file size of the receiver's system.
        TooLarge = 9 => "file is larger than the receiver's file system, or its `ulimit -f`, allows",
        /// A link that is absolute, leads out of the folder, or cannot be
        /// checked.
        Target = 10 => "symbolic link leads out of the folder, or has `..` after a name",
        /// Its kind is unknown to the receiver or cannot be created there.
        Kind = 11 => "the receiver cannot make an entry of this kind",
    }
}

codes! {
    /// Why the sender cannot offer something that it found.
    LeftOutReason {
        /// A link that no receiver would create.
        Link = 1 => "symbolic link leads out of the folder, or has `..` after a name",
        /// No receiver would accept its name.
        Name = 2 => "no receiver would accept the name",
        /// Its name is not Unicode, on a system where names are.
        NotUnicode = 3 => "name is not Unicode",
        /// It cannot be read.
        Unreadable = 4 => "the sender cannot read it",
    }
}

codes! {
    /// Why the sender did not send a file.
    FailReason {
        /// It no longer exists.
        Vanished = 1 => "file no longer exists at the sender",
        /// It cannot be read.
        Unreadable = 2 => "the sender cannot read the file",
        /// It changed while it was being sent.
        Changed = 3 => "file changed while it was being sent",
    }
}
