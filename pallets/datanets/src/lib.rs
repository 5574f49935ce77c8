//! # Datanets
//!
//! The registry of datanets: contributions and their curation, published versions, licences, and
//! access for those who train.
//!
//! It must not know models or money splits: who trains what, what an answer earns and how that is
//! divided is decided elsewhere, from what this pallet says through
//! [`DatanetRegistry`](openledger_primitives::traits::DatanetRegistry). It never sees a record: roots,
//! counts and hashes only. The data, its salts and its keys are off the chain, and erasing them there
//! is the way to be forgotten.
//!
//! ## Terms
//!
//! - **Datanet**: a pool of data of one kind under one licence, with an *owner*.
//! - **Contribution**: a batch of records, committed to by the Merkle root over their salted leaves.
//! - **Curator**: the owner, and whoever the owner made one; answers contributions.
//! - **Default verdict**: what becomes of a contribution that nobody answers within the *review
//!   period*.
//! - **Version**: a published state of a datanet: the root of a Merkle mountain range over its
//!   accepted contributions. A record's proof is its path in the contribution and then the
//!   contribution's path in the range. A version of `n` contributions has the leaves below `n`.
//! - **Access**: the roles [`Role::Curator`], [`Role::Contributor`] and [`Role::Trainer`].
//!
//! ## Licence
//!
//! A datanet's licence is fixed when it is created. Contributors give their data under it and trainers
//! take it under it: wider terms later would take from the first what they did not give, narrower
//! ones from the second what they were given. Whoever wants other terms creates another datanet.
//!
//! ## The life of a contribution
//!
//! | from | what happens | to |
//! |---|---|---|
//! | | `contribute`: deposit held, deadline and default verdict written down | pending |
//! | pending | `accept_contribution` by a curator before the deadline | accepted, for ever |
//! | pending | `reject_contribution` by a curator before the deadline, with a reason | gone |
//! | pending | `withdraw_contribution` by the contributor at any time | gone |
//! | pending | from the deadline on: `settle_contribution` by anybody, or by itself in a block's leftover weight | accepted or gone, by the default verdict |
//!
//! The deadline is the contributor's right: it is the first block in which curators can no longer
//! answer and the first in which anybody may have the contribution settled, and the default verdict
//! that counts is the one at the time of contributing. What is gone leaves no record; the event says
//! why. Its root can be contributed again, under a new index: indices are never used twice.
//!
//! ## Access
//!
//! | policy | contribute | train |
//! |---|---|---|
//! | [`AccessPolicy::Open`] | everybody | everybody; with a price, after `buy_access` |
//! | [`AccessPolicy::Approval`] | everybody | `request_access` holds the price; `grant_access` pays it to the owner, `refuse_access` or `cancel_access_request` give it back |
//! | [`AccessPolicy::Permissioned`] | by grant | by grant, free of price |
//!
//! The owner may do everything always, and may grant any role under any policy, until a block or
//! without end. What was paid for has no end, is not taken back by the owner, and outlives changes of
//! the policy, the price and the owner; otherwise an owner could sell access and revoke it in the next
//! block. A request carries the price it was made at. Buyers and requesters name the most they would
//! pay, so that a price that changes under way takes nothing that was not agreed.
//!
//! ## Economics
//!
//! - Everything that stays in the state has a deposit on somebody's account: a datanet on its owner's
//!   (given back when the next owner accepts and makes an own one), a grant on that of its owner or
//!   buyer, a request on the requester's. Deposits come back when the thing goes.
//! - A contribution's deposit is for the curators' attention as much as for the state: it grows with
//!   records and bytes, and comes back however the contribution ends, also when it is rejected as spam.
//!   Nothing is slashed here, so no curator gains by a rejection. Against floods there are the daily
//!   limits, per account and datanet and per datanet. An accepted contribution stays without deposit:
//!   it is what the datanet is for, and the datanet's daily limit bounds its growth.
//! - The price of access goes to the owner whole. A price is either 0 or at least the existential
//!   deposit, so that it can always be paid out and given back.
//!
//! Deposits should be at least the existential deposit, for the same reason.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
	test,
	allow(
		clippy::unwrap_used,
		clippy::expect_used,
		clippy::indexing_slicing,
		clippy::arithmetic_side_effects,
		reason = "a test may stop at what it did not expect"
	)
)]

extern crate alloc;

mod access;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod contributions;
mod curation;
mod deposits;
mod limits;
#[cfg(test)]
mod mock;
mod registry;
mod terms;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "try-runtime"))]
mod try_state;
pub mod types;
mod versions;
pub mod weights;

pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

const LOG_TARGET: &str = "runtime::datanets";

/// The most entries of one page of a list.
pub const MAX_PAGE: u32 = 128;

#[allow(clippy::expect_used, reason = "FRAME's macros expand to it")]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use alloc::vec::Vec;
	use frame_support::{
		pallet_prelude::*,
		traits::{fungible, Consideration, Footprint},
		weights::WeightMeter,
	};
	use frame_system::pallet_prelude::*;
	use openledger_primitives::{
		licence::LicenceTerms, Balance, ContributionId, DatanetId, DatanetVersion, H256,
	};
	use sp_runtime::traits::{Convert, Zero};

	/// The layout of this pallet's storage.
	const STORAGE_VERSION: StorageVersion = StorageVersion::new(0);

	/// A datanet of this runtime.
	pub type DatanetOf<T> = Datanet<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;
	/// A contribution of this runtime.
	pub type ContributionOf<T> =
		Contribution<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;
	/// A grant with its deposit.
	pub type SecuredGrantOf<T> = Secured<
		Grant<BlockNumberFor<T>>,
		<T as frame_system::Config>::AccountId,
		<T as Config>::AccessDeposit,
	>;
	/// An access request with its deposit.
	pub type SecuredRequestOf<T> = Secured<
		AccessRequest<BlockNumberFor<T>>,
		<T as frame_system::Config>::AccountId,
		<T as Config>::AccessDeposit,
	>;

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// What prices are paid and held in.
		type Currency: fungible::Mutate<Self::AccountId, Balance = Balance>
			+ fungible::MutateHold<
				Self::AccountId,
				Reason = Self::RuntimeHoldReason,
				Balance = Balance,
			>;

		/// The runtime's reasons for holds.
		type RuntimeHoldReason: From<HoldReason>;

		/// The deposit for a datanet. It should hold under [`HoldReason::DatanetDeposit`].
		type DatanetDeposit: Consideration<Self::AccountId, Footprint>;

		/// The deposit for a contribution that waits for an answer. It should hold under
		/// [`HoldReason::ContributionDeposit`].
		type ContributionDeposit: Consideration<Self::AccountId, Footprint>;

		/// The deposit for a request or a grant of access. It should hold under
		/// [`HoldReason::AccessDeposit`].
		type AccessDeposit: Consideration<Self::AccountId, Footprint>;

		/// What the three deposits ask for a footprint, for quotes.
		type DepositPrice: Convert<Footprint, Balance>;

		/// The most datanets one account can own.
		#[pallet::constant]
		type MaxDatanetsPerOwner: Get<u32>;

		/// The fewest blocks of a review period: curators need time to look. At least 1.
		#[pallet::constant]
		type MinReviewPeriod: Get<BlockNumberFor<Self>>;

		/// The most blocks of a review period: nobody's deposit shall be held for years.
		#[pallet::constant]
		type MaxReviewPeriod: Get<BlockNumberFor<Self>>;

		/// Blocks of a day, the unit of the contribution limits. At least 1.
		#[pallet::constant]
		type BlocksPerDay: Get<BlockNumberFor<Self>>;

		/// The most records in one contribution.
		#[pallet::constant]
		type MaxRecordsPerContribution: Get<u32>;

		/// The most bytes of canonical records in one contribution.
		#[pallet::constant]
		type MaxBytesPerContribution: Get<u64>;

		/// How many contributions an account can make to a datanet in a day. Not a constant:
		/// governance changes it.
		type MaxContributionsPerAccountPerDay: Get<u32>;

		/// How many contributions a datanet takes in a day. Not a constant: governance changes it.
		type MaxContributionsPerDatanetPerDay: Get<u32>;

		/// Weights of the calls.
		type WeightInfo: WeightInfo;
	}

	/// Why funds are held.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// For a datanet, by its owner.
		#[codec(index = 0)]
		DatanetDeposit,
		/// For a contribution that waits for an answer.
		#[codec(index = 1)]
		ContributionDeposit,
		/// The price of access that was asked for.
		#[codec(index = 2)]
		AccessPrice,
		/// For the record of a request or a grant of access.
		#[codec(index = 3)]
		AccessDeposit,
	}

	/// The number of the next datanet.
	#[pallet::storage]
	pub type NextDatanetId<T: Config> = StorageValue<_, DatanetId, ValueQuery>;

	/// The datanets.
	// Our own running numbers cannot be chosen to unbalance the tree: the short hash is enough.
	#[pallet::storage]
	pub type Datanets<T: Config> = StorageMap<_, Twox64Concat, DatanetId, DatanetOf<T>>;

	/// The deposit for each datanet, held by its owner. Kept apart, so that no reader of a datanet
	/// decodes it.
	#[pallet::storage]
	pub type DatanetDeposits<T: Config> = StorageMap<_, Twox64Concat, DatanetId, T::DatanetDeposit>;

	/// The datanets of an owner.
	#[pallet::storage]
	pub type DatanetsOf<T: Config> = StorageMap<
		_,
		Blake2_128Concat,
		T::AccountId,
		BoundedVec<DatanetId, T::MaxDatanetsPerOwner>,
		ValueQuery,
	>;

	/// To whom a datanet is offered.
	#[pallet::storage]
	pub type DatanetOffers<T: Config> = StorageMap<_, Twox64Concat, DatanetId, T::AccountId>;

	/// Each datanet's counters.
	#[pallet::storage]
	pub type Counters<T: Config> =
		StorageMap<_, Twox64Concat, DatanetId, DatanetCounters, ValueQuery>;

	/// What each datanet has accepted. Kept apart from the datanet: up to a kilobyte of peaks that only
	/// accepting and publishing need.
	#[pallet::storage]
	pub type Ranges<T: Config> = StorageMap<_, Twox64Concat, DatanetId, AcceptedRange, ValueQuery>;

	/// The contributions that are pending or accepted, by datanet and index.
	#[pallet::storage]
	pub type Contributions<T: Config> =
		StorageDoubleMap<_, Twox64Concat, DatanetId, Twox64Concat, u32, ContributionOf<T>>;

	/// Which contribution of a datanet has this root, so that none is taken twice.
	// Contributors choose the root.
	#[pallet::storage]
	pub type ContributionByRoot<T: Config> =
		StorageDoubleMap<_, Twox64Concat, DatanetId, Blake2_128Concat, H256, u32>;

	/// The deposits for pending contributions, held by their contributors. It has exactly the pending
	/// ones, and so is their list too.
	#[pallet::storage]
	pub type PendingDeposits<T: Config> =
		StorageDoubleMap<_, Twox64Concat, DatanetId, Twox64Concat, u32, T::ContributionDeposit>;

	/// What falls due when: each pending contribution once, at its deadline.
	#[pallet::storage]
	pub type Agenda<T: Config> = StorageDoubleMap<
		_,
		Twox64Concat,
		BlockNumberFor<T>,
		Twox64Concat,
		ContributionId,
		(),
		OptionQuery,
	>;

	/// The first block of the agenda that is not all served.
	#[pallet::storage]
	pub type AgendaCursor<T: Config> = StorageValue<_, BlockNumberFor<T>, ValueQuery>;

	/// How many contributions an account made to a datanet on a day. Days that are over are cleared
	/// away with blocks' leftover weight.
	#[pallet::storage]
	pub type ContributionsOnDay<T: Config> = StorageDoubleMap<
		_,
		Twox64Concat,
		u32,
		Blake2_128Concat,
		(DatanetId, T::AccountId),
		u32,
		ValueQuery,
	>;

	/// The first day that is not all cleared away.
	#[pallet::storage]
	pub type DayCursor<T: Config> = StorageValue<_, u32, ValueQuery>;

	/// The published versions, by datanet and number.
	#[pallet::storage]
	pub type Versions<T: Config> = StorageDoubleMap<
		_,
		Twox64Concat,
		DatanetId,
		Twox64Concat,
		u32,
		PublishedVersion<BlockNumberFor<T>>,
	>;

	/// Who was granted what. A grant that has ended stays until somebody removes it.
	#[pallet::storage]
	pub type Grants<T: Config> = StorageNMap<
		_,
		(
			NMapKey<Twox64Concat, DatanetId>,
			NMapKey<Blake2_128Concat, T::AccountId>,
			NMapKey<Twox64Concat, Role>,
		),
		SecuredGrantOf<T>,
	>;

	/// Who asks for access to train, holding the price.
	#[pallet::storage]
	pub type AccessRequests<T: Config> = StorageDoubleMap<
		_,
		Twox64Concat,
		DatanetId,
		Blake2_128Concat,
		T::AccountId,
		SecuredRequestOf<T>,
	>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A datanet was created.
		DatanetCreated {
			/// The new datanet.
			datanet: DatanetId,
			/// Its owner.
			owner: T::AccountId,
			/// Its kind.
			kind: DatanetKind,
			/// Its licence.
			licence: LicenceTerms,
		},
		/// A datanet's terms changed.
		DatanetUpdated {
			/// The datanet.
			datanet: DatanetId,
			/// The terms until now.
			old_terms: DatanetTerms<BlockNumberFor<T>>,
			/// The terms from now on.
			new_terms: DatanetTerms<BlockNumberFor<T>>,
		},
		/// A datanet takes no new contributions.
		DatanetClosed {
			/// The datanet.
			datanet: DatanetId,
		},
		/// A datanet takes contributions again.
		DatanetReopened {
			/// The datanet.
			datanet: DatanetId,
		},
		/// A datanet was offered to an account.
		DatanetOffered {
			/// The datanet.
			datanet: DatanetId,
			/// To whom.
			to: T::AccountId,
		},
		/// The offer of a datanet was taken back.
		DatanetOfferWithdrawn {
			/// The datanet.
			datanet: DatanetId,
		},
		/// A datanet has a new owner.
		DatanetTransferred {
			/// The datanet.
			datanet: DatanetId,
			/// The owner until now.
			from: T::AccountId,
			/// The owner from now on.
			to: T::AccountId,
		},
		/// A contribution was made and waits for an answer.
		Contributed {
			/// The datanet.
			datanet: DatanetId,
			/// The contribution's index in it.
			index: u32,
			/// Who made it.
			contributor: T::AccountId,
			/// What it commits to.
			data: ContributedData,
			/// The first block in which it is too late to answer.
			deadline: BlockNumberFor<T>,
		},
		/// A contribution was accepted.
		ContributionAccepted {
			/// The datanet.
			datanet: DatanetId,
			/// The contribution.
			index: u32,
			/// Who made it.
			contributor: T::AccountId,
			/// Its leaf in the datanet's range.
			leaf_index: u32,
			/// Who accepted it; `None` is nobody: the default verdict did.
			curator: Option<T::AccountId>,
		},
		/// A contribution was rejected.
		ContributionRejected {
			/// The datanet.
			datanet: DatanetId,
			/// The contribution.
			index: u32,
			/// Who made it.
			contributor: T::AccountId,
			/// Who rejected it.
			curator: T::AccountId,
			/// Why.
			reason: RejectReason,
		},
		/// Nobody answered a contribution in time, and the default verdict rejected it.
		ContributionLapsed {
			/// The datanet.
			datanet: DatanetId,
			/// The contribution.
			index: u32,
			/// Who made it.
			contributor: T::AccountId,
		},
		/// A contributor took a contribution back.
		ContributionWithdrawn {
			/// The datanet.
			datanet: DatanetId,
			/// The contribution.
			index: u32,
			/// Who made it.
			contributor: T::AccountId,
		},
		/// A version of a datanet was published.
		VersionPublished {
			/// The version.
			version: DatanetVersion,
			/// Root of the range.
			root: H256,
			/// Accepted contributions in it.
			contributions: u32,
			/// Records over all of them.
			records: u64,
			/// Bytes over all of them.
			bytes: u64,
		},
		/// The owner gave a role.
		AccessGranted {
			/// The datanet.
			datanet: DatanetId,
			/// To whom.
			who: T::AccountId,
			/// Which.
			role: Role,
			/// The first block in which it no longer holds; `None` is never.
			expires_at: Option<BlockNumberFor<T>>,
		},
		/// Access to train was paid for.
		AccessBought {
			/// The datanet.
			datanet: DatanetId,
			/// Who has the access.
			who: T::AccountId,
			/// Who was paid.
			owner: T::AccountId,
			/// What, in planks.
			price: Balance,
		},
		/// A role ended: it was taken back or given up, or it had expired and was removed.
		AccessRevoked {
			/// The datanet.
			datanet: DatanetId,
			/// Whose.
			who: T::AccountId,
			/// Which.
			role: Role,
		},
		/// An account asked for access to train, holding the price.
		AccessRequested {
			/// The datanet.
			datanet: DatanetId,
			/// Who asks.
			who: T::AccountId,
			/// What is held, in planks.
			price: Balance,
		},
		/// The owner refused access, and the price was given back.
		AccessRefused {
			/// The datanet.
			datanet: DatanetId,
			/// Who asked.
			who: T::AccountId,
			/// What was held, in planks.
			price: Balance,
		},
		/// An account no longer asks for access, and the price was given back.
		AccessRequestCancelled {
			/// The datanet.
			datanet: DatanetId,
			/// Who asked.
			who: T::AccountId,
			/// What was held, in planks.
			price: Balance,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// There is no such datanet.
		UnknownDatanet,
		/// There is no such contribution: it never was, or it was rejected or withdrawn.
		UnknownContribution,
		/// Only the datanet's owner can do this.
		NotOwner,
		/// Only the datanet's owner and curators can do this.
		NotCurator,
		/// Only who made the contribution can do this.
		NotContributor,
		/// The name is empty or not UTF-8.
		InvalidName,
		/// The licence has unknown purposes, none, or asks for more than the whole revenue.
		InvalidLicence,
		/// The review period is shorter or longer than allowed.
		ReviewPeriodOutOfBounds,
		/// A price is 0 or at least the existential deposit.
		PriceBelowMinimum,
		/// The account owns as many datanets as it can.
		TooManyDatanets,
		/// All numbers are used up.
		NumbersExhausted,
		/// The datanet takes no contributions.
		ContributionsClosed,
		/// The datanet takes contributions already.
		ContributionsOpen,
		/// The datanet is the account's own already.
		AlreadyOwner,
		/// The datanet is not offered to this account, or to nobody.
		NotOffered,
		/// The account may not contribute to this datanet.
		MayNotContribute,
		/// The account may not train on this datanet.
		MayNotTrain,
		/// A contribution has at least one record and one byte.
		EmptyContribution,
		/// The contribution has too many records.
		TooManyRecords,
		/// The contribution has too many bytes.
		TooManyBytes,
		/// The datanet has a contribution with this root.
		DuplicateRoot,
		/// The account has made all its contributions to this datanet for today.
		AccountLimitReached,
		/// The datanet has taken all its contributions for today.
		DatanetLimitReached,
		/// The contribution is accepted.
		NotPending,
		/// The time to answer is over: the default verdict decides.
		ReviewPeriodOver,
		/// There is still time to answer.
		ReviewPeriodNotOver,
		/// The datanet's range takes no more contributions.
		RangeFull,
		/// Nothing was accepted since the last version.
		NothingToPublish,
		/// The end lies not in the future.
		ExpiryInPast,
		/// Access that was paid for has no end and is not taken back.
		AccessWasBought,
		/// There is no such grant.
		NotGranted,
		/// The account has this access already.
		AlreadyGranted,
		/// Access to this datanet is not sold: it is free, or the owner decides.
		AccessNotForSale,
		/// Access to this datanet is not asked for: it is open, or by grant only.
		AccessNotByRequest,
		/// The price is more than the account would pay.
		PriceAboveLimit,
		/// The account has asked already.
		AlreadyRequested,
		/// The account has not asked.
		NotRequested,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn on_idle(now: BlockNumberFor<T>, remaining: Weight) -> Weight {
			let mut meter = WeightMeter::with_limit(remaining);
			Self::settle_due(now, &mut meter);
			Self::clear_past_days(&mut meter);
			meter.consumed()
		}

		fn integrity_test() {
			assert!(!T::BlocksPerDay::get().is_zero(), "a day has blocks");
			assert!(
				!T::MinReviewPeriod::get().is_zero(),
				"a deadline lies after the block that sets it: the agenda's cursor never goes back"
			);
			assert!(
				T::MinReviewPeriod::get() <= T::MaxReviewPeriod::get(),
				"some review period is allowed"
			);
			assert!(T::MaxRecordsPerContribution::get() > 0, "some contribution is allowed");
			assert!(T::MaxBytesPerContribution::get() > 0, "some contribution is allowed");
			assert!(T::MaxDatanetsPerOwner::get() > 0, "some datanet is allowed");
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_now: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Creates a datanet.
		///
		/// ## Dispatch Origin
		///
		/// Signed; the account becomes the owner.
		///
		/// ## Details
		///
		/// Holds the datanet's deposit. Name, kind and licence are fixed.
		///
		/// ## Errors
		///
		/// - [`Error::InvalidName`], [`Error::InvalidLicence`], [`Error::ReviewPeriodOutOfBounds`],
		///   [`Error::PriceBelowMinimum`]: an argument is not allowed.
		/// - [`Error::TooManyDatanets`], [`Error::NumbersExhausted`]: there is no room.
		/// - The deposit's own error when it cannot be held.
		///
		/// ## Events
		///
		/// - [`Event::DatanetCreated`].
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::create_datanet())]
		pub fn create_datanet(
			origin: OriginFor<T>,
			name: DatanetName,
			kind: DatanetKind,
			licence: LicenceTerms,
			terms: DatanetTerms<BlockNumberFor<T>>,
		) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			Self::do_create_datanet(owner, name, kind, licence, terms).map(|_| ())
		}

		/// Replaces a datanet's terms.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner.
		///
		/// ## Details
		///
		/// Contributions that wait keep their deadline and default verdict, requests their price, and
		/// grants hold on.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotOwner`].
		/// - [`Error::ReviewPeriodOutOfBounds`], [`Error::PriceBelowMinimum`]: a term is not allowed.
		///
		/// ## Events
		///
		/// - [`Event::DatanetUpdated`].
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::update_datanet())]
		pub fn update_datanet(
			origin: OriginFor<T>,
			datanet: DatanetId,
			terms: DatanetTerms<BlockNumberFor<T>>,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_update_datanet(who, datanet, terms)
		}

		/// Takes no new contributions from now on.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner.
		///
		/// ## Details
		///
		/// Contributions that wait are answered as ever.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotOwner`].
		/// - [`Error::ContributionsClosed`]: it is closed.
		///
		/// ## Events
		///
		/// - [`Event::DatanetClosed`].
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::close_datanet())]
		pub fn close_datanet(origin: OriginFor<T>, datanet: DatanetId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_close_datanet(who, datanet)
		}

		/// Takes contributions again.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotOwner`].
		/// - [`Error::ContributionsOpen`]: it is open.
		///
		/// ## Events
		///
		/// - [`Event::DatanetReopened`].
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::reopen_datanet())]
		pub fn reopen_datanet(origin: OriginFor<T>, datanet: DatanetId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_reopen_datanet(who, datanet)
		}

		/// Offers a datanet to another account, in place of any earlier offer.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner.
		///
		/// ## Details
		///
		/// Nothing changes until the account accepts: a datanet cannot be pushed on anybody.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotOwner`].
		/// - [`Error::AlreadyOwner`]: the account is the owner.
		///
		/// ## Events
		///
		/// - [`Event::DatanetOffered`].
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::offer_datanet())]
		pub fn offer_datanet(
			origin: OriginFor<T>,
			datanet: DatanetId,
			to: T::AccountId,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_offer_datanet(who, datanet, to)
		}

		/// Takes the offer of a datanet back.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotOwner`].
		/// - [`Error::NotOffered`]: there is no offer.
		///
		/// ## Events
		///
		/// - [`Event::DatanetOfferWithdrawn`].
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::withdraw_datanet_offer())]
		pub fn withdraw_datanet_offer(origin: OriginFor<T>, datanet: DatanetId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_withdraw_datanet_offer(who, datanet)
		}

		/// Becomes the owner of a datanet that is offered.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the account it is offered to.
		///
		/// ## Details
		///
		/// The new owner's deposit is held and the old owner's given back. Grants stay, with their
		/// deposits on the accounts that made them; open requests are now the new owner's to decide.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`].
		/// - [`Error::NotOffered`]: it is not offered to this account.
		/// - [`Error::TooManyDatanets`]: the account owns as many as it can.
		/// - The deposit's own error when it cannot be held.
		///
		/// ## Events
		///
		/// - [`Event::DatanetTransferred`].
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::accept_datanet())]
		pub fn accept_datanet(origin: OriginFor<T>, datanet: DatanetId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_accept_datanet(who, datanet)
		}

		/// Contributes a batch of records.
		///
		/// ## Dispatch Origin
		///
		/// Signed by an account that may contribute.
		///
		/// ## Details
		///
		/// Holds a deposit that grows with `records` and `bytes` and comes back however it ends. `root`
		/// is the Merkle root over the records' salted leaves, `content` the hash of the blob in the
		/// datanet store, `salts` the commitment to the salts
		/// ([`record::salts_root`](openledger_primitives::record::salts_root)).
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::ContributionsClosed`], [`Error::MayNotContribute`].
		/// - [`Error::EmptyContribution`], [`Error::TooManyRecords`], [`Error::TooManyBytes`].
		/// - [`Error::DuplicateRoot`]: the datanet has this root, pending or accepted.
		/// - [`Error::AccountLimitReached`], [`Error::DatanetLimitReached`]: come back tomorrow.
		/// - The deposit's own error when it cannot be held.
		///
		/// ## Events
		///
		/// - [`Event::Contributed`].
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::contribute())]
		pub fn contribute(
			origin: OriginFor<T>,
			datanet: DatanetId,
			root: H256,
			records: u32,
			bytes: u64,
			content: H256,
			salts: H256,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let data = ContributedData { root, records, bytes, content, salts };
			Self::do_contribute(who, datanet, data).map(|_| ())
		}

		/// Takes a contribution back that waits for an answer.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the contributor.
		///
		/// ## Details
		///
		/// The deposit is given back. It still counts for the day's limits.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownContribution`], [`Error::NotContributor`].
		/// - [`Error::NotPending`]: it was accepted.
		///
		/// ## Events
		///
		/// - [`Event::ContributionWithdrawn`].
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::withdraw_contribution())]
		pub fn withdraw_contribution(
			origin: OriginFor<T>,
			datanet: DatanetId,
			index: u32,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_withdraw_contribution(who, datanet, index)
		}

		/// Accepts a contribution: it becomes the next leaf of the datanet's range.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner or a curator.
		///
		/// ## Details
		///
		/// The deposit is given back.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotCurator`], [`Error::UnknownContribution`].
		/// - [`Error::NotPending`]: it was accepted.
		/// - [`Error::ReviewPeriodOver`]: the default verdict decides.
		/// - [`Error::RangeFull`]: the range takes no more.
		///
		/// ## Events
		///
		/// - [`Event::ContributionAccepted`].
		#[pallet::call_index(9)]
		#[pallet::weight(T::WeightInfo::accept_contribution())]
		pub fn accept_contribution(
			origin: OriginFor<T>,
			datanet: DatanetId,
			index: u32,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_accept_contribution(who, datanet, index)
		}

		/// Rejects a contribution.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner or a curator.
		///
		/// ## Details
		///
		/// The deposit is given back whatever the reason, and the record goes.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotCurator`], [`Error::UnknownContribution`].
		/// - [`Error::NotPending`]: it was accepted.
		/// - [`Error::ReviewPeriodOver`]: the default verdict decides.
		///
		/// ## Events
		///
		/// - [`Event::ContributionRejected`].
		#[pallet::call_index(10)]
		#[pallet::weight(T::WeightInfo::reject_contribution())]
		pub fn reject_contribution(
			origin: OriginFor<T>,
			datanet: DatanetId,
			index: u32,
			reason: RejectReason,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_reject_contribution(who, datanet, index, reason)
		}

		/// Has a contribution settled by the default verdict that nobody answered in time.
		///
		/// ## Dispatch Origin
		///
		/// Signed by anybody.
		///
		/// ## Details
		///
		/// Blocks with weight to spare do this by themselves; the call is for who cannot wait.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownContribution`].
		/// - [`Error::NotPending`]: it was accepted.
		/// - [`Error::ReviewPeriodNotOver`]: curators can still answer.
		/// - [`Error::RangeFull`]: the range takes no more.
		///
		/// ## Events
		///
		/// - [`Event::ContributionAccepted`] or [`Event::ContributionLapsed`].
		#[pallet::call_index(11)]
		#[pallet::weight(T::WeightInfo::settle_contribution())]
		pub fn settle_contribution(
			origin: OriginFor<T>,
			datanet: DatanetId,
			index: u32,
		) -> DispatchResult {
			ensure_signed(origin)?;
			Self::do_settle_contribution(datanet, index)
		}

		/// Publishes everything accepted until now as a version.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner or a curator.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotCurator`].
		/// - [`Error::NothingToPublish`]: nothing was accepted since the last version.
		/// - [`Error::NumbersExhausted`]: there is no room.
		///
		/// ## Events
		///
		/// - [`Event::VersionPublished`].
		#[pallet::call_index(12)]
		#[pallet::weight(T::WeightInfo::publish_version())]
		pub fn publish_version(origin: OriginFor<T>, datanet: DatanetId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_publish_version(who, datanet).map(|_| ())
		}

		/// Gives an account a role, or changes until when it has it.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner.
		///
		/// ## Details
		///
		/// For [`Role::Trainer`], an open request of the account is answered by this: the price it holds
		/// is paid to the owner, and its deposit becomes the grant's. Else the role is given free of
		/// price and the owner makes the deposit, also in place of a former owner's.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotOwner`].
		/// - [`Error::ExpiryInPast`]: the end lies not in the future.
		/// - [`Error::AlreadyGranted`]: the account is the owner.
		/// - [`Error::AccessWasBought`]: access that is or will be paid for has no end.
		/// - The deposit's or the payment's own error.
		///
		/// ## Events
		///
		/// - [`Event::AccessGranted`] or [`Event::AccessBought`].
		#[pallet::call_index(13)]
		#[pallet::weight(T::WeightInfo::grant_access())]
		pub fn grant_access(
			origin: OriginFor<T>,
			datanet: DatanetId,
			who: T::AccountId,
			role: Role,
			expires_at: Option<BlockNumberFor<T>>,
		) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			Self::do_grant_access(owner, datanet, who, role, expires_at)
		}

		/// Ends a role.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner, or by the account that has the role, or, when it has expired, by anybody.
		///
		/// ## Details
		///
		/// The deposit is given back to who made it. A price that was paid is not.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotGranted`], [`Error::NotOwner`].
		/// - [`Error::AccessWasBought`]: only the account itself can give it up.
		///
		/// ## Events
		///
		/// - [`Event::AccessRevoked`].
		#[pallet::call_index(14)]
		#[pallet::weight(T::WeightInfo::revoke_access())]
		pub fn revoke_access(
			origin: OriginFor<T>,
			datanet: DatanetId,
			who: T::AccountId,
			role: Role,
		) -> DispatchResult {
			let by = ensure_signed(origin)?;
			Self::do_revoke_access(by, datanet, who, role)
		}

		/// Buys access to train on an open datanet with a price.
		///
		/// ## Dispatch Origin
		///
		/// Signed; the account pays.
		///
		/// ## Details
		///
		/// The price goes to the owner, if it is at most `max_price`, and the deposit for the grant is
		/// held. A grant of limited time is replaced.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`].
		/// - [`Error::AccessNotForSale`]: it is free, or not open.
		/// - [`Error::AlreadyGranted`]: the account has it without end.
		/// - [`Error::PriceAboveLimit`]: the price is more than `max_price`.
		/// - The deposit's or the payment's own error.
		///
		/// ## Events
		///
		/// - [`Event::AccessBought`].
		#[pallet::call_index(15)]
		#[pallet::weight(T::WeightInfo::buy_access())]
		pub fn buy_access(
			origin: OriginFor<T>,
			datanet: DatanetId,
			max_price: Balance,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_buy_access(who, datanet, max_price)
		}

		/// Asks for access to train on a datanet whose owner decides about it.
		///
		/// ## Dispatch Origin
		///
		/// Signed; the account's price and deposit are held.
		///
		/// ## Details
		///
		/// The price of now is held, if it is at most `max_price`, until the owner answers or the account
		/// cancels.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`].
		/// - [`Error::AccessNotByRequest`]: the policy is another.
		/// - [`Error::AlreadyGranted`]: the account has it without end.
		/// - [`Error::AlreadyRequested`]: the account has asked.
		/// - [`Error::PriceAboveLimit`]: the price is more than `max_price`.
		/// - The deposit's or the hold's own error.
		///
		/// ## Events
		///
		/// - [`Event::AccessRequested`].
		#[pallet::call_index(16)]
		#[pallet::weight(T::WeightInfo::request_access())]
		pub fn request_access(
			origin: OriginFor<T>,
			datanet: DatanetId,
			max_price: Balance,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_request_access(who, datanet, max_price)
		}

		/// Refuses access that an account asks for.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the owner.
		///
		/// ## Details
		///
		/// Price and deposit are given back.
		///
		/// ## Errors
		///
		/// - [`Error::UnknownDatanet`], [`Error::NotOwner`], [`Error::NotRequested`].
		///
		/// ## Events
		///
		/// - [`Event::AccessRefused`].
		#[pallet::call_index(17)]
		#[pallet::weight(T::WeightInfo::refuse_access())]
		pub fn refuse_access(
			origin: OriginFor<T>,
			datanet: DatanetId,
			who: T::AccountId,
		) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			Self::do_refuse_access(owner, datanet, who)
		}

		/// No longer asks for access.
		///
		/// ## Dispatch Origin
		///
		/// Signed by the account that asked.
		///
		/// ## Details
		///
		/// Price and deposit are given back.
		///
		/// ## Errors
		///
		/// - [`Error::NotRequested`].
		///
		/// ## Events
		///
		/// - [`Event::AccessRequestCancelled`].
		#[pallet::call_index(18)]
		#[pallet::weight(T::WeightInfo::cancel_access_request())]
		pub fn cancel_access_request(origin: OriginFor<T>, datanet: DatanetId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_cancel_access_request(who, datanet)
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// A datanet.
		pub fn datanet(id: DatanetId) -> Option<DatanetOf<T>> {
			Datanets::<T>::get(id)
		}

		/// The datanets of an owner.
		pub fn datanets_of(owner: T::AccountId) -> Vec<DatanetId> {
			DatanetsOf::<T>::get(owner).into_inner()
		}

		/// To whom a datanet is offered.
		pub fn datanet_offer(id: DatanetId) -> Option<T::AccountId> {
			DatanetOffers::<T>::get(id)
		}

		/// A datanet's counters.
		pub fn counters(id: DatanetId) -> DatanetCounters {
			Counters::<T>::get(id)
		}

		/// All that a datanet has accepted, published or not yet.
		pub fn accepted(id: DatanetId) -> AcceptedRange {
			Ranges::<T>::get(id)
		}

		/// A contribution that is pending or accepted.
		pub fn contribution(id: ContributionId) -> Option<ContributionOf<T>> {
			Contributions::<T>::get(id.datanet, id.index)
		}

		/// Which contribution has this root.
		pub fn contribution_by_root(datanet: DatanetId, root: H256) -> Option<u32> {
			ContributionByRoot::<T>::get(datanet, root)
		}

		/// Indices of contributions that wait for an answer: at most `limit` and [`MAX_PAGE`], after the
		/// last index of the page before. In no particular order, each once.
		pub fn pending_contributions(
			datanet: DatanetId,
			after: Option<u32>,
			limit: u32,
		) -> Vec<u32> {
			Self::pending_page(datanet, after, limit)
		}

		/// How many more contributions an account can make to a datanet today.
		pub fn contributions_left_today(datanet: DatanetId, who: T::AccountId) -> u32 {
			Self::left_today(datanet, &who)
		}

		/// A published version.
		pub fn version(version: DatanetVersion) -> Option<PublishedVersion<BlockNumberFor<T>>> {
			Versions::<T>::get(version.datanet, version.version)
		}

		/// The latest published version.
		pub fn latest_version(datanet: DatanetId) -> Option<DatanetVersion> {
			Self::last_version(datanet)
		}

		/// Whether an account has a role in a datanet now: as the owner, by the policy or by a grant.
		/// Whether the datanet takes contributions at all is not asked.
		pub fn may(who: T::AccountId, datanet: DatanetId, role: Role) -> bool {
			Self::has_role(&who, datanet, role)
		}

		/// How an account came by a role, if it was granted. Also a grant that has ended and was not
		/// removed.
		pub fn grant(
			datanet: DatanetId,
			who: T::AccountId,
			role: Role,
		) -> Option<Grant<BlockNumberFor<T>>> {
			Grants::<T>::get((datanet, who, role)).map(|grant| grant.value)
		}

		/// An open request for access.
		pub fn access_request(
			datanet: DatanetId,
			who: T::AccountId,
		) -> Option<AccessRequest<BlockNumberFor<T>>> {
			AccessRequests::<T>::get(datanet, who).map(|request| request.value)
		}

		/// Who asks for access: at most `limit` and [`MAX_PAGE`], after the last account of the page
		/// before. In no particular order, each once.
		pub fn access_requests(
			datanet: DatanetId,
			after: Option<T::AccountId>,
			limit: u32,
		) -> Vec<(T::AccountId, AccessRequest<BlockNumberFor<T>>)> {
			Self::access_requests_page(datanet, after, limit)
		}

		/// What has to be held for a datanet, for a contribution of this size, and for a request or grant
		/// of access.
		pub fn deposit_quote(records: u32, bytes: u64) -> DepositQuote {
			Self::quote(records, bytes)
		}
	}
}
