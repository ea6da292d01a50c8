//! Test utilities: requirements of tests, a simulated link, a network lab,
//! programs as processes and what they take, and real-time tests.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod lab;
pub mod needs;
pub mod program;
pub mod real_time;
pub mod sim;
pub mod usage;
