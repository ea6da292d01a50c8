//! Every socket option, typed: set, get, read back, explain.
