//! Networks of real node processes on loopback, driven by real clients.
//!
//! A test starts a [`Network`] and talks to its nodes as anybody would, through a [`Client`]: JSON-RPC,
//! and transactions, storage and events by the metadata that the node gives. It must not know the
//! runtime's types: whoever has only the metadata must get on.
//!
//! Every wait has a limit and a name, nodes die with the network that started them, and what they logged
//! is printed when a test fails. However the tests are started, a few networks run on a machine at a time.

pub mod client;
mod command_line;
mod hostile_worker;
mod market;
mod network;
mod node;
pub mod release;
mod wait;
mod worker;

pub use client::{Call, Client, Event, Receipt, Refusal};
pub use command_line::{CommandLine, Ended};
pub use hostile_worker::{HostileWorker, Manners};
pub use market::Market;
pub use network::Network;
pub use node::Node;
pub use wait::{step, until};
pub use worker::Worker;

/// One OPEN in planks.
pub const OPEN: u128 = 1_000_000_000_000;
