//! The format language of Python's `struct`.
