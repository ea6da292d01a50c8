//! TCP: listen, connect, and why a connection ended.
