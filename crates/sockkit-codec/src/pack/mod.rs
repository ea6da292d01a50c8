//! The format language of Python's `struct`: values ⇄ packed bytes.
//!
//! Many wire formats are documented as a Python format string. [`Format`]
//! parses such a string as CPython does on 64-bit Linux, packs and unpacks with
//! it, and returns more precise errors than CPython.
//!
//! ```
//! # use sockkit_codec as sockkit;
//! use sockkit::pack::{Format, Value};
//!
//! let header = Format::parse(">IH")?;
//! let bytes = header.pack(&[1.into(), 2.into()])?;
//! assert_eq!(bytes, [0, 0, 0, 1, 0, 2]);
//! assert_eq!(header.unpack(&bytes)?, [Value::Int(1), Value::Int(2)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The language
//!
//! The first character selects byte order, sizes and alignment:
//!
//! | first | byte order | sizes | alignment |
//! | --- | --- | --- | --- |
//! | `@` or none | the machine's | native | native: gaps before wider values |
//! | `=` | the machine's | standard | none |
//! | `<` | little-endian | standard | none |
//! | `>` or `!` | big-endian (network) | standard | none |
//!
//! Then come codes, each with an optional repeat count, optionally separated by
//! whitespace. `4h` is `hhhh`; `0l` adds only padding.
//!
//! | code | value | bytes, standard | bytes, native |
//! | --- | --- | --- | --- |
//! | `x` | none: a zero byte | 1 | 1 |
//! | `c` | [`Value::Bytes`] of one byte | 1 | 1 |
//! | `b` `B` | [`Value::Int`], signed and unsigned | 1 | 1 |
//! | `?` | [`Value::Bool`] | 1 | 1 |
//! | `h` `H` | [`Value::Int`] | 2 | 2 |
//! | `i` `I` | [`Value::Int`] | 4 | 4 |
//! | `l` `L` | [`Value::Int`] | 4 | 8 |
//! | `q` `Q` | [`Value::Int`] | 8 | 8 |
//! | `n` `N` | [`Value::Int`] | not allowed | 8 |
//! | `e` `f` `d` | [`Value::Float`] | 2, 4, 8 | 2, 4, 8 |
//! | `s` | one [`Value::Bytes`] of *count* bytes, cut or filled with zeros | count | count |
//! | `p` | one [`Value::Bytes`] behind a length byte, *count* bytes in all | count | count |
//! | `P` | [`Value::Int`], an address | not allowed | 8 |
//!
//! # Three formats of the course, worked through
//!
//! `'@B'` is one unsigned byte. Order and alignment do not matter for a single
//! byte, so `'B'`, `'<B'` and `'!B'` are the same:
//!
//! ```
//! # use sockkit_codec as sockkit;
//! # use sockkit::pack::Format;
//! let ttl = Format::parse("@B")?;
//! assert_eq!(ttl.pack(&[2.into()])?, [2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `'4sl'` is meant to be C's `ip_mreq`: the four bytes of a group's address,
//! then those of an interface. But native `l` has eight bytes on 64-bit Linux
//! and is aligned to eight, which adds four bytes of padding: 16 bytes, not 8.
//! With `=` (or `!`) it has four bytes and no padding:
//!
//! ```
//! # use sockkit_codec as sockkit;
//! # use sockkit::pack::Format;
//! let (group, any) = ([224, 0, 0, 255], 0);
//! let native = Format::parse("4sl")?;
//! assert_eq!(native.size_bytes(), 16);
//! assert_eq!(
//!     native.pack(&[group.into(), any.into()])?,
//!     [224, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
//! );
//! let request = Format::parse("=4sl")?;
//! assert_eq!(request.pack(&[group.into(), any.into()])?, [224, 0, 0, 255, 0, 0, 0, 0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `'Q'` is the length before a video frame: eight bytes in native order, which
//! is little-endian on today's machines. Two machines should agree on the
//! order, so frames of this crate use `'!Q'` by default:
//!
//! ```
//! # use sockkit_codec as sockkit;
//! # use sockkit::pack::Format;
//! let (frame, length) = (Format::parse("!Q")?, 921_600);
//! assert_eq!(frame.pack(&[length.into()])?, [0, 0, 0, 0, 0, 0x0e, 0x10, 0]);
//! if cfg!(target_endian = "little") {
//!     let native = Format::parse("Q")?;
//!     assert_eq!(native.pack(&[length.into()])?, [0, 0x10, 0x0e, 0, 0, 0, 0, 0]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Differences from CPython
//!
//! - Native sizes are those of 64-bit Linux on every machine; the native byte
//!   order is the machine's.
//! - `0p` packs to nothing and unpacks to an empty value. CPython writes a
//!   stray byte and fails to unpack.
//! - [`Format::pack`] rejects more than 64 MiB; [`Format::pack_into`] does not.
//! - Offsets are never negative: slice the buffer instead.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod code;
mod decode;
mod encode;
mod error;
mod format;
mod half;
mod parse;
mod value;

pub use self::{
    error::{Field, FormatError, PackError, UnpackError, ValueError},
    format::Format,
    value::Value,
};
