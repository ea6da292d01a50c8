//! For tests: what the machine lacks, a simulated link, a network lab.

pub mod link;
pub mod needs;
