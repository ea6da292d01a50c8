//! The command `sockkit`.

fn main() {}
