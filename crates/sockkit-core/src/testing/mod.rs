//! For tests: what the machine lacks, a simulated link, a network lab.

pub mod needs;
