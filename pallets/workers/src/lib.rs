//! # Workers
//!
//! Those who do the work (inference, training, attribution): who they are, what they put at stake,
//! what they offer, who of them gets a job, and what they lose when they fail.
//!
//! ## Terms
//!
//! - *Stash*: the account a worker is known by. It owns the bond and can stay cold.
//! - *Operator key*: the hot key on the machine that signs results. It has no authority over the bond.
//!   It signs for one worker, and is nobody's stash.
//! - *Bond*: planks on hold on the stash, the stake behind the work. What the worker takes out of it
//!   is *unbonding* for `UnbondingDelay` blocks and can still be slashed.
//! - *Capabilities*: kinds of work, base models, memory, and *slots*: jobs at the same time.
//! - *Pool*: the workers that can be drawn for one kind of work on one base model. A worker is
//!   *eligible* for the pools it serves while it is active, its operator key has accepted, and its bond
//!   is at least `MinBond`.
//! - *Strike*: one job that timed out.
//!
//! ## A worker's life
//!
//! The stash calls `register` and names an operator key, the key calls `accept_operator`, and the worker
//! is in its pools. A key is taken only by accepting, so nobody can block somebody else's key by
//! naming it. `set_operator` takes the old key's rights at once; the new key accepts in the same way,
//! and until it does nobody signs, so jobs under way should be delivered first or the new key be ready.
//!
//! `pause` and `resume` leave and enter the pools. `leave` ends: the whole bond starts unbonding, no new
//! job comes, jobs under way can still be delivered (and fail). The record goes when the last chunk is
//! withdrawn and the last job is released, whichever comes later; then the operator key is free again.
//! Money does not wait for a job that is never released: it waits for the delay only, and the delay is
//! longer than any job with its challenge window (`LongestLiability`).
//!
//! ## Economics
//!
//! Jobs are given by bond: what can be lost is what earns. A job that times out costs a strike and
//! `TimeoutSlash` of all that is at stake; `MaxStrikes` strikes pause the worker for `StrikeCooldown`
//! blocks; `ForgivenAfter` deliveries in a row forgive them. A false result costs `FaultSlash`. Slashes take the
//! bond first, then what is unbonding, newest first. A worker whose bond fell below `MinBond` is out of
//! the pools until it bonds more. Nothing here pays a worker; those who give the jobs do.
//!
//! ## What it must not know
//!
//! What a job contains, who ordered it, when it is due, what it earns, which base models exist.
//! Other pallets see it as [`openledger_primitives::traits::WorkerPool`].
//!
//! ## Example
//!
//! Bonds of 300 and 100 OPEN serve the same model. About three jobs of four go to the first. It lets one
//! time out: at 1 % it has 297 OPEN left, one strike, and its weight in every pool is 297.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
	test,
	allow(
		clippy::unwrap_used,
		clippy::expect_used,
		clippy::indexing_slicing,
		clippy::arithmetic_side_effects
	)
)]

extern crate alloc;

pub use pallet::*;

mod assignment;
mod availability;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod bond;
#[cfg(test)]
mod mock;
mod pools;
mod registration;
mod slashing;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "try-runtime"))]
mod try_state;
pub mod types;
pub mod weights;

pub use pools::Members;
pub use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros expand to it")]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::types::{Capabilities, PoolKey, SlashReason, UnbondingChunk, Worker};
	use frame_support::{
		pallet_prelude::*,
		traits::{fungible, OnUnbalanced, Randomness},
	};
	use frame_system::pallet_prelude::*;
	use openledger_primitives::{jobs::JobKind, Balance, BaseModelId, H256};
	use sp_runtime::Permill;

	/// What was slashed, before somebody takes it.
	pub type CreditOf<T> =
		fungible::Credit<<T as frame_system::Config>::AccountId, <T as Config>::Currency>;

	/// Parts of a bond on their way back, in order of time.
	pub type Chunks<T> =
		BoundedVec<UnbondingChunk<BlockNumberFor<T>>, <T as Config>::MaxUnbondingChunks>;

	/// The layout of this pallet's storage.
	const STORAGE_VERSION: StorageVersion = StorageVersion::new(0);

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// The runtime's reasons for holds.
		type RuntimeHoldReason: From<HoldReason>;

		/// Where bonds are held.
		type Currency: fungible::MutateHold<
				Self::AccountId,
				Reason = Self::RuntimeHoldReason,
				Balance = Balance,
			> + fungible::BalancedHold<Self::AccountId>;

		/// Who gets what is slashed.
		type Slash: OnUnbalanced<CreditOf<Self>>;

		/// Randomness for drawing workers, with the block since which it could be known.
		type Randomness: Randomness<H256, BlockNumberFor<Self>>;

		/// Who may slash by decision.
		type SlashOrigin: EnsureOrigin<Self::RuntimeOrigin>;

		/// The smallest bond that makes a worker eligible, in planks. After raising it, call
		/// `refresh_pools` for the workers below it; jobs go past them at once.
		#[pallet::constant]
		type MinBond: Get<Balance>;

		/// Blocks from unbonding to withdrawing.
		#[pallet::constant]
		type UnbondingDelay: Get<BlockNumberFor<Self>>;

		/// Blocks from an assignment to the last moment its worker can be found at fault: the longest
		/// deadline and challenge window of any job. Must be less than `UnbondingDelay`, or a worker
		/// could take its bond out before it is judged.
		#[pallet::constant]
		type LongestLiability: Get<BlockNumberFor<Self>>;

		/// The most parts of one bond that are unbonding at the same time. The last place is kept for
		/// `leave`.
		#[pallet::constant]
		type MaxUnbondingChunks: Get<u32>;

		/// The most base models one worker serves. The cost of every call that changes its weight
		/// grows with it.
		#[pallet::constant]
		type MaxBaseModels: Get<u32>;

		/// The most workers in one pool.
		#[pallet::constant]
		type MaxPoolMembers: Get<u32>;

		/// The most slots one worker can offer.
		#[pallet::constant]
		type MaxSlots: Get<u32>;

		/// The most workers drawn for one assignment before it is given up.
		#[pallet::constant]
		type MaxDraws: Get<u32>;

		/// Strikes that pause a worker.
		#[pallet::constant]
		type MaxStrikes: Get<u32>;

		/// Blocks from the last strike until a worker paused for strikes can resume.
		#[pallet::constant]
		type StrikeCooldown: Get<BlockNumberFor<Self>>;

		/// Deliveries in a row that forgive all strikes.
		#[pallet::constant]
		type ForgivenAfter: Get<u32>;

		/// The part of all that is at stake that a job timing out costs.
		#[pallet::constant]
		type TimeoutSlash: Get<Permill>;

		/// The part of all that is at stake that a false result costs.
		#[pallet::constant]
		type FaultSlash: Get<Permill>;

		/// Weights of the calls.
		type WeightInfo: WeightInfo;
	}

	/// Why this pallet holds money.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// A worker's bond, with what is unbonding.
		#[codec(index = 0)]
		Bond,
	}

	/// The workers by stash.
	#[pallet::storage]
	pub type Workers<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Worker<T>>;

	/// Whose results an operator key signs: the stash. Holds keys that have accepted, no others.
	#[pallet::storage]
	pub type Operators<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, T::AccountId>;

	/// What is unbonding, by stash, in order of time. Kept apart from the worker, so that jobs do not
	/// read it.
	#[pallet::storage]
	pub type Unbonding<T: Config> =
		StorageMap<_, Blake2_128Concat, T::AccountId, Chunks<T>, ValueQuery>;

	/// The workers that can be drawn, sorted by stash. Workers choose the numbers of base models
	/// freely, hence the hash.
	#[pallet::storage]
	pub type Pools<T: Config> = StorageMap<_, Blake2_128Concat, PoolKey, Members<T>, ValueQuery>;

	/// Eligible workers for which their pool has no room.
	#[pallet::storage]
	pub type Waiting<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, PoolKey, Blake2_128Concat, T::AccountId, ()>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(crate) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A stash became a worker and named its operator key, which has to accept.
		Registered { stash: T::AccountId, operator: T::AccountId, bond: Balance },
		/// A stash named another operator key, which has to accept. The one before signs no more.
		OperatorProposed { stash: T::AccountId, operator: T::AccountId },
		/// A key accepted and signs for the worker from now on.
		OperatorAccepted { stash: T::AccountId, operator: T::AccountId },
		/// A worker replaced what it offers.
		CapabilitiesSet { stash: T::AccountId },
		/// A bond grew.
		BondAdded { stash: T::AccountId, amount: Balance },
		/// A part of a bond can be withdrawn from block `unlock_at`.
		Unbonded { stash: T::AccountId, amount: Balance, unlock_at: BlockNumberFor<T> },
		/// A worker left; its whole bond can be withdrawn from block `unlock_at`.
		LeaveStarted { stash: T::AccountId, amount: Balance, unlock_at: BlockNumberFor<T> },
		/// Unbonded money is free again.
		Withdrawn { stash: T::AccountId, amount: Balance },
		/// A worker that had left is forgotten.
		Removed { stash: T::AccountId },
		/// A worker wants no work for now.
		Paused { stash: T::AccountId },
		/// A worker wants work again.
		Resumed { stash: T::AccountId },
		/// A job timed out. `strikes` are not forgiven yet, with this one.
		StrikeAdded { stash: T::AccountId, strikes: u32 },
		/// A worker has all the strikes that are allowed and gets no work until it resumes.
		PausedForStrikes { stash: T::AccountId },
		/// A row of deliveries made up for all strikes.
		StrikesForgiven { stash: T::AccountId },
		/// A worker lost a part of what it had at stake.
		Slashed { stash: T::AccountId, amount: Balance, reason: SlashReason },
		/// A worker lost its place in a full pool to a larger bond, and waits now.
		DisplacedFromPool {
			stash: T::AccountId,
			by: T::AccountId,
			kind: JobKind,
			base: BaseModelId,
		},
		/// A pool is full of bonds that are not smaller: the worker waits for a place.
		WaitingForPool { stash: T::AccountId, kind: JobKind, base: BaseModelId },
		/// A place came free for a worker that waited.
		AdmittedToPool { stash: T::AccountId, kind: JobKind, base: BaseModelId },
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The stash is a worker already.
		AlreadyRegistered,
		/// The account is no worker's stash.
		NotRegistered,
		/// The stash is a worker's operator key.
		StashIsOperator,
		/// The operator key is a worker's stash, or the worker's own.
		OperatorIsStash,
		/// The operator key signs for a worker already.
		OperatorInUse,
		/// The worker has not named this key, or has named another since.
		OperatorNotProposed,
		/// The bond is, or would be, below the minimum. To take out everything, leave.
		BondBelowMinimum,
		/// The amount is zero.
		AmountIsZero,
		/// Too many parts of the bond are unbonding.
		TooManyUnbondings,
		/// Nothing has finished unbonding, and the worker cannot be forgotten.
		NothingToWithdraw,
		/// The worker has left.
		IsLeaving,
		/// The worker is not active.
		NotActive,
		/// The worker is active.
		NotPaused,
		/// The cooldown after the last strike is not over.
		CooldownNotOver,
		/// The capabilities name no kind of work.
		NoJobKind,
		/// The capabilities name no base model.
		NoBaseModel,
		/// The number of slots is zero or too large.
		SlotsOutOfRange,
		/// The worker has more jobs under way than it would have slots.
		SlotsBelowActiveJobs,
		/// There is nothing to slash, or the part rounds to nothing.
		NothingToSlash,
		/// Nobody offers this work.
		NoWorker,
		/// Nobody that was drawn for this work has a free slot.
		NoFreeWorker,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn integrity_test() {
			assert!(T::MinBond::get() > 0, "a bond without weight cannot be drawn");
			assert!(
				T::UnbondingDelay::get() > T::LongestLiability::get(),
				"a bond must not unlock before its worker's last job is judged"
			);
			assert!(T::MaxUnbondingChunks::get() >= 2, "one chunk is kept for `leave`");
			assert!(T::MaxBaseModels::get() >= 1, "a worker must be able to serve something");
			assert!(T::MaxPoolMembers::get() >= 1, "a pool must have room");
			assert!(T::MaxSlots::get() >= 1, "a worker must be able to work");
			assert!(T::MaxDraws::get() >= 1, "somebody must be drawn");
			assert!(T::MaxStrikes::get() >= 1, "a strike must come before the pause");
			assert!(T::ForgivenAfter::get() >= 1, "forgiveness must be earned");
			assert!(
				T::TimeoutSlash::get() <= T::FaultSlash::get(),
				"a false result must not be cheaper than none"
			);
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Become a worker.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the stash.
		///
		/// ## Details
		///
		/// Holds `bond` on the stash and names the key that will sign results. The worker enters its
		/// pools when that key calls [`Self::accept_operator`]. A base model's number is taken as it is:
		/// nobody asks for work on one that does not exist.
		///
		/// ## Errors
		///
		/// `AlreadyRegistered`, `StashIsOperator`, `OperatorIsStash`, `OperatorInUse`, `NoJobKind`,
		/// `NoBaseModel`, `SlotsOutOfRange`, `BondBelowMinimum`; the currency's, if the bond is not free.
		///
		/// ## Events
		///
		/// `Registered`.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::register())]
		pub fn register(
			origin: OriginFor<T>,
			operator: T::AccountId,
			#[pallet::compact] bond: Balance,
			capabilities: Capabilities<T::MaxBaseModels>,
		) -> DispatchResult {
			let stash = ensure_signed(origin)?;
			Self::do_register(&stash, operator, bond, capabilities)
		}

		/// Accept to sign for a worker.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the operator key that the worker has named.
		///
		/// ## Details
		///
		/// From now on the key signs for the worker, and the worker is in its pools if it is active and
		/// its bond suffices.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `OperatorNotProposed`, `OperatorIsStash`, `OperatorInUse`.
		///
		/// ## Events
		///
		/// `OperatorAccepted`; `WaitingForPool` and `DisplacedFromPool` for full pools.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::accept_operator(T::MaxBaseModels::get()))]
		pub fn accept_operator(
			origin: OriginFor<T>,
			stash: T::AccountId,
		) -> DispatchResultWithPostInfo {
			let operator = ensure_signed(origin)?;
			let bases = Self::do_accept_operator(&operator, &stash)?;
			Ok(Some(T::WeightInfo::accept_operator(bases)).into())
		}

		/// Name another operator key.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the stash.
		///
		/// ## Details
		///
		/// The present key loses its rights at once, for jobs under way too, and the worker is out of the
		/// pools until the new key accepts. This is what to do when the key may be stolen, also while
		/// leaving.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `OperatorIsStash`, `OperatorInUse` (also for the key it has).
		///
		/// ## Events
		///
		/// `OperatorProposed`; `AdmittedToPool` for those who get its places.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::set_operator(T::MaxBaseModels::get()))]
		pub fn set_operator(
			origin: OriginFor<T>,
			operator: T::AccountId,
		) -> DispatchResultWithPostInfo {
			let stash = ensure_signed(origin)?;
			let bases = Self::do_set_operator(&stash, operator)?;
			Ok(Some(T::WeightInfo::set_operator(bases)).into())
		}

		/// Replace what the worker offers.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the stash.
		///
		/// ## Details
		///
		/// Jobs under way stay, so the slots must be enough for them.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `IsLeaving`, `NoJobKind`, `NoBaseModel`, `SlotsOutOfRange`,
		/// `SlotsBelowActiveJobs`.
		///
		/// ## Events
		///
		/// `CapabilitiesSet`; those of entering and leaving pools.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::set_capabilities(T::MaxBaseModels::get().saturating_mul(2)))]
		pub fn set_capabilities(
			origin: OriginFor<T>,
			capabilities: Capabilities<T::MaxBaseModels>,
		) -> DispatchResultWithPostInfo {
			let stash = ensure_signed(origin)?;
			let bases = Self::do_set_capabilities(&stash, capabilities)?;
			Ok(Some(T::WeightInfo::set_capabilities(bases)).into())
		}

		/// Add to the bond.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the stash.
		///
		/// ## Details
		///
		/// Raises the worker's weight in its pools, and brings a slashed worker back into them when it
		/// reaches the minimum. Until the randomness is renewed, members whose weight is older are drawn
		/// first.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `IsLeaving`, `AmountIsZero`; the currency's, if the amount is not free.
		///
		/// ## Events
		///
		/// `BondAdded`; `WaitingForPool` and `DisplacedFromPool` for full pools.
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::bond_extra(T::MaxBaseModels::get()))]
		pub fn bond_extra(
			origin: OriginFor<T>,
			#[pallet::compact] amount: Balance,
		) -> DispatchResultWithPostInfo {
			let stash = ensure_signed(origin)?;
			let bases = Self::do_bond_extra(&stash, amount)?;
			Ok(Some(T::WeightInfo::bond_extra(bases)).into())
		}

		/// Start taking a part of the bond out.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the stash.
		///
		/// ## Details
		///
		/// What remains must be at least `MinBond`. The amount has no weight from now on, can be slashed
		/// until it is withdrawn, and can be withdrawn after `UnbondingDelay` blocks.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `IsLeaving`, `AmountIsZero`, `BondBelowMinimum`, `TooManyUnbondings`.
		///
		/// ## Events
		///
		/// `Unbonded`.
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::unbond(T::MaxBaseModels::get()))]
		pub fn unbond(
			origin: OriginFor<T>,
			#[pallet::compact] amount: Balance,
		) -> DispatchResultWithPostInfo {
			let stash = ensure_signed(origin)?;
			let bases = Self::do_unbond(&stash, amount)?;
			Ok(Some(T::WeightInfo::unbond(bases)).into())
		}

		/// Stop being a worker.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the stash.
		///
		/// ## Details
		///
		/// No new jobs come, jobs under way go on, the whole bond starts unbonding. There is no way back
		/// but to register again when the record is gone.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `IsLeaving`, `TooManyUnbondings` (only after the limit was lowered).
		///
		/// ## Events
		///
		/// `LeaveStarted`; `Removed` if nothing was at stake; `AdmittedToPool` for those who get its
		/// places.
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::leave(T::MaxBaseModels::get()))]
		pub fn leave(origin: OriginFor<T>) -> DispatchResultWithPostInfo {
			let stash = ensure_signed(origin)?;
			let bases = Self::do_leave(&stash)?;
			Ok(Some(T::WeightInfo::leave(bases)).into())
		}

		/// Give a worker back what has finished unbonding.
		///
		/// ## Dispatch Origin
		///
		/// Signed by anyone; the money goes to the stash.
		///
		/// ## Details
		///
		/// Also forgets a worker that has left, has nothing at stake and has no job under way.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `NothingToWithdraw`.
		///
		/// ## Events
		///
		/// `Withdrawn`, `Removed`.
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::withdraw_unbonded())]
		pub fn withdraw_unbonded(origin: OriginFor<T>, stash: T::AccountId) -> DispatchResult {
			ensure_signed(origin)?;
			Self::do_withdraw_unbonded(&stash)
		}

		/// Take no work for now.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the stash.
		///
		/// ## Details
		///
		/// Jobs under way stay.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `NotActive`.
		///
		/// ## Events
		///
		/// `Paused`; `AdmittedToPool` for those who get its places.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::pause(T::MaxBaseModels::get()))]
		pub fn pause(origin: OriginFor<T>) -> DispatchResultWithPostInfo {
			let stash = ensure_signed(origin)?;
			let bases = Self::do_pause(&stash)?;
			Ok(Some(T::WeightInfo::pause(bases)).into())
		}

		/// Take work again.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the stash.
		///
		/// ## Details
		///
		/// After strikes only when `StrikeCooldown` blocks have passed since the last one; then all
		/// strikes are gone.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `NotPaused`, `IsLeaving`, `CooldownNotOver`.
		///
		/// ## Events
		///
		/// `Resumed`; `WaitingForPool` and `DisplacedFromPool` for full pools.
		#[pallet::call_index(9)]
		#[pallet::weight(T::WeightInfo::resume(T::MaxBaseModels::get()))]
		pub fn resume(origin: OriginFor<T>) -> DispatchResultWithPostInfo {
			let stash = ensure_signed(origin)?;
			let bases = Self::do_resume(&stash)?;
			Ok(Some(T::WeightInfo::resume(bases)).into())
		}

		/// Slash a worker by decision.
		///
		/// ## Dispatch Origin
		///
		/// `SlashOrigin`.
		///
		/// ## Details
		///
		/// Takes `fraction` of the bond and what is unbonding. `grounds` is the hash of the document that
		/// says why.
		///
		/// ## Errors
		///
		/// `NotRegistered`, `NothingToSlash`.
		///
		/// ## Events
		///
		/// `Slashed`; `AdmittedToPool` if the worker falls out of its pools.
		#[pallet::call_index(10)]
		#[pallet::weight(T::WeightInfo::slash(T::MaxBaseModels::get()))]
		pub fn slash(
			origin: OriginFor<T>,
			stash: T::AccountId,
			fraction: Permill,
			grounds: H256,
		) -> DispatchResult {
			T::SlashOrigin::ensure_origin(origin)?;
			let amount = Self::do_slash(&stash, fraction, SlashReason::Governance { grounds })?;
			ensure!(amount > 0, Error::<T>::NothingToSlash);
			Ok(())
		}

		/// Bring a worker's places in line with its bond.
		///
		/// ## Dispatch Origin
		///
		/// Signed by anyone.
		///
		/// ## Details
		///
		/// Lets a worker that waits contest the smallest bond of a full pool, which slashes may have made
		/// smaller than its own. Also puts pools right after a runtime upgrade changed `MinBond` or
		/// `MaxPoolMembers`. Otherwise changes nothing.
		///
		/// ## Errors
		///
		/// `NotRegistered`.
		///
		/// ## Events
		///
		/// Those of entering and leaving pools.
		#[pallet::call_index(11)]
		#[pallet::weight(T::WeightInfo::refresh_pools(T::MaxBaseModels::get()))]
		pub fn refresh_pools(
			origin: OriginFor<T>,
			stash: T::AccountId,
		) -> DispatchResultWithPostInfo {
			ensure_signed(origin)?;
			let bases = Self::do_refresh_pools(&stash)?;
			Ok(Some(T::WeightInfo::refresh_pools(bases)).into())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// A worker.
		pub fn worker(stash: T::AccountId) -> Option<Worker<T>> {
			Workers::<T>::get(stash)
		}

		/// The stash of the worker that an operator key signs for.
		pub fn stash_of(operator: T::AccountId) -> Option<T::AccountId> {
			Operators::<T>::get(operator)
		}

		/// What a worker has unbonding.
		pub fn unbonding(stash: T::AccountId) -> Chunks<T> {
			Unbonding::<T>::get(stash)
		}

		/// The block from which a worker's next chunk can be withdrawn.
		pub fn next_unlock(stash: T::AccountId) -> Option<BlockNumberFor<T>> {
			Unbonding::<T>::get(stash).iter().map(|chunk| chunk.unlock_at).min()
		}

		/// Whether a worker is active with an operator key and enough bond, so that it is in its pools or
		/// waits for them.
		pub fn is_eligible(stash: T::AccountId) -> bool {
			Workers::<T>::get(stash).is_some_and(|worker| worker.is_eligible())
		}

		/// The members of a pool with their weights, sorted by stash.
		pub fn pool(kind: JobKind, base: BaseModelId) -> Members<T> {
			Pools::<T>::get((kind, base))
		}

		/// How many workers can be drawn for this work, and how many of them have a free slot now.
		pub fn candidates(kind: JobKind, base: BaseModelId) -> (u32, u32) {
			Self::count_candidates((kind, base))
		}
	}
}
