//! Live pictures over a network: sources, JPEG, loss-tolerant streams,
//! a browser viewer and an MP4 recorder.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod latest;
pub mod picture;
pub mod sink;
pub mod source;
pub mod stream;
