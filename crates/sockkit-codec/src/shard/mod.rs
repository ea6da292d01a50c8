//! Messages as datagrams that survive loss.
