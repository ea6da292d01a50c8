//! Handler-style servers with limits, timeouts and a graceful end.
