//! What a training job delivers.

use crate::H256;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// What a training run measured, as integers. Losses are cross-entropy in nats per token, in
/// millionths.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Default,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub struct Metrics {
	/// Loss of the base model on the held-out split, in millionths.
	pub heldout_loss_before_micro: u32,
	/// Loss with the adapter on the same split, in millionths.
	pub heldout_loss_after_micro: u32,
	/// Tokens that went through training, repeats counted.
	pub trained_tokens: u64,
	/// Optimiser steps.
	pub steps: u32,
}

/// What a worker delivers: commitments to what lies off the chain.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub struct TrainingResult {
	/// Hash of the adapter's canonical bytes.
	pub adapter_hash: H256,
	/// Root of the span index over the sources.
	pub span_index_root: H256,
	/// Merkle root over the quantised influence vectors; zero when none were made.
	pub influence_root: H256,
	/// What was measured on the held-out split.
	pub metrics: Metrics,
}
