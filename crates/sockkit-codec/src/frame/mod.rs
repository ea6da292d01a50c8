//! Length-prefixed frames and lines on a byte stream.
