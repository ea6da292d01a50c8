//! For tests: what the machine lacks, a simulated link, a network lab.

#[cfg(target_os = "linux")]
pub mod lab;
pub mod link;
pub mod needs;
