//! What is stored about workers.

use crate::Config;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
	pallet_prelude::ConstU32, traits::Get, BoundedBTreeSet, CloneNoBound, DebugNoBound, EqNoBound,
	PartialEqNoBound,
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::{jobs::JobKind, Balance, BaseModelId, H256};
use scale_info::TypeInfo;

/// How many kinds of work there are.
pub const JOB_KINDS: u32 = 3;

/// A pool: the workers that offer one kind of work on one base model.
pub type PoolKey = (JobKind, BaseModelId);

/// What a worker offers.
#[derive(
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	CloneNoBound,
	PartialEqNoBound,
	EqNoBound,
	DebugNoBound,
)]
#[scale_info(skip_type_params(MaxBaseModels))]
#[codec(mel_bound())]
pub struct Capabilities<MaxBaseModels: Get<u32>> {
	/// Kinds of work it takes, at least one.
	pub kinds: BoundedBTreeSet<JobKind, ConstU32<JOB_KINDS>>,
	/// Base models it serves, at least one. It takes every one of its kinds on each of them.
	pub base_models: BoundedBTreeSet<BaseModelId, MaxBaseModels>,
	/// Memory of its accelerator (or of the machine, without one) in MiB, for people who choose
	/// workers by hand. Assignment does not look at it.
	pub memory_mib: u32,
	/// The most jobs it does at the same time, at least one.
	pub slots: u32,
}

impl<MaxBaseModels: Get<u32>> Capabilities<MaxBaseModels> {
	/// The pools these capabilities belong in.
	pub fn pools(&self) -> impl Iterator<Item = PoolKey> + '_ {
		self.base_models
			.iter()
			.flat_map(move |base| self.kinds.iter().map(move |kind| (*kind, *base)))
	}

	/// Whether these capabilities belong in a pool.
	pub fn serve(&self, (kind, base): &PoolKey) -> bool {
		self.kinds.contains(kind) && self.base_models.contains(base)
	}
}

/// The key that signs for a worker.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug,
)]
pub enum OperatorKey<AccountId> {
	/// Named by the stash; it may not sign for the worker, and nobody may, before it accepts.
	#[codec(index = 0)]
	Proposed(AccountId),
	/// Accepted by the key itself.
	#[codec(index = 1)]
	Confirmed(AccountId),
}

impl<AccountId> OperatorKey<AccountId> {
	/// The key, if it may sign.
	pub fn confirmed(&self) -> Option<&AccountId> {
		match self {
			Self::Confirmed(operator) => Some(operator),
			Self::Proposed(_) => None,
		}
	}
}

/// Whether a worker wants work.
#[derive(
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
)]
pub enum Status<BlockNumber> {
	/// It wants work.
	#[codec(index = 0)]
	Active,
	/// Its stash wants no work for now.
	#[codec(index = 1)]
	Paused,
	/// It let too many jobs time out, the last of them at `since`.
	#[codec(index = 2)]
	PausedForStrikes {
		/// The block of the last strike, from which the cooldown counts.
		since: BlockNumber,
	},
	/// It ends: its bond is unbonding. The record goes when the bond is withdrawn and its last job
	/// is released.
	#[codec(index = 3)]
	Leaving,
}

/// One worker, under its stash.
///
/// What is unbonding is stored apart, so that assigning and releasing jobs does not read it.
#[derive(
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	CloneNoBound,
	PartialEqNoBound,
	EqNoBound,
	DebugNoBound,
)]
#[scale_info(skip_type_params(T))]
#[codec(mel_bound())]
pub struct Worker<T: Config> {
	/// The key that signs its results.
	pub operator: OperatorKey<T::AccountId>,
	/// Bond in planks, without what is unbonding. Its weight in the pools.
	pub bond: Balance,
	/// What it offers.
	pub capabilities: Capabilities<T::MaxBaseModels>,
	/// Whether it wants work.
	pub status: Status<BlockNumberFor<T>>,
	/// Jobs assigned and not yet released; at most its slots.
	pub active_jobs: u32,
	/// Jobs it let time out and that are not forgiven yet.
	pub strikes: u32,
	/// Jobs delivered in a row since the last strike or fault; counts only while there are strikes
	/// to forgive.
	pub delivered_in_a_row: u32,
}

impl<T: Config> Worker<T> {
	/// Whether the worker belongs in the pools: it wants work, its operator key has accepted, and
	/// its bond is at least the minimum.
	pub fn is_eligible(&self) -> bool {
		matches!(self.status, Status::Active)
			&& self.operator.confirmed().is_some()
			&& self.bond >= T::MinBond::get()
	}

	/// The number of base models served, by which calls that touch its pools are weighed.
	pub fn bases(&self) -> u32 {
		u32::try_from(self.capabilities.base_models.len()).unwrap_or(u32::MAX)
	}
}

/// A part of a bond on its way back to the stash. It can still be slashed.
#[derive(
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
)]
pub struct UnbondingChunk<BlockNumber> {
	/// Planks.
	pub amount: Balance,
	/// The first block in which it can be withdrawn.
	pub unlock_at: BlockNumber,
}

/// A worker's place in a pool, with what a draw needs to know, so that drawing reads one value.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug,
)]
pub struct PoolMember<AccountId, BlockNumber> {
	/// The worker.
	pub stash: AccountId,
	/// Its bond in planks.
	pub weight: Balance,
	/// The block in which the worker last entered the pool or changed its own weight. Randomness
	/// that was known by then could have been reckoned with.
	pub since: BlockNumber,
}

/// Who changed a worker's weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WeightChange {
	/// The worker, by something it chose to do.
	Chosen,
	/// The chain, by a slash.
	Slashed,
}

/// Why a bond was slashed.
#[derive(
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
)]
pub enum SlashReason {
	/// A job's deadline passed without a result.
	#[codec(index = 0)]
	TimedOut,
	/// A result was judged false.
	#[codec(index = 1)]
	FaultyResult,
	/// Governance decided so.
	#[codec(index = 2)]
	Governance {
		/// Hash of the document that gives the grounds.
		grounds: H256,
	},
}
