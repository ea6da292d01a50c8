//! Any-source and source-specific multicast, IPv4 and IPv6.
