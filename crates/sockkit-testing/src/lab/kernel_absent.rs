//! Other systems have no network namespaces, so no lab can be built there.

use std::{fs::File, io, time::Duration};

pub(super) fn enter_new_namespace() -> File {
    unreachable!("{NEEDS_LINUX}")
}

pub(super) fn enter(_namespace: &File) {
    unreachable!("{NEEDS_LINUX}")
}

pub(super) fn path_of(_file: &File) -> String {
    unreachable!("{NEEDS_LINUX}")
}

pub(super) fn index_of(_interface: &str) -> io::Result<u32> {
    unreachable!("{NEEDS_LINUX}")
}

pub(super) fn open_tap(_name: &str) -> io::Result<File> {
    unreachable!("{NEEDS_LINUX}")
}

pub(super) fn wait_precisely() {
    unreachable!("{NEEDS_LINUX}")
}

pub(super) fn wait(_files: [&File; 2], _at_most: Duration) -> io::Result<()> {
    unreachable!("{NEEDS_LINUX}")
}

const NEEDS_LINUX: &str = "a lab needs Linux, and `Lab::new` looks first";
