//! The OpenLedger node: peer-to-peer networking, BABE and GRANDPA consensus, the database, JSON-RPC
//! and the command line.
//!
//! It runs whatever runtime the chain holds. It must not know what the pallets do: everything about
//! data, models, work and money lives in the runtime, and the only runtime knowledge compiled in here
//! is the list of runtime APIs and the wasm blob from which the `dev` and `local` chains start.
//!
//! - `cli` says what can be typed, `command` what each word does.
//! - `chain_spec` holds the chains this binary knows by name.
//! - `service` builds a node and reads from top to bottom; `rpc` lists what it answers to.
//! - `executor` compiles the runtime, and finds it compiled the next time.
//! - `worker_url` says where the worker beside the node is.
//! - `equivocation` reports validators that make two blocks in one slot.
//! - `diagnosis` turns failures an operator can act on into advice.

// The SDK's error types are large, and ours pass through them.
#![allow(clippy::result_large_err)]

mod chain_spec;
mod cli;
mod command;
mod diagnosis;
mod equivocation;
mod executor;
mod rpc;
mod service;
mod worker_url;

use std::process::ExitCode;

fn main() -> ExitCode {
	match command::run() {
		Ok(()) => ExitCode::SUCCESS,
		// Returning the error from `main` would print its `Debug` form.
		Err(error) => {
			eprintln!("Error: {error}");
			ExitCode::FAILURE
		},
	}
}
