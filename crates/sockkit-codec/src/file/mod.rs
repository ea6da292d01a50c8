//! File transfer: session, drivers, confined writes.
