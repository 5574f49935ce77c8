//! Networks of real node processes on loopback, driven by real clients.
