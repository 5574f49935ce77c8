//! The worker daemon: engine, trainer, attribution and store behind an HTTP API on loopback,
//! and, if it is asked for, a gateway with OpenAI's API.
//!
//! The node's offchain worker posts orders and reads reports; the command line puts in data and looks
//! at progress and evidence (`docs/spec/worker-api.md`). One thread works on jobs, one at a time; for each
//! base model a service of the engine answers, for jobs and the gateway together; the rest is HTTP.
//!
//! | file | what it is about |
//! |---|---|
//! | [`daemon`], [`config`] | starting and stopping, what can be set |
//! | [`http`] | the API on loopback |
//! | [`gateway`] | OpenAI's API, for applications |
//! | [`job`], [`board`], [`journal`], [`events`] | which jobs there are and how they stand, in memory and on disk |
//! | [`compute`], [`inference`], [`generation`], [`training`] | the computing thread and the two kinds of work |
//! | [`base_model`], [`models`], [`indexes`], [`sources`] | what is worked with: base models, adapters, span indexes, contributions |
//! | [`evidence`] | why somebody was paid |
//! | [`failure`], [`metrics`] | what goes wrong and what the chain hears of it, what is counted |
//!
//! *Invariants.* The worker holds no chain key and speaks to no chain: what it says moves money only
//! once a node has signed it and the runtime has checked it. Its API listens on loopback alone; the
//! gateway elsewhere only when it asks for API keys. What it
//! answers about a job is on disk before; a job ends at most once, whenever the process is killed.
//! This is the only crate of ours that knows HTTP.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod base_model;
pub mod board;
pub mod compute;
pub mod config;
pub mod daemon;
pub mod durable;
pub mod events;
pub mod evidence;
pub mod failure;
pub mod gateway;
pub mod generation;
pub mod hexadecimal;
pub mod http;
pub mod indexes;
pub mod inference;
pub mod job;
pub mod journal;
pub mod metrics;
pub mod models;
pub mod sources;
pub mod time;
pub mod training;

pub use config::{Config, GatewayConfig, Patience, ServingConfig};
pub use daemon::{Daemon, StartError};
