//! What the `openledger` command is made of, for other programs too.
//!
//! It speaks to a node ([`chain`]) by the node's own metadata, and to a worker ([`worker`]) over HTTP.
//! Whatever a worker says that the chain commits to is checked here ([`evidence`], and the commands
//! that fetch contributions), so that nobody has to trust a worker's word about data or payments.
//!
//! It must not know how answers are made, how claims are judged, or how fees are split: the chain
//! says what happened, `openledger-primitives` computes what can be computed again. Errors are typed
//! ([`error`]); only the binary prints them and ends.

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::panic, reason = "a test may stop at what it did not expect"))]

pub mod amount;
pub mod arguments;
pub mod chain;
pub mod commands;
pub mod error;
pub mod evidence;
pub mod key;
pub mod loss_curve;
pub mod marking;
pub mod output;
pub mod records;
pub mod worker;
