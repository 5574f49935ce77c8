//! # Attribution: money out
//!
//! What an answer earned is divided here among everybody who caused it, in the block in which the
//! answer is delivered, and kept in a ledger until it is claimed. For every fee the chain can say
//! where it went: fee → split → datanet → contribution → owner → amount
//! ([`Pallet::explain`]).
//!
//! ## Terms
//!
//! - *Claim*: a worker's statement of what an answer owes to which contributions, in parts per
//!   million, with the spans that it follows from ([`AttributionClaim`]).
//! - *Span*: a run of words that the answer has in common with a training record. Each is verified:
//!   its record's leaf must lead to the root of a contribution that the model was trained on.
//! - *Split*: the governed division of a fee between contributors, host, model owner, validators
//!   and treasury ([`FeeSplit`]).
//! - *Settlement*: checking the claim, taking the fee from the payer and crediting everybody.
//! - *Line*: one contribution of a settlement with its owner and amount.
//! - *Pot*: the pallet's account. Rewards that wait to be claimed are *on hold* there.
//!
//! ## Economics
//!
//! The fee is split by the policy in force at settlement. The contributors' part is divided over
//! the claim's shares by largest remainder, each contribution for itself, so that an owner who
//! spreads contributions over several accounts gains nothing. When a claim names nobody, nobody
//! can be shown to have caused the answer: the contributors' part goes to the treasury and the
//! settlement says so (`unattributed`).
//!
//! Unpaid rewards are held under [`HoldReason::Rewards`] on the pot, so gifts to the pot change
//! nothing: `balance on hold == sum of the ledger == TotalUnpaid`, exactly, always. The pot needs
//! the existential deposit of its own; genesis endows it, and without it a settlement fails with
//! [`Error::PotMissing`].
//!
//! The payer must keep the existential deposit. Freezes (vesting, votes) on the payer's account
//! are not looked at: whoever orders a settlement committed the fee earlier, when it was free to
//! spend, and a freeze placed afterwards must not rob the worker that has answered since.
//!
//! ## How things end
//!
//! Rewards stay in the ledger until somebody calls `claim_rewards` or `claim_rewards_for`; they do
//! not expire. Settlement records are removed a `RetentionPeriod` after they were made, by the
//! agenda in `on_idle`.
//!
//! A request is settled once. While its record is kept, the record says so. After that the number
//! of the newest pruned request says so: no request with that number or a lower one is settled any
//! more ([`Error::RequestTooOld`]). This is one number instead of a memory of every request, and it
//! asks of the pallet that numbers requests that they ascend and that a request is answered or
//! given up within the `RetentionPeriod`.
//!
//! ## What it must not know
//!
//! How scores are computed, how requests are made, and what a worker is.
//!
//! [`AttributionClaim`]: openledger_primitives::claim::AttributionClaim
//! [`FeeSplit`]: openledger_primitives::shares::FeeSplit

#![cfg_attr(not(feature = "std"), no_std)]
// Tests may stop at the first surprise.
#![cfg_attr(
	test,
	allow(
		clippy::arithmetic_side_effects,
		clippy::expect_used,
		clippy::indexing_slicing,
		clippy::unwrap_used
	)
)]

extern crate alloc;

pub use pallet::*;
pub use settlement::SettlementWeight;
pub use types::*;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod claim;
mod explanation;
mod ledger;
#[cfg(test)]
mod mock;
mod retention;
mod settlement;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "try-runtime"))]
mod try_state;
pub mod types;
pub mod weights;

use openledger_primitives::Balance;
use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros expand to it")]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use frame_support::{pallet_prelude::*, traits::fungible, PalletId};
	use frame_system::pallet_prelude::*;
	use openledger_primitives::{
		shares::{FeeParts, FeeSplit},
		traits::{DatanetRegistry, ModelRegistry},
		ModelId, RequestId,
	};
	use sp_runtime::traits::{AccountIdConversion, Zero};

	const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// The runtime's reasons to hold a balance.
		type RuntimeHoldReason: From<HoldReason>;

		/// OPEN.
		type Currency: fungible::Mutate<Self::AccountId>
			+ fungible::MutateHold<
				Self::AccountId,
				Reason = Self::RuntimeHoldReason,
				Balance = Balance,
			>;

		/// The models, for the datanet versions that they were trained on.
		type Models: ModelRegistry<Self::AccountId>;

		/// The datanets, for who earns from a contribution.
		type Datanets: DatanetRegistry<Self::AccountId>;

		/// Who may change the split.
		type AdminOrigin: EnsureOrigin<Self::RuntimeOrigin>;

		/// Who earns the treasury's part.
		type TreasuryAccount: Get<Self::AccountId>;

		/// Who earns the part of validators and their delegators, before it is divided among them.
		type ValidatorsAccount: Get<Self::AccountId>;

		/// The pot's account is derived from this.
		#[pallet::constant]
		type PalletId: Get<PalletId>;

		/// How long a settlement can be explained after it was made, in blocks. Longer than any
		/// request can stay open.
		#[pallet::constant]
		type RetentionPeriod: Get<BlockNumberFor<Self>>;

		/// Weights of the calls.
		type WeightInfo: WeightInfo;
	}

	/// Why this pallet holds a balance.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// Rewards on the pot that are credited and not yet claimed.
		#[codec(index = 0)]
		Rewards,
	}

	/// The split that a network starts with.
	#[pallet::type_value]
	pub fn GenesisSplit() -> FeeSplit {
		FeeSplit::GENESIS
	}

	/// How fees are split from now on.
	#[pallet::storage]
	pub type Split<T: Config> = StorageValue<_, FeeSplit, ValueQuery, GenesisSplit>;

	/// Rewards that wait to be claimed, in planks. Never 0.
	#[pallet::storage]
	pub type Rewards<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Balance>;

	/// The sum of [`Rewards`]: what is on hold on the pot.
	#[pallet::storage]
	pub type TotalUnpaid<T: Config> = StorageValue<_, Balance, ValueQuery>;

	/// Where the fee of a request went, for a `RetentionPeriod`.
	#[pallet::storage]
	pub type Settlements<T: Config> =
		StorageMap<_, Twox64Concat, RequestId, SettlementRecord<T::AccountId, BlockNumberFor<T>>>;

	/// The highest number of a request whose settlement record was pruned. Nothing up to it is
	/// settled any more.
	#[pallet::storage]
	pub type NewestPruned<T: Config> = StorageValue<_, RequestId>;

	/// When settlement records are pruned.
	#[pallet::storage]
	pub type Agenda<T: Config> =
		StorageDoubleMap<_, Twox64Concat, BlockNumberFor<T>, Twox64Concat, RequestId, ()>;

	/// The first block of the agenda that may not be served yet.
	#[pallet::storage]
	pub type AgendaCursor<T: Config> = StorageValue<_, BlockNumberFor<T>, ValueQuery>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A fee was taken from its payer and divided.
		AnswerSettled {
			/// The request that was answered.
			request: RequestId,
			/// The model that answered.
			model: ModelId,
			/// Who paid.
			payer: T::AccountId,
			/// What was paid, in planks.
			fee: Balance,
			/// The fee by the policy in force.
			split: FeeParts,
			/// Contributions that the claim named. With none, the contributors' part went to the
			/// treasury.
			contributions: u32,
		},
		/// An account earned from an answer. One event per account and answer, over all its parts.
		RewardCredited {
			/// Who earned.
			who: T::AccountId,
			/// How much, in planks.
			amount: Balance,
			/// For which answer.
			request: RequestId,
		},
		/// Rewards were paid out of the ledger.
		RewardsClaimed {
			/// Who was paid.
			who: T::AccountId,
			/// How much, in planks.
			amount: Balance,
		},
		/// Fees are split differently from now on.
		FeeSplitChanged {
			/// Until now.
			old: FeeSplit,
			/// From now on.
			new: FeeSplit,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The request was settled before.
		AlreadySettled,
		/// Newer requests were settled so long ago that their records are pruned. A request as old as
		/// this cannot be settled any more.
		RequestTooOld,
		/// The claim is about another request.
		ClaimForOtherRequest,
		/// The claim is about another model.
		ClaimForOtherModel,
		/// A share has no parts.
		EmptyShare,
		/// The shares are not in strictly ascending order of contribution.
		SharesNotSorted,
		/// The shares do not sum to the whole.
		SharesNotWhole,
		/// There is no such model.
		UnknownModel,
		/// A contribution is not among the accepted ones of the datanet versions that the model was
		/// trained on.
		ContributionNotInModel,
		/// The split does not sum to 100 %.
		SplitNotWhole,
		/// The pot does not hold the existential deposit.
		PotMissing,
		/// There are no rewards to claim.
		NothingToClaim,
		/// The rewards would not keep the account alive. They stay in the ledger.
		BelowExistentialDeposit,
		/// A span has too few words to be evidence of anything.
		SpanTooShort,
		/// The adapter gained nothing on a span.
		SpanWithoutGain,
		/// Spans are not one after the other in the answer: some words would be paid twice.
		SpansOverlap,
		/// A span's path does not lead from its record to its contribution's root.
		SpanNotInContribution,
		/// The evidence root is not that of the spans.
		WrongEvidenceRoot,
		/// The shares are not those that follow from the spans.
		SharesContradictSpans,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn on_idle(now: BlockNumberFor<T>, remaining: Weight) -> Weight {
			Self::prune_due(now, remaining)
		}

		fn integrity_test() {
			assert!(
				T::RetentionPeriod::get() > Zero::zero(),
				"a record that is pruned in its own block would never be served by the agenda"
			);
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Pays all of the caller's rewards to the caller.
		///
		/// ## Dispatch Origin
		/// Signed.
		///
		/// ## Errors
		/// - [`Error::NothingToClaim`]: the ledger has nothing for the caller.
		/// - [`Error::BelowExistentialDeposit`]: the amount would not keep the account alive.
		///
		/// ## Events
		/// [`Event::RewardsClaimed`].
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::claim_rewards())]
		pub fn claim_rewards(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::pay_out(who)
		}

		/// Pays all of an account's rewards to that account.
		///
		/// ## Dispatch Origin
		/// Signed, by anyone.
		///
		/// ## Details
		/// For accounts without a key of their own (the treasury) and for people who hold no OPEN
		/// yet to pay for a call.
		///
		/// ## Errors
		/// - [`Error::NothingToClaim`]: the ledger has nothing for `who`.
		/// - [`Error::BelowExistentialDeposit`]: the amount would not keep the account alive.
		///
		/// ## Events
		/// [`Event::RewardsClaimed`].
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::claim_rewards())]
		pub fn claim_rewards_for(origin: OriginFor<T>, who: T::AccountId) -> DispatchResult {
			ensure_signed(origin)?;
			Self::pay_out(who)
		}

		/// Changes how fees are split.
		///
		/// ## Dispatch Origin
		/// `AdminOrigin`.
		///
		/// ## Details
		/// Holds for settlements from now on. What was credited stays as it is.
		///
		/// ## Errors
		/// - [`Error::SplitNotWhole`]: the parts do not sum to 100 %.
		///
		/// ## Events
		/// [`Event::FeeSplitChanged`].
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::set_fee_split())]
		pub fn set_fee_split(origin: OriginFor<T>, split: FeeSplit) -> DispatchResult {
			T::AdminOrigin::ensure_origin(origin)?;
			ensure!(split.is_whole(), Error::<T>::SplitNotWhole);
			let old = Split::<T>::get();
			Split::<T>::put(split);
			Self::deposit_event(Event::FeeSplitChanged { old, new: split });
			Ok(())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// Where a request's fee went: split → datanet → contribution → owner → amount. `None` for a
		/// request that was not settled, or so long ago that the record is pruned.
		pub fn explain(request: RequestId) -> Option<Explanation<T::AccountId, BlockNumberFor<T>>> {
			Settlements::<T>::get(request).map(|record| Explanation::of(request, record))
		}

		/// Rewards that `who` can claim, in planks.
		pub fn unpaid(who: T::AccountId) -> Balance {
			Rewards::<T>::get(who).unwrap_or_default()
		}

		/// How fees are split now.
		pub fn fee_split() -> FeeSplit {
			Split::<T>::get()
		}

		/// The account on which unpaid rewards are held.
		pub fn pot_account() -> T::AccountId {
			T::PalletId::get().into_account_truncating()
		}
	}
}
