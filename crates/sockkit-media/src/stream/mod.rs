//! Pictures over datagrams and framed TCP.
