//! For tests: what the machine lacks, a simulated link, a network lab, programs as processes,
//! real time.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod lab;
pub mod needs;
pub mod program;
pub mod real_time;
pub mod sim;
