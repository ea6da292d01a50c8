//! What a receiver says to an entry, and why either side gives one up. The disk
//! decides it, and a session carries it.

use std::fmt;

use super::{Digest, DigestTree};

/// What the receiver says to one entry.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Send all of it. For a folder or a link: it will be made.
    Send,
    /// Do not send it.
    Refuse(RefuseReason),
    /// The blocks in the tree are here and verified.
    Resume(Box<DigestTree>),
    /// A file of that size and this digest is here.
    Compare(Digest),
}

/// An enum with a byte and a sentence for each variant, open at the end.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $code:literal => $text:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
            /// A code from a later minor revision.
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
    /// Why the receiver does not have an entry.
    RefuseReason {
        /// It has no name that the receiver's system can hold.
        Name = 1 => "name is not allowed on the receiving system",
        /// The receiver's file system would take its name for that of an earlier entry.
        Collision = 2 => "name collides with another one in the offer",
        /// A file is there already.
        Exists = 3 => "a file of that name exists",
        /// A file is there, and it has other contents.
        Differs = 4 => "a file of that name exists and differs",
        /// Something is in the way that is not a file, or not a folder.
        InTheWay = 5 => "something that is not a file or folder is in the way",
        /// It was not chosen.
        Unwanted = 6 => "not wanted",
        /// Another transfer is writing it.
        Busy = 7 => "another transfer is writing that file",
        /// The receiver may not write there, or its disk failed.
        Io = 8 => "the receiver's file system failed",
        /// It is longer than the receiver's system lets a file be.
        TooLarge = 9 => "file is larger than the receiver's file system, or its `ulimit -f`, allows",
        /// It is a link that is absolute, leads out of the folder, or cannot be judged.
        Target = 10 => "symbolic link leads out of the folder, or up again after a name",
        /// It is of a kind that the receiver does not know or cannot make.
        Kind = 11 => "the receiver cannot make an entry of this kind",
    }
}

codes! {
    /// Why the sender did not send a file after all.
    FailReason {
        /// It is not there any more.
        Vanished = 1 => "file vanished from the sender",
        /// It cannot be read.
        Unreadable = 2 => "the sender cannot read the file",
        /// It changed while it was being sent.
        Changed = 3 => "file changed while it was being sent",
    }
}
