//! The worker through its real door: the binary or the daemon in this process, and HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

mod answering;
mod blobs;
mod clock;
mod command;
mod disk_full;
mod gateway;
mod jobs;
mod real_model;
mod training;
