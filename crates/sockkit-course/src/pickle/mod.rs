//! Encodes and decodes pictures as `pickle.dumps` of a numpy array, and nothing
//! else.
//!
//! Python's own `pickle.loads` executes whatever it reads. This decoder knows
//! the few opcodes and names of a `uint8` array with the shape height × width ×
//! 3, gives each a fixed meaning, and rejects all others. Nothing that was
//! received is ever executed.
//!
//! ```
//! # mod sockkit { pub use ::sockkit_course as course; pub use ::sockkit_media::*; }
//! use sockkit::course::pickle;
//! use sockkit::picture::{Picture, PixelFormat};
//!
//! let frame = Picture::new(PixelFormat::Bgr, 2, 1, vec![1, 2, 3, 4, 5, 6])?;
//! let body = pickle::encode(&frame)?; // `pickle.loads(body)` gives an array
//! assert_eq!(pickle::decode(&body.into())?.data(), frame.data());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Source
//! Python's `pickletools` for the opcodes; numpy's `__reduce_ex__` for what it
//! says with them: `_reconstruct` in protocols 2 to 4, `_frombuffer` in 5, which for
//! transposed arrays tells the order of the axes as well.

mod machine;

use bytes::Bytes;

use sockkit_media::picture::{Picture, PictureError, PixelFormat};

/// Error from decoding a pickled picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// The bytes are truncated.
    #[error("pickle ends in the middle")]
    Truncated,
    /// An opcode that a picture does not need.
    #[error("pickle has opcode {opcode:#04x} at byte {at}, which no picture needs")]
    Opcode {
        /// The opcode.
        opcode: u8,
        /// Its position.
        at: usize,
    },
    /// A name that a picture does not need.
    #[error("pickle names {name}, which no picture needs")]
    Name {
        /// Module and name, escaped.
        name: String,
    },
    /// More opcodes than a picture needs.
    #[error("pickle has more than {limit} opcodes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The result is not a `uint8` array of shape height × width × 3.
    #[error("pickle is not a picture: {0}")]
    NotAPicture(&'static str),
    /// The array's shape does not match its data.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Decodes a picture, as BGR, without copying it (except in protocol 2, whose
/// bytes are text).
///
/// # Errors
/// [`PickleError`], whatever the input is.
pub fn decode(body: &Bytes) -> Result<Picture, PickleError> {
    let array = machine::run(body)?;
    let [height_px, width_px, 3] = array.shape else {
        return Err(PickleError::NotAPicture("its last dimension is not 3"));
    };
    Ok(Picture::new(
        PixelFormat::Bgr,
        width_px,
        height_px,
        array.data,
    )?)
}

/// Encodes a picture in protocol 4, which Python supports since 3.4.
///
/// # Errors
/// [`PictureError`] if it is a damaged JPEG.
pub fn encode(frame: &Picture) -> Result<Vec<u8>, PictureError> {
    let bgr = frame.convert(PixelFormat::Bgr)?.packed();
    let data = bgr.data();
    let mut out = Vec::with_capacity(HEAD.len() + DTYPE.len() + data.len() + 32);
    out.extend(HEAD);
    for side in [bgr.height_px(), bgr.width_px()] {
        // BININT: the sides are below 2^16.
        out.push(b'J');
        out.extend(side.to_le_bytes());
    }
    out.extend(b"K\x03\x87");
    out.extend(DTYPE);
    // BINBYTES8: not in Fortran's order, and the bytes.
    out.extend(b"\x89\x8e");
    out.extend((data.len() as u64).to_le_bytes());
    out.extend(data);
    // The state's tuple, BUILD, STOP.
    out.extend(b"tb.");
    Ok(out)
}

/// `_reconstruct(ndarray, (0,), b'b')`, and the start of the state: version 1.
///
/// The old name of the module, which numpy 2 still accepts.
const HEAD: &[u8] = b"\x80\x04\x8c\x15numpy.core.multiarray\x8c\x0c_reconstruct\x93\
    \x8c\x05numpy\x8c\x07ndarray\x93K\x00\x85C\x01b\x87R(K\x01";

/// `dtype('u1', False, True)`, and its state.
const DTYPE: &[u8] = b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02u1\x89\x88\x87R\
    (K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fuzzing, hostile};

    /// `pickle.dumps` of `arange(18, dtype=uint8).reshape(2, 3, 3)`.
    const PROTOCOLS: [&[u8]; 4] = [
        b"\x80\x02cnumpy._core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02c_codecs\nencode\nq\x03X\x01\x00\x00\x00bq\x04X\x06\x00\x00\x00latin1q\x05\x86q\x06Rq\x07\x87q\x08Rq\t(K\x01K\x02K\x03K\x03\x87q\ncnumpy\ndtype\nq\x0bX\x02\x00\x00\x00u1q\x0c\x89\x88\x87q\rRq\x0e(K\x03X\x01\x00\x00\x00|q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x10b\x89h\x03X\x12\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11q\x11h\x05\x86q\x12Rq\x13tq\x14b.",
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02C\x01bq\x03\x87q\x04Rq\x05(K\x01K\x02K\x03K\x03\x87q\x06cnumpy\ndtype\nq\x07X\x02\x00\x00\x00u1q\x08\x89\x88\x87q\tRq\n(K\x03X\x01\x00\x00\x00|q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0cb\x89C\x12\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11q\rtq\x0eb.",
        b"\x80\x04\x95\x9f\x00\x00\x00\x00\x00\x00\x00\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02K\x03K\x03\x87\x94h\x03\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89C\x12\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x94t\x94b.",
        b"\x80\x05\x95\x8a\x00\x00\x00\x00\x00\x00\x00\x8c\x13numpy._core.numeric\x94\x8c\x0b_frombuffer\x94\x93\x94(\x96\x12\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x94\x8c\x05numpy\x94\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94bK\x02K\x03K\x03\x87\x94\x8c\x01C\x94t\x94R\x94.",
    ];

    fn read(bytes: &[u8]) -> Result<Picture, PickleError> {
        decode(&Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn every_protocol_of_numpy_is_read() {
        for (protocol, bytes) in (2..).zip(PROTOCOLS) {
            let frame = read(bytes).unwrap_or_else(|error| panic!("{protocol}: {error}"));
            assert_eq!((frame.width_px(), frame.height_px()), (3, 2));
            assert_eq!(frame.data()[..], (0..18).collect::<Vec<u8>>());
        }
    }

    /// `pickle.dumps` of `arange(18, dtype=uint8).reshape(memory).transpose(axes)` in
    /// numpy 2.4, protocol 5.
    fn transposed(memory: [u8; 3], axes: [u8; 3]) -> Vec<u8> {
        let [.., c_order] = PROTOCOLS;
        let (head, _shape) = c_order.split_at(c_order.len() - 17);
        let numbers = |[a, b, c]: [u8; 3]| [b'K', a, b'K', b, b'K', c, 0x87, 0x94];
        [
            head,
            &numbers(memory),
            b"\x8c\x01K\x94",
            &numbers(axes),
            b"t\x94R\x94.",
        ]
        .concat()
    }

    #[test]
    fn axes_in_another_order_are_put_in_order() {
        let by_numpy = b"\x80\x05\x95\x92\x00\x00\x00\x00\x00\x00\x00\x8c\x13numpy._core.numeric\x94\x8c\x0b_frombuffer\x94\x93\x94(\x96\x12\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x94\x8c\x05numpy\x94\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94bK\x02K\x03K\x03\x87\x94\x8c\x01K\x94K\x01K\x00K\x02\x87\x94t\x94R\x94.";
        let frame = read(by_numpy).unwrap();
        assert_eq!((frame.height_px(), frame.width_px()), (3, 2));
        let rows = [0, 1, 2, 9, 10, 11, 3, 4, 5, 12, 13, 14, 6, 7, 8, 15, 16, 17];
        assert_eq!(frame.data()[..], rows);
        for axes in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            // The channels come last once the axes are in order.
            let memory = [0, 1, 2].map(|axis| if axis == axes[2] { 3 } else { 2 });
            let mut small = transposed(memory, axes);
            let length = small.iter().position(|&byte| byte == 0x96).unwrap() + 1;
            small[length] = 12;
            small.drain(length + 8 + 12..length + 8 + 18);
            let frame = read(&small).unwrap_or_else(|error| panic!("{axes:?}: {error}"));
            let [_, b, c] = memory.map(usize::from);
            let steps = [b * c, c, 1];
            let [row, column, channel] = axes.map(|axis| steps[usize::from(axis)]);
            assert_eq!(
                usize::from(frame.data()[3 + 1]),
                column + channel,
                "{axes:?}"
            );
            assert_eq!(usize::from(frame.data()[6]), row, "{axes:?}");
        }
    }

    #[test]
    fn fortran_is_read() {
        let [.., c_order] = PROTOCOLS;
        let mut fortran = c_order.to_vec();
        let order = fortran.len() - 7;
        fortran[order] = b'F';
        assert_eq!(read(&fortran).unwrap().data()[..4], [0, 6, 12, 2]);
        let mut state = PROTOCOLS[2].to_vec();
        let flag = state
            .windows(4)
            .position(|bytes| bytes == b"b\x89C\x12")
            .unwrap()
            + 1;
        state[flag] = 0x88;
        assert_eq!(read(&state).unwrap().data()[..4], [0, 6, 12, 2]);
    }

    #[test]
    fn axes_that_lie_are_refused() {
        for (memory, axes) in [
            ([2, 3, 3], [1, 1, 2]),
            ([2, 3, 3], [1, 0, 3]),
            ([2, 3, 4], [1, 0, 2]),
            ([255, 255, 255], [1, 0, 2]),
            ([2, 3, 3], [2, 1, 0]),
        ] {
            let read = read(&transposed(memory, axes));
            assert!(
                matches!(read, Err(PickleError::NotAPicture(_))),
                "{memory:?} {axes:?}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let data: Vec<u8> = (0..=255).cycle().take(640 * 480 * 3).collect();
        let frame = Picture::new(PixelFormat::Bgr, 640, 480, data).unwrap();
        let again = read(&encode(&frame).unwrap()).unwrap();
        assert_eq!((again.width_px(), again.height_px()), (640, 480));
        assert!(again.data() == frame.data());
    }

    #[test]
    fn nothing_is_executed() {
        for (what, bytes) in [
            (
                "os.system",
                &b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R."[..],
            ),
            ("os.system by line", b"cos\nsystem\n(S'id'\ntR."),
            (
                "builtins.eval",
                b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.",
            ),
            (
                "another of numpy's",
                b"\x80\x04\x8c\x05numpy\x8c\x04load\x93.",
            ),
            (
                "a codec that is not latin1",
                b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00bX\x05\x00\x00\x00rot13\x86R.",
            ),
            ("an object", b"\x80\x02cnumpy\nndarray\n)\x81."),
            ("INST", b"(inumpy\nndarray\n."),
            ("a persistent id", b"Pfile\n."),
            ("a list", b"]."),
            ("nothing at all", b""),
            ("a number", b"\x80\x04K\x01."),
            ("a call of a number", b"\x80\x04K\x01)R."),
            ("a tuple without a mark", b"\x80\x04t."),
            ("a memo that was never put", b"\x80\x04h\x07."),
        ] {
            assert!(read(bytes).is_err(), "{what}");
        }
        assert!(matches!(
            read(b"\x80\x04\x8c\x02os\x8c\x06system\x93."),
            Err(PickleError::Name { name }) if name == "os.system"
        ));
    }

    #[test]
    fn shapes_that_lie_are_refused() {
        let frame = Picture::new(PixelFormat::Bgr, 3, 2, vec![7; 18]).unwrap();
        let sound = encode(&frame).unwrap();
        let height = HEAD.len() + 1;
        for lie in [0, 1, 3, 70_000, i32::MAX, -1] {
            let mut bytes = sound.clone();
            bytes[height..height + 4].copy_from_slice(&lie.to_le_bytes());
            assert!(read(&bytes).is_err(), "{lie}");
        }
        for order in *b"CF" {
            let read = read(&empty_with_long_sides(order));
            assert!(matches!(read, Err(PickleError::NotAPicture(_))), "{read:?}");
        }
    }

    /// No bytes at all, in the shape of (2^31 - 1, 2^31 - 1, 0).
    fn empty_with_long_sides(order: u8) -> Vec<u8> {
        let [.., sound] = PROTOCOLS;
        let begin = sound.iter().position(|&byte| byte == 0x96).unwrap() + 1;
        let (head, rest) = (&sound[..begin], &sound[begin + 8 + 18..sound.len() - 17]);
        let side = [&b"J"[..], &i32::MAX.to_le_bytes()].concat();
        let tail = [&b"K\0\x87\x94\x8c\x01"[..], &[order], b"\x94t\x94R\x94."];
        [head, &[0; 8], rest, &side, &side, &tail.concat()].concat()
    }

    #[test]
    fn endless_pickles_end() {
        let deep = [&b"\x80\x04N"[..], &[0x85; 100_000], b"."].concat();
        assert!(matches!(read(&deep), Err(PickleError::TooLong { .. })));
    }

    /// A tuple of the tuple before, twice, sixty times over: 2^60 values if each
    /// were copied.
    #[test]
    fn a_tuple_that_doubles_itself_takes_no_room() {
        let bomb = [
            &b"\x80\x02Nq\x00"[..],
            &b"h\x00h\x00\x86q\x00".repeat(60),
            b".",
        ]
        .concat();
        assert!(matches!(
            read(&bomb),
            Err(PickleError::TooLong { .. } | PickleError::NotAPicture(_))
        ));
    }

    #[test]
    fn ten_thousand_broken_ones_are_errors_or_pictures() {
        let mut sound = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        sound.push(transposed([2, 3, 3], [1, 0, 2]));
        hostile::check(&sound, fuzzing::pickle, |length| 4 * length + 16_000);
    }
}
