//! Limited and directed broadcast, on one interface or all.
