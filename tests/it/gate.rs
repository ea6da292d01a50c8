//! What `scripts/test` decides on, in machines that are folders.

use std::{fs, path::Path, process::Command};

/// Whether `scripts/has-libclang` finds one among these files.
fn finds(files: &[&str]) -> bool {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/has-libclang");
    let status = Command::new("bash").arg(script).arg(root.path()).status();
    status.unwrap().success()
}

#[test]
fn libclang_is_what_bindgen_loads() {
    let headers = "usr/lib/llvm-14/lib/clang/14.0.6/include/stddef.h";
    for library in [
        "usr/lib/llvm-14/lib/libclang.so",
        "usr/lib/llvm-14/lib/libclang.so.1",
        "usr/lib/llvm-14/lib/libclang-14.so",
        "usr/lib/llvm-14/lib/libclang-14.so.1",
        "usr/lib/x86_64-linux-gnu/libclang-14.so.14.0.6",
        "usr/lib64/libclang.so.14",
        "usr/local/lib/libclang.so",
    ] {
        assert!(finds(&[library, headers]), "{library}");
        assert!(!finds(&[library]), "{library} without headers");
    }
}

#[test]
fn libclang_cpp_is_no_libclang() {
    let headers = "usr/lib/llvm-14/lib/clang/14.0.6/include/stddef.h";
    assert!(!finds(&[]));
    assert!(!finds(&[headers]));
    for library in [
        "usr/lib/llvm-14/lib/libclang-cpp.so.14",
        "usr/lib/llvm-14/lib/libclang-cpp.so",
        "usr/lib/x86_64-linux-gnu/libclang-cpp.so.14",
        "usr/lib/llvm-14/lib/libclangBasic.a",
    ] {
        assert!(!finds(&[library, headers]), "{library}");
    }
}
