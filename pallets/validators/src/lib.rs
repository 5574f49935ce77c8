//! # Validators
//!
//! Who produces and finalises blocks, and what they lose when they break the rules. The pallet keeps
//! bonds, chooses the set of each session for `pallet-session`, and answers to `pallet-offences`.
//!
//! It must not know AI: no jobs, models, workers or answers. It pays no rewards and takes no
//! delegations.
//!
//! ## Terms
//!
//! - *Candidate*: has session keys and a bond, and stands for the next session.
//! - *Active set*: who validates in the current session. Sessions are planned one ahead: the set of
//!   session `n + 1` is fixed when session `n` starts, so a change shows two starts later at most.
//! - *Session bond*: a validator's bond when a session was planned. It is part of the session's
//!   Merkle root in `pallet-session`'s historical pallet; it stays the same for the whole session, so
//!   that one offence has one identity however often it is reported.
//! - *Jail*: out of the choice after an offence, for [`Config::JailDuration`] sessions and until the
//!   validator calls `rejoin` with a sufficient bond.
//!
//! ## Choice of the set
//!
//! The [`MaxValidators`] candidates with the highest bonds that have session keys; equal bonds in
//! order of account id. When fewer than [`Config::MinValidators`] would be left and the current set
//! is larger, the **current set stays**, jailed and leaving members included, and
//! [`Event::SetRetained`] says so: a chain that cannot finalise helps nobody, while a known offender
//! in the set can be slashed again. The set is returned to the session pallet even when it did not
//! change, because only then the historical root is made anew from the keys and bonds in force.
//!
//! ## Offences
//!
//! A slash is a fraction of the session bond of the offence's session, at most what is still on hold.
//! Within one session a validator pays for its gravest offence only: a later report with a higher
//! fraction takes the difference. The offender is jailed, and disabled for the current and the next
//! session (which was already planned) as far as the session pallet's disabling strategy allows,
//! that is at most a third of the set. A leaving validator is slashed but stays leaving.
//!
//! Times are sessions, not blocks, because the window in which an offence can be proven is counted in
//! sessions too: at the start of session `n` the roots of sessions before `n - OffenceWindow` are
//! pruned. A leaver's bond unlocks `UnbondingDuration > OffenceWindow` sessions after the last session
//! it was planned for (checked by `integrity_test`), so nothing provable ever finds an unlocked
//! bond. Slow blocks or short sessions do not change that. BABE's and GRANDPA's report longevity in
//! blocks must be `OffenceWindow` session lengths.
//!
//! ## Session keys
//!
//! Registering needs session keys (`session.set_keys`), and withdrawing purges them, which gives the key
//! deposit and the account's consumer reference back; whoever registers again sets them again. Old
//! keys stay answerable through the historical roots. A validator without keys is not chosen.
//! `session.purge_keys` by a validator therefore works like going offline for good without unlocking
//! anything, and it is the one way past [`Config::MinValidators`]: a runtime should filter that
//! call, since `withdraw` does the same for those who leave in order.
//!
//! ## Genesis
//!
//! The pallet must stand before `pallet-session` and after the currency in the runtime, because the
//! session pallet asks for the first two sets while it builds its own genesis. Genesis must name the
//! first validators here and their keys there.
//!
//! ## How things end
//!
//! A bond ends by `leave` and `withdraw`, a jail by `rejoin`. The admin origin can put anybody on the
//! way out (`force_remove`), end a jail that was a mistake (`pardon`) and resize the set. There is no
//! call that forces a session: under BABE a session ends with its epoch and must not end elsewhere.
//! A full list of candidates ([`Config::MaxCandidates`]) is a matter for `force_remove` too.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod bonds;
#[cfg(test)]
mod mock;
mod offences;
mod sessions;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "try-runtime"))]
mod try_state;
mod types;
pub mod weights;

pub use pallet::*;
pub use sessions::FullIdentificationOf;
pub use types::{Identification, Status, Validator};
pub use weights::WeightInfo;

const LOG_TARGET: &str = "runtime::validators";

#[allow(clippy::expect_used, reason = "the FRAME macros expand to it")]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use alloc::vec::Vec;
	use frame_support::{
		pallet_prelude::*,
		traits::{
			fungible::{self, Credit},
			OnUnbalanced, ValidatorRegistration, ValidatorSet,
		},
	};
	use frame_system::pallet_prelude::*;
	use openledger_primitives::Balance;
	use pallet_session::SessionInterface;
	use sp_runtime::Perbill;
	use sp_staking::SessionIndex;

	const STORAGE_VERSION: StorageVersion = StorageVersion::new(0);

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// Where bonds are held.
		type Currency: fungible::MutateHold<
				Self::AccountId,
				Reason = Self::RuntimeHoldReason,
				Balance = Balance,
			> + fungible::BalancedHold<Self::AccountId>;

		/// The runtime's hold reasons.
		type RuntimeHoldReason: From<HoldReason>;

		/// The session pallet: keys, the current session, disabling, pruning of historical roots.
		/// Its disabling strategy decides how much of a set may be disabled.
		type Session: SessionInterface<AccountId = Self::AccountId, ValidatorId = Self::AccountId>
			+ ValidatorRegistration<Self::AccountId>
			+ ValidatorSet<Self::AccountId, ValidatorId = Self::AccountId>;

		/// Who may remove and pardon validators and resize the set.
		type AdminOrigin: EnsureOrigin<Self::RuntimeOrigin>;

		/// What becomes of slashed bonds.
		type Slash: OnUnbalanced<Credit<Self::AccountId, Self::Currency>>;

		/// The smallest bond of a candidate, in planks.
		#[pallet::constant]
		type MinBond: Get<Balance>;

		/// The size below which the set is not shrunk.
		#[pallet::constant]
		type MinValidators: Get<u32>;

		/// The most validators a set can have: what the consensus pallets are bounded by.
		#[pallet::constant]
		type MaxAuthorities: Get<u32>;

		/// The most validators that can be registered, whatever their status. Well above
		/// [`Config::MaxAuthorities`], so that filling the list with smallest bonds is dear.
		#[pallet::constant]
		type MaxCandidates: Get<u32>;

		/// Sessions after an offence's own in which it can be reported. An upgrade that raises it must
		/// move the unlocking of leavers, one that lowers it must clear older [`SlashedFractions`].
		#[pallet::constant]
		type OffenceWindow: Get<SessionIndex>;

		/// Sessions from the last one a leaver was planned for until its bond unlocks.
		#[pallet::constant]
		type UnbondingDuration: Get<SessionIndex>;

		/// Sessions until an offender may rejoin.
		#[pallet::constant]
		type JailDuration: Get<SessionIndex>;

		/// Weights of the calls.
		type WeightInfo: WeightInfo;
	}

	/// Why funds are on hold.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// A validator's bond.
		#[codec(index = 0)]
		Bond,
	}

	/// Everybody with a bond.
	// Users choose the key, hence Blake2.
	#[pallet::storage]
	pub type Validators<T: Config> =
		CountedStorageMap<_, Blake2_128Concat, T::AccountId, Validator, OptionQuery>;

	/// How many of [`Validators`] are candidates. Counted here so that `leave` does not read them all.
	#[pallet::storage]
	pub type CandidateCount<T: Config> = StorageValue<_, u32, ValueQuery>;

	#[pallet::type_value]
	pub fn InitialMaxValidators<T: Config>() -> u32 {
		T::MaxAuthorities::get()
	}

	/// The most validators chosen for a session.
	#[pallet::storage]
	pub type MaxValidators<T: Config> = StorageValue<_, u32, ValueQuery, InitialMaxValidators<T>>;

	/// The sets of the current and the planned session with their session bonds. A map, so that
	/// making an identification decodes one entry, not a whole set.
	#[pallet::storage]
	pub type SessionBonds<T: Config> = StorageDoubleMap<
		_,
		Twox64Concat,
		SessionIndex,
		Blake2_128Concat,
		T::AccountId,
		Balance,
		OptionQuery,
	>;

	/// The highest fraction a validator was slashed by for offences of a session. Kept while offences
	/// of that session can be reported.
	#[pallet::storage]
	pub type SlashedFractions<T: Config> = StorageDoubleMap<
		_,
		Twox64Concat,
		SessionIndex,
		Blake2_128Concat,
		T::AccountId,
		Perbill,
		OptionQuery,
	>;

	#[pallet::genesis_config]
	#[derive(frame_support::DefaultNoBound)]
	pub struct GenesisConfig<T: Config> {
		/// The first validators and what is taken from their free balance as a bond.
		pub validators: Vec<(T::AccountId, Balance)>,
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			for (who, bond) in &self.validators {
				if let Err(reason) = Pallet::<T>::add_candidate(who, *bond) {
					panic!("genesis validator {who:?} cannot be bonded: {reason:?}");
				}
			}
		}
	}

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A candidate registered.
		ValidatorRegistered {
			/// Who.
			who: T::AccountId,
			/// Its bond in planks.
			bond: Balance,
		},
		/// A bond grew.
		BondIncreased {
			/// Whose.
			who: T::AccountId,
			/// By how many planks.
			added: Balance,
			/// The whole bond now.
			bond: Balance,
		},
		/// A validator is on its way out, by its own call or removed by the admin origin.
		ValidatorLeft {
			/// Who.
			who: T::AccountId,
			/// The first session in which it may withdraw.
			unlock_at: SessionIndex,
		},
		/// A bond was given back; the validator is no longer registered and its keys are purged.
		BondWithdrawn {
			/// Whose.
			who: T::AccountId,
			/// How many planks.
			amount: Balance,
		},
		/// A jailed validator is a candidate again.
		ValidatorRejoined {
			/// Who.
			who: T::AccountId,
		},
		/// A jail was ended early; the validator may rejoin.
		ValidatorPardoned {
			/// Who.
			who: T::AccountId,
		},
		/// An offence was punished.
		ValidatorSlashed {
			/// Who.
			who: T::AccountId,
			/// The session of the offence.
			session: SessionIndex,
			/// The highest fraction applied for that session so far.
			fraction: Perbill,
			/// How many planks were taken this time.
			amount: Balance,
		},
		/// A validator is jailed, or longer than before.
		ValidatorJailed {
			/// Who.
			who: T::AccountId,
			/// The first session in which it may rejoin.
			until: SessionIndex,
		},
		/// The largest set size changed.
		MaxValidatorsChanged {
			/// The new size.
			max: u32,
		},
		/// Too few candidates: the current set stays for the planned session, jailed and leaving
		/// members included.
		SetRetained {
			/// The planned session.
			session: SessionIndex,
			/// How many could have been chosen.
			eligible: u32,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The account has no session keys.
		NoSessionKeys,
		/// The bond is below the minimum.
		BondTooSmall,
		/// The account is registered already.
		AlreadyRegistered,
		/// The list of validators is full.
		TooManyCandidates,
		/// The account is not registered.
		NotRegistered,
		/// The validator is on its way out already.
		AlreadyLeaving,
		/// Fewer candidates than the minimum would be left.
		TooFewCandidates,
		/// The validator did not leave.
		NotLeaving,
		/// The bond is not unlocked yet.
		StillLocked,
		/// The validator is not in jail.
		NotJailed,
		/// The jail is not over yet.
		StillJailed,
		/// The size must be between the smallest and the largest set that the chain allows.
		SizeOutOfRange,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn integrity_test() {
			assert!(T::MinBond::get() > 0, "a free bond would let anybody fill the list");
			assert!(T::MinValidators::get() > 0, "an empty set cannot make blocks");
			assert!(
				T::MinValidators::get() <= T::MaxAuthorities::get(),
				"the smallest set must fit into the largest"
			);
			assert!(
				T::MaxAuthorities::get() <= T::MaxCandidates::get(),
				"the largest set must fit into the list of candidates"
			);
			assert!(
				T::UnbondingDuration::get() > T::OffenceWindow::get(),
				"a bond must outlast the window in which an offence can be proven"
			);
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Becomes a candidate.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the validator's account.
		///
		/// ## Details
		///
		/// Holds `bond` planks. The account needs session keys; whoever left must withdraw first.
		///
		/// ## Errors
		///
		/// [`Error::BondTooSmall`], [`Error::NoSessionKeys`], [`Error::AlreadyRegistered`],
		/// [`Error::TooManyCandidates`], or the currency's when the funds are not there.
		///
		/// ## Events
		///
		/// [`Event::ValidatorRegistered`].
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::register())]
		pub fn register(origin: OriginFor<T>, #[pallet::compact] bond: Balance) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_register(&who, bond)
		}

		/// Adds to one's bond.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the validator's account.
		///
		/// ## Details
		///
		/// Holds `amount` more planks. It counts from the next planned session. A jailed validator
		/// tops up this way before it rejoins.
		///
		/// ## Errors
		///
		/// [`Error::NotRegistered`], [`Error::AlreadyLeaving`], or the currency's when the funds are
		/// not there.
		///
		/// ## Events
		///
		/// [`Event::BondIncreased`].
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::bond_extra())]
		pub fn bond_extra(
			origin: OriginFor<T>,
			#[pallet::compact] amount: Balance,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_bond_extra(&who, amount)
		}

		/// Leaves for good.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the validator's account.
		///
		/// ## Details
		///
		/// The validator serves the current and the planned session if it is in their sets, and is
		/// not chosen again unless the current set has to stay, which moves the unlocking.
		/// The bond can be slashed until it is withdrawn.
		///
		/// ## Errors
		///
		/// [`Error::NotRegistered`], [`Error::AlreadyLeaving`], [`Error::TooFewCandidates`].
		///
		/// ## Events
		///
		/// [`Event::ValidatorLeft`].
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::leave())]
		pub fn leave(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_leave(&who)
		}

		/// Takes the bond back after leaving.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the validator's account.
		///
		/// ## Details
		///
		/// Releases what is left of the bond, forgets the validator and purges its session keys.
		///
		/// ## Errors
		///
		/// [`Error::NotRegistered`], [`Error::NotLeaving`], [`Error::StillLocked`].
		///
		/// ## Events
		///
		/// [`Event::BondWithdrawn`].
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::withdraw())]
		pub fn withdraw(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_withdraw(&who)
		}

		/// Becomes a candidate again after jail.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the validator's account.
		///
		/// ## Errors
		///
		/// [`Error::NotRegistered`], [`Error::NotJailed`], [`Error::StillJailed`],
		/// [`Error::BondTooSmall`], [`Error::NoSessionKeys`].
		///
		/// ## Events
		///
		/// [`Event::ValidatorRejoined`].
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::rejoin())]
		pub fn rejoin(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_rejoin(&who)
		}

		/// Puts a validator on its way out.
		///
		/// ## Dispatch Origin
		///
		/// [`Config::AdminOrigin`].
		///
		/// ## Details
		///
		/// Like `leave`, but also below the smallest number of candidates; the set itself is then
		/// kept together by the choice of the set.
		///
		/// ## Errors
		///
		/// [`Error::NotRegistered`], [`Error::AlreadyLeaving`].
		///
		/// ## Events
		///
		/// [`Event::ValidatorLeft`].
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::force_remove())]
		pub fn force_remove(origin: OriginFor<T>, who: T::AccountId) -> DispatchResult {
			T::AdminOrigin::ensure_origin(origin)?;
			Self::start_leaving(&who)
		}

		/// Ends a jail early.
		///
		/// ## Dispatch Origin
		///
		/// [`Config::AdminOrigin`].
		///
		/// ## Details
		///
		/// For offences that were somebody else's mistake. The slashed amount is not given back here,
		/// and the validator has to `rejoin` by itself.
		///
		/// ## Errors
		///
		/// [`Error::NotRegistered`], [`Error::NotJailed`].
		///
		/// ## Events
		///
		/// [`Event::ValidatorPardoned`].
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::pardon())]
		pub fn pardon(origin: OriginFor<T>, who: T::AccountId) -> DispatchResult {
			T::AdminOrigin::ensure_origin(origin)?;
			Self::do_pardon(&who)
		}

		/// Sets the most validators chosen for a session.
		///
		/// ## Dispatch Origin
		///
		/// [`Config::AdminOrigin`].
		///
		/// ## Errors
		///
		/// [`Error::SizeOutOfRange`].
		///
		/// ## Events
		///
		/// [`Event::MaxValidatorsChanged`].
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::set_max_validators())]
		pub fn set_max_validators(origin: OriginFor<T>, max: u32) -> DispatchResult {
			T::AdminOrigin::ensure_origin(origin)?;
			ensure!(
				(T::MinValidators::get()..=T::MaxAuthorities::get()).contains(&max),
				Error::<T>::SizeOutOfRange
			);
			MaxValidators::<T>::put(max);
			Self::deposit_event(Event::MaxValidatorsChanged { max });
			Ok(())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// What is known about a validator.
		pub fn validator(who: T::AccountId) -> Option<Validator> {
			Validators::<T>::get(who)
		}

		/// A page of at most `limit` registered validators, in no particular order: the ones that
		/// follow `after`, or the first ones.
		pub fn validators(
			after: Option<T::AccountId>,
			limit: u32,
		) -> Vec<(T::AccountId, Validator)> {
			let limit = limit.min(T::MaxCandidates::get()) as usize;
			match after {
				Some(after) => Validators::<T>::iter_from(Validators::<T>::hashed_key_for(after))
					.take(limit)
					.collect(),
				None => Validators::<T>::iter().take(limit).collect(),
			}
		}

		/// The set, with bonds in planks, that would be chosen if a session were planned now.
		pub fn next_set() -> Vec<(T::AccountId, Balance)> {
			Self::choose_set().members
		}

		/// The smallest bond of a candidate, in planks.
		pub fn min_bond() -> Balance {
			T::MinBond::get()
		}

		/// Whether an account validates in the current session.
		pub fn is_active(who: T::AccountId) -> bool {
			SessionBonds::<T>::contains_key(Self::session_index(), who)
		}
	}
}
