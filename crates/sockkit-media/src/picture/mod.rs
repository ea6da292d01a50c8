//! Pictures: pixel formats, conversion, JPEG.
