//! `struct-pack` beside Python's `struct`.

use crate::run::{has_python, program, twin};

const STRUCT_PACK: &str = env!("CARGO_BIN_EXE_struct-pack");

/// What both print for packing `values`, and for unpacking that again.
#[track_caller]
fn check(format: &str, values: &[&str], hex: &str, shown: &[&str]) {
    let arguments = [&[format, "--"], values].concat();
    let packed = program(STRUCT_PACK, &arguments).end();
    assert_eq!(packed.lines, [hex], "{packed:?}");
    let unpacked = program(STRUCT_PACK, &[format, "--unpack", hex]).end();
    assert_eq!(unpacked.lines, shown, "{unpacked:?}");

    if has_python("struct-pack with Python") {
        let packed = twin("struct_pack.py", &arguments).end();
        assert_eq!(packed.lines, [hex], "{packed:?}");
        let unpacked = twin("struct_pack.py", &[format, "--unpack", hex]).end();
        assert_eq!(unpacked.lines, shown, "{unpacked:?}");
    }
}

#[test]
fn packs_and_unpacks_as_python_does() {
    check(">IH", &["1", "2"], "000000010002", &["1", "2"]);
    check(
        "<hqd",
        &["-1", "7", "0.5"],
        "ffff0700000000000000000000000000e03f",
        &["-1", "7", "0.5"],
    );
    check(
        "!?2se",
        &["true", "ab", "1.5"],
        "0161623e00",
        &["true", "ab", "1.5"],
    );
    check(
        "<3c4p",
        &["x", "y", "z", "ab"],
        "78797a02616200",
        &["x", "y", "z", "ab"],
    );
}

#[test]
fn packs_the_formats_of_the_course() {
    check("@B", &["2"], "02", &["2"]);
    // The address of group and interface: eight bytes more than C's structure.
    check(
        "4sl",
        &["abcd", "0"],
        "61626364000000000000000000000000",
        &["abcd", "0"],
    );
    check("=4sl", &["abcd", "0"], "6162636400000000", &["abcd", "0"]);
    check("<Q", &["921600"], "00100e0000000000", &["921600"]);
}

#[test]
fn says_what_is_wrong() {
    for (arguments, complaint) in [
        (
            &[">IH", "1", "65536"][..],
            "value 1 (code 'H' at position 2) must be 0 to 65535, got 65536",
        ),
        (&[">IH", "1"], "format takes 2 values, got 1"),
        (
            &["999999999999B"],
            "format takes 999999999999 values, got 0",
        ),
        (&["999999999999x"], "limit is"),
        (&["i", "one"], "\"one\" is no integer"),
        (&["z"], "'z' at position 0"),
        (&["?", "yes"], "neither true nor false"),
        (&["H", "--unpack", "00"], "2 bytes"),
        (&["H", "--unpack", "000"], "3 hexadecimal digits"),
        (&["H", "--unpack", "0g"], "'g' is no hexadecimal digit"),
        (&["H", "1", "--unpack", "0000"], "cannot be used with"),
    ] {
        let end = program(STRUCT_PACK, arguments).end();
        assert!(!end.status.success(), "{end:?}");
        assert!(end.errors.contains(complaint), "{end:?}");
    }
}
