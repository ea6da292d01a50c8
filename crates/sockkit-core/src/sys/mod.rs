//! The calls that no crate wraps. All `unsafe` of the workspace is here.
