//! # Models
//!
//! Base models, training jobs and their escrow, and the models that come of them, with lineage and
//! prices.
//!
//! It must not know how training is done. A specification, an adapter, an index and a data set are
//! hashes here; who does the work is the worker pool's business, and who may read a datanet is the
//! datanets'. It never looks at a float, a token or a text.
//!
//! ## Terms
//!
//! - **Base model**: weights that adapters are trained on. Registered by anybody against a deposit;
//!   its licence binds everything made on it.
//! - **Training job**: an order of a *creator* (base, sources, specification, budget, time), carried
//!   out by one worker at a time.
//! - **Source**: one published version of a datanet.
//! - **Model**: one adapter on one base model, registered when its job is settled, owned by the
//!   creator, who publishes it at a price.
//! - **Lineage**: what a model was made from. It stays as long as the model, which is for ever.
//!
//! ## The life of a training job
//!
//! A job is a [`Phase`] with the data of that phase. A deadline is the first block in which it is
//! too late to act and the first in which anybody may have the job moved on; both are never allowed
//! in the same block. Every job has exactly one entry in the agenda, at its deadline, which is served
//! with what weight blocks have left; whoever cannot wait calls `expire_training` or
//! `settle_training`.
//!
//! | phase | data | what may happen before the deadline | at the deadline | budget |
//! |---|---|---|---|---|
//! | `Open` | `expires_at` | anybody: `assign_training` → `Assigned`; creator: `cancel_training` → `Cancelled` | → `TimedOut` (no worker) | held; back on cancel and at the deadline |
//! | `Assigned` | worker, `start_by` | operator: `start_training` → `Running`, `decline_training` → `Open`, or `TimedOut` when the assignments are used up; creator: `cancel_training` → `Cancelled` | strike; → `Assigned` to the next worker, or `Open` when none is free, or `TimedOut` when the assignments are used up | held; back on cancel and at the end |
//! | `Running` | worker, `deliver_by` | operator: `deliver_training` → `Delivered`, `report_failure` → `Failed` | strike; → `TimedOut` (not delivered) | held; back at a failure and at the deadline |
//! | `Delivered` | worker, result, `settle_at` | creator: `dispute_training` → `Disputed` | → `Settled` | held; to the worker at the deadline |
//! | `Disputed` | worker, result, objection and bond, `decide_by` | `DisputeOrigin`: `resolve_dispute` upheld → `Refuted`, rejected → `Settled` | → `Settled` | held; upheld: back; else: to the worker |
//! | `Settled` | worker, model, `forget_at` | nothing | the record goes | paid |
//! | `TimedOut` | cause, `forget_at` | nothing | the record goes | given back |
//! | `Cancelled` | `forget_at` | nothing | the record goes | given back |
//! | `Refuted` | worker, `forget_at` | nothing | the record goes | given back |
//! | `Failed` | worker, reason, `forget_at` | nothing | the record goes | given back |
//!
//! ## How results arrive
//!
//! In every block, the offchain worker of a node that holds operator keys gives its workers' jobs to
//! the worker beside the node and asks how far they are (`docs/spec/worker-api.md`). What the worker
//! reports is checked, signed with the operator key, and submitted as a transaction that authorises
//! itself ([`openledger_pallet_support::operator`]): `start_training`, `decline_training`,
//! `deliver_training` and `report_failure` need no OPEN and no account, only the signature of the
//! operator whose job it is. A job is started once the worker has all it needs for it, so
//! `StartPeriod` is the time to fetch the data.
//!
//! A client that is not a node can do the same: sign
//! [`operator_message`](openledger_primitives::jobs::operator_message) of the genesis hash, the call's
//! name such as `"models.start_training"`, and its arguments before the operator, and send a general
//! transaction. The attempt is among the arguments, so that a key that is assigned to the same job
//! twice does not say twice what it said once.
//!
//! A `Running` job cannot be cancelled: the worker already spends what the budget pays for, and a
//! creator who could leave at the last block would have trained for nothing. The creator's way out
//! is the deadline, or the worker's word that it has failed.
//!
//! ## When training fails
//!
//! A worker that cannot begin declines, at no cost, and the job waits for another one. To start is to
//! say that everything is there and checked, so a worker that gives up after that has failed:
//! `report_failure` ends the job at once, gives the budget back and frees the slot, and is the strike
//! that silence until the deadline would be. The exception is `SpecificationUnusable`, because what is
//! wrong with an order may come out on the way, such as a learning rate at which the loss is not
//! finite: nobody is to blame then. The chain cannot tell whether a reason is true; a false one gains
//! a worker no money, costs the creator time, and is on record in `TrainingFailed`.
//!
//! The job is not given to another worker: the creator may want to change the order first.
//!
//! ## Economics
//!
//! - The **budget** is held on the creator's account from the request on, and leaves it exactly once:
//!   to the worker when the job is settled, or back to free when the job ends otherwise. Freezes on
//!   the creator's account do not stop the payment.
//! - The **bond** of a dispute comes back when the dispute is upheld, goes to the worker when it is
//!   rejected, and comes back when nobody decides. In that last case the result stands: were it the
//!   other way round, every creator would dispute every result whenever those who decide sleep, and
//!   train for nothing; so the doubt costs the creator a budget that was meant to be spent, and the
//!   worker a delay.
//! - The worker's slot is given back exactly once per assignment, with how it ended: `Released`
//!   (declined, cancelled, or impossible), `TimedOut` (a strike), `Delivered` or `Faulty` (a slash). It
//!   stays taken
//!   until the result stands, so that the bond behind it is still there when it is judged.
//! - A **deposit** pays for records that stay: for a base model by its registrar, for a model by its
//!   creator, taken with the request because it must be there at the end, given back if no model
//!   comes of the job, and moved with the model to its next owner. Records of finished jobs are paid
//!   by the transaction fee and go after `RetentionPeriod`.
//! - A model whose licences were asked for non-commercial use has prices of zero.
//!
//! ## Licences
//!
//! All sources and the base must allow training and serving, earning money if that is asked, and
//! something made under the terms that the result will carry, for as long as those terms last; access
//! and licences are checked when the job is requested. A job that runs when a licence is withdrawn
//! is finished. A model does not answer after its own terms end, so it never outlives its sources'.
//!
//! ## How things end
//!
//! A retired base model takes no new jobs; jobs and models on it go on. It is removed, and its deposit
//! returned, when it is retired and no job record and no model refers to it. A retired model never
//! answers again; its record stays, with its deposit, because payments and proofs refer to it.

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

mod authorisation;
mod base_models;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod deadlines;
mod eligibility;
mod escrow;
#[cfg(test)]
mod mock;
mod models;
mod offchain;
mod settlement;
#[cfg(test)]
mod tests;
mod training;
#[cfg(any(test, feature = "try-runtime"))]
mod try_state;
pub mod types;
pub mod weights;

pub use escrow::{ModelOf, TrainingJobOf};
pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

const LOG_TARGET: &str = "runtime::models";

/// The most entries of one page of a list.
pub const MAX_PAGE: u32 = 128;

#[allow(clippy::expect_used, reason = "FRAME's macros expand to it")]
#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::base_models::BaseModelDescription;
	use alloc::vec::Vec;
	use frame_support::{
		pallet_prelude::*,
		traits::{fungible, Consideration, Footprint, UnixTime},
	};
	use frame_system::{offchain::CreateAuthorizedTransaction, pallet_prelude::*};
	use openledger_pallet_support::operator::OperatorSignature;
	use openledger_primitives::{
		jobs::FailureReason,
		licence::LicenceTerms,
		receipt::Prices,
		training::TrainingResult,
		traits::{DatanetRegistry, ModelRegistry, TrainingSources, WorkerPool},
		Balance, BaseModelId, ModelId, TrainingJobId, H256,
	};

	/// The layout of this pallet's storage.
	const STORAGE_VERSION: StorageVersion = StorageVersion::new(0);

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config:
		frame_system::Config<RuntimeEvent: From<Event<Self>>, Hash = H256>
		+ CreateAuthorizedTransaction<Call<Self>>
	{
		/// What budgets and bonds are held in.
		type Currency: fungible::MutateHold<
			Self::AccountId,
			Reason = Self::RuntimeHoldReason,
			Balance = Balance,
		>;

		/// The runtime's reasons for holds.
		type RuntimeHoldReason: From<HoldReason>;

		/// The deposit for a record that stays: base models and models. It should hold under
		/// [`HoldReason::RecordDeposit`].
		type RecordDeposit: Consideration<Self::AccountId, Footprint>;

		/// The datanets: which versions there are, who may train on them, under which terms.
		type Datanets: DatanetRegistry<Self::AccountId, Error: Into<DispatchError>>;

		/// The workers that train.
		type Workers: WorkerPool<Self::AccountId, Error: Into<DispatchError>>;

		/// The clock that licences end by.
		type Time: UnixTime;

		/// Who may retire and remove any base model.
		type AdminOrigin: EnsureOrigin<Self::RuntimeOrigin>;

		/// Who decides disputes about training results.
		type DisputeOrigin: EnsureOrigin<Self::RuntimeOrigin>;

		/// The smallest budget of a job, in planks. At least the existential deposit, so that it can
		/// always be paid out.
		#[pallet::constant]
		type MinTrainingBudget: Get<Balance>;

		/// What a creator holds behind a dispute, in planks. At least the existential deposit.
		#[pallet::constant]
		type DisputeBond: Get<Balance>;

		/// Blocks that an open job waits for a worker.
		#[pallet::constant]
		type OpenPeriod: Get<BlockNumberFor<Self>>;

		/// Blocks that an assigned worker has to start or decline.
		#[pallet::constant]
		type StartPeriod: Get<BlockNumberFor<Self>>;

		/// The fewest blocks a creator may give a worker from start to delivery: nobody shall earn
		/// strikes from orders that cannot be met.
		#[pallet::constant]
		type MinTrainingPeriod: Get<BlockNumberFor<Self>>;

		/// The most blocks a creator may give a worker from start to delivery.
		#[pallet::constant]
		type MaxTrainingPeriod: Get<BlockNumberFor<Self>>;

		/// Blocks from delivery in which the creator may dispute the result.
		#[pallet::constant]
		type ChallengePeriod: Get<BlockNumberFor<Self>>;

		/// Blocks that `DisputeOrigin` has to decide a dispute.
		#[pallet::constant]
		type DecisionPeriod: Get<BlockNumberFor<Self>>;

		/// Blocks that the record of a finished job stays.
		#[pallet::constant]
		type RetentionPeriod: Get<BlockNumberFor<Self>>;

		/// How many workers are assigned to one job, one after the other, before it is given up.
		#[pallet::constant]
		type MaxAssignments: Get<u32>;

		/// What operators sign their reports with.
		type OperatorSignature: OperatorSignature<Self::AccountId>;

		/// Milliseconds between two blocks, to tell workers when a job ends.
		#[pallet::constant]
		type BlockMillis: Get<u64>;

		/// Weights of the calls.
		type WeightInfo: WeightInfo;
	}

	/// Why funds are held.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// For the record of a base model or a model.
		#[codec(index = 0)]
		RecordDeposit,
		/// A training job's budget, until it is paid or given back.
		#[codec(index = 1)]
		TrainingBudget,
		/// Behind a dispute about a training result.
		#[codec(index = 2)]
		DisputeBond,
	}

	/// The number of the next base model.
	#[pallet::storage]
	pub type NextBaseModelId<T: Config> = StorageValue<_, BaseModelId, ValueQuery>;

	/// The base models.
	// Our own running numbers cannot be chosen to unbalance the tree: the short hash is enough.
	#[pallet::storage]
	pub type BaseModels<T: Config> =
		StorageMap<_, Twox64Concat, BaseModelId, BaseModel<T::AccountId>>;

	/// Which base model has these weights.
	#[pallet::storage]
	pub type BaseModelByWeights<T: Config> = StorageMap<_, Blake2_128Concat, H256, BaseModelId>;

	/// How many job records and models refer to a base model. Kept apart from the base model, so
	/// that a request does not write the whole of it.
	#[pallet::storage]
	pub type BaseModelUses<T: Config> = StorageMap<_, Twox64Concat, BaseModelId, u32, ValueQuery>;

	/// The deposit for each base model, held by its registrar. Kept apart, so that no reader of a
	/// base model decodes it.
	#[pallet::storage]
	pub type BaseModelDeposits<T: Config> =
		StorageMap<_, Twox64Concat, BaseModelId, T::RecordDeposit>;

	/// The number of the next training job.
	#[pallet::storage]
	pub type NextTrainingJobId<T: Config> = StorageValue<_, TrainingJobId, ValueQuery>;

	/// The training jobs, until some time after their end.
	#[pallet::storage]
	pub type Jobs<T: Config> = StorageMap<_, Twox64Concat, TrainingJobId, TrainingJobOf<T>>;

	/// The jobs of a creator, for lists.
	#[pallet::storage]
	pub type JobsOf<T: Config> = StorageDoubleMap<
		_,
		Blake2_128Concat,
		T::AccountId,
		Twox64Concat,
		TrainingJobId,
		(),
		OptionQuery,
	>;

	/// The jobs that a worker is to report on: stash → job.
	#[pallet::storage]
	pub type PendingFor<T: Config> = StorageDoubleMap<
		_,
		Blake2_128Concat,
		T::AccountId,
		Twox64Concat,
		TrainingJobId,
		(),
		OptionQuery,
	>;

	/// The deposit for the model that a job makes: held by the creator while the job is under way, and
	/// by the model's owner from then on. Under the job's number all the time, so that settling moves
	/// nothing.
	#[pallet::storage]
	pub type ModelDeposits<T: Config> =
		StorageMap<_, Twox64Concat, TrainingJobId, T::RecordDeposit>;

	/// What falls due when: each job once, at the deadline of its phase.
	#[pallet::storage]
	pub type Agenda<T: Config> = StorageDoubleMap<
		_,
		Twox64Concat,
		BlockNumberFor<T>,
		Twox64Concat,
		TrainingJobId,
		(),
		OptionQuery,
	>;

	/// The first block of the agenda that is not all served.
	#[pallet::storage]
	pub type AgendaCursor<T: Config> = StorageValue<_, BlockNumberFor<T>, ValueQuery>;

	/// The number of the next model.
	#[pallet::storage]
	pub type NextModelId<T: Config> = StorageValue<_, ModelId, ValueQuery>;

	/// The models.
	#[pallet::storage]
	pub type Models<T: Config> = StorageMap<_, Twox64Concat, ModelId, ModelOf<T>>;

	/// The models of an owner, for lists.
	#[pallet::storage]
	pub type ModelsOf<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Twox64Concat, ModelId, (), OptionQuery>;

	/// To whom a model is offered.
	#[pallet::storage]
	pub type ModelOffers<T: Config> = StorageMap<_, Twox64Concat, ModelId, T::AccountId>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A base model was registered.
		BaseModelRegistered {
			/// Its number.
			base: BaseModelId,
			/// Who holds the deposit.
			registrar: T::AccountId,
			/// Hash of its weights.
			weights_hash: H256,
		},
		/// A base model takes no new jobs.
		BaseModelRetired {
			/// Its number.
			base: BaseModelId,
		},
		/// A base model's record went and its deposit came back.
		BaseModelRemoved {
			/// Its number.
			base: BaseModelId,
		},
		/// A training job was ordered and its budget held.
		TrainingRequested {
			/// The job.
			job: TrainingJobId,
			/// Who pays.
			creator: T::AccountId,
			/// The base model.
			base: BaseModelId,
			/// What is held, in planks.
			budget: Balance,
		},
		/// A worker was chosen for a job.
		TrainingAssigned {
			/// The job.
			job: TrainingJobId,
			/// The worker's stash.
			worker: T::AccountId,
			/// The key that signs for it at this time.
			operator: T::AccountId,
			/// Which assignment of the job this is, from 1.
			attempt: u32,
			/// When the worker is late.
			start_by: BlockNumberFor<T>,
		},
		/// A worker said in time that it cannot do a job.
		TrainingDeclined {
			/// The job.
			job: TrainingJobId,
			/// The worker's stash.
			worker: T::AccountId,
			/// Why.
			reason: FailureReason,
		},
		/// A worker did not start in time.
		StartMissed {
			/// The job.
			job: TrainingJobId,
			/// The worker's stash.
			worker: T::AccountId,
		},
		/// A worker started.
		TrainingStarted {
			/// The job.
			job: TrainingJobId,
			/// The worker's stash.
			worker: T::AccountId,
			/// When the worker is late.
			deliver_by: BlockNumberFor<T>,
		},
		/// A worker delivered.
		TrainingDelivered {
			/// The job.
			job: TrainingJobId,
			/// The worker's stash.
			worker: T::AccountId,
			/// What it delivered.
			result: TrainingResult,
			/// When the result stands.
			settle_at: BlockNumberFor<T>,
		},
		/// The creator objects to a result.
		TrainingDisputed {
			/// The job.
			job: TrainingJobId,
			/// What is said to be wrong.
			reason: DisputeReason,
			/// Hash of the statement.
			evidence: H256,
			/// When the result stands for want of a decision.
			decide_by: BlockNumberFor<T>,
		},
		/// A dispute ended.
		DisputeEnded {
			/// The job.
			job: TrainingJobId,
			/// How.
			verdict: Verdict,
		},
		/// A job ended with a model, and its worker was paid.
		TrainingSettled {
			/// The job.
			job: TrainingJobId,
			/// The worker's stash.
			worker: T::AccountId,
			/// The model.
			model: ModelId,
			/// What was paid, in planks.
			paid: Balance,
		},
		/// A job ended because its result was judged false; the budget went back.
		TrainingRefuted {
			/// The job.
			job: TrainingJobId,
			/// The worker's stash.
			worker: T::AccountId,
		},
		/// A job ended because of a deadline; the budget went back.
		TrainingTimedOut {
			/// The job.
			job: TrainingJobId,
			/// Which deadline.
			cause: TimeoutCause<T::AccountId>,
		},
		/// A job was withdrawn; the budget went back.
		TrainingCancelled {
			/// The job.
			job: TrainingJobId,
		},
		/// The record of a finished job went.
		TrainingForgotten {
			/// The job.
			job: TrainingJobId,
		},
		/// A job fell due and could not be moved on. It is tried again later; somebody should look.
		TrainingPostponed {
			/// The job.
			job: TrainingJobId,
			/// When it is tried again.
			until: BlockNumberFor<T>,
			/// Why it could not be.
			error: DispatchError,
		},
		/// A model was registered.
		ModelCreated {
			/// The model.
			model: ModelId,
			/// Its owner.
			owner: T::AccountId,
			/// The job that made it.
			job: TrainingJobId,
		},
		/// A model answers from now on.
		ModelPublished {
			/// The model.
			model: ModelId,
			/// What it costs.
			prices: Prices,
		},
		/// A model costs something else from now on.
		PricesChanged {
			/// The model.
			model: ModelId,
			/// What it costs.
			prices: Prices,
		},
		/// A model does not answer for now.
		ModelPaused {
			/// The model.
			model: ModelId,
		},
		/// A model answers again.
		ModelResumed {
			/// The model.
			model: ModelId,
		},
		/// A model never answers again.
		ModelRetired {
			/// The model.
			model: ModelId,
		},
		/// A model was offered to somebody.
		ModelOffered {
			/// The model.
			model: ModelId,
			/// Who may accept it.
			to: T::AccountId,
		},
		/// An offer was taken back.
		ModelOfferWithdrawn {
			/// The model.
			model: ModelId,
		},
		/// A model has a new owner.
		ModelTransferred {
			/// The model.
			model: ModelId,
			/// Who owned it.
			from: T::AccountId,
			/// Who owns it.
			to: T::AccountId,
		},
		/// A job ended because its worker could not finish it; the budget went back.
		TrainingFailed {
			/// The job.
			job: TrainingJobId,
			/// The worker's stash.
			worker: T::AccountId,
			/// Why.
			reason: FailureReason,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// There is no such base model.
		UnknownBaseModel,
		/// A base model with these weights is registered.
		BaseModelAlreadyExists,
		/// The base model is retired.
		BaseModelRetired,
		/// Only a retired base model can be removed.
		BaseModelNotRetired,
		/// Jobs or models refer to the base model.
		BaseModelInUse,
		/// The caller did not register the base model.
		NotRegistrar,
		/// A name is empty.
		EmptyName,
		/// The licence terms are not possible terms.
		InvalidLicence,
		/// No source is named.
		NoSources,
		/// The sources are not in ascending order with each datanet once.
		SourcesNotSorted,
		/// There is no such published version of the datanet.
		SourceNotPublished,
		/// Licence terms have ended.
		LicenceExpired,
		/// A licence does not allow training and serving.
		PurposeNotAllowed,
		/// A licence forbids earning money.
		CommercialUseForbidden,
		/// A licence forbids making something new.
		DerivativesForbidden,
		/// The result's terms are less open than a share-alike licence asks.
		ShareAlikeNotKept,
		/// A licence ends before the result's terms do.
		LicenceEndsBeforeResult,
		/// The licences together ask for more than the whole revenue.
		RevenueSharesExceedWhole,
		/// The budget is below `MinTrainingBudget`.
		BudgetTooSmall,
		/// The time for training is not within `MinTrainingPeriod` and `MaxTrainingPeriod`.
		TrainingPeriodOutOfRange,
		/// There is no such job, or its record is gone.
		UnknownJob,
		/// This cannot be done in the job's phase.
		WrongPhase,
		/// The caller did not order the job.
		NotCreator,
		/// The caller does not sign for the job's worker.
		NotOperator,
		/// The deadline has come.
		TooLate,
		/// The deadline has not come.
		TooEarly,
		/// The result names no adapter.
		EmptyResult,
		/// There is no such model.
		UnknownModel,
		/// The caller does not own the model.
		NotOwner,
		/// This cannot be done in the model's status.
		WrongStatus,
		/// The model was made for non-commercial use and cannot have a price.
		ModelNotCommercial,
		/// Fees at this price cannot be computed.
		PriceTooHigh,
		/// The model is offered to its owner.
		AlreadyOwner,
		/// The model is not offered, or not to the caller.
		NotOffered,
		/// All numbers of this kind are used.
		IdsUsedUp,
		/// The job is in another attempt.
		WrongAttempt,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn on_idle(now: BlockNumberFor<T>, remaining_weight: Weight) -> Weight {
			Self::serve_agenda(now, remaining_weight)
		}

		fn offchain_worker(_: BlockNumberFor<T>) {
			openledger_pallet_support::offchain::run::<Self>()
		}

		fn integrity_test() {
			use frame_support::traits::fungible::Inspect;
			use sp_runtime::traits::Zero;

			let existential_deposit = T::Currency::minimum_balance();
			assert!(
				T::MinTrainingBudget::get() >= existential_deposit,
				"a budget must always be payable to the worker"
			);
			assert!(
				T::DisputeBond::get() >= existential_deposit,
				"a bond must always be payable to the worker"
			);
			for (name, period) in [
				("OpenPeriod", T::OpenPeriod::get()),
				("StartPeriod", T::StartPeriod::get()),
				("MinTrainingPeriod", T::MinTrainingPeriod::get()),
				("ChallengePeriod", T::ChallengePeriod::get()),
				("DecisionPeriod", T::DecisionPeriod::get()),
				("RetentionPeriod", T::RetentionPeriod::get()),
			] {
				assert!(
					!period.is_zero(),
					"{name} must not be zero: the agenda only looks forward"
				);
			}
			assert!(
				T::MinTrainingPeriod::get() <= T::MaxTrainingPeriod::get(),
				"some training period must be allowed"
			);
			assert!(T::MaxAssignments::get() > 0, "a job needs at least one assignment");
			assert!(T::BlockMillis::get() > 0, "every order would be expired");
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// A base model.
		pub fn base_model(base: BaseModelId) -> Option<BaseModel<T::AccountId>> {
			BaseModels::<T>::get(base)
		}

		/// The base model with these weights.
		pub fn base_model_by_weights(weights_hash: H256) -> Option<BaseModelId> {
			BaseModelByWeights::<T>::get(weights_hash)
		}

		/// A training job.
		pub fn job(job: TrainingJobId) -> Option<TrainingJobOf<T>> {
			Jobs::<T>::get(job)
		}

		/// A page of a creator's jobs, in no particular order: at most `limit` and at most 128, those
		/// that follow `after`, from the start without it.
		pub fn jobs_of(
			creator: T::AccountId,
			after: Option<TrainingJobId>,
			limit: u32,
		) -> Vec<TrainingJobId> {
			let keys = match after {
				None => JobsOf::<T>::iter_key_prefix(&creator),
				Some(last) => JobsOf::<T>::iter_key_prefix_from(
					&creator,
					JobsOf::<T>::hashed_key_for(&creator, last),
				),
			};
			keys.take(limit.min(MAX_PAGE) as usize).collect()
		}

		/// The jobs that a worker is to report on, by its stash, in ascending order; at most 128.
		pub fn pending_for(worker: T::AccountId) -> Vec<TrainingJobId> {
			let mut pending: Vec<_> =
				PendingFor::<T>::iter_key_prefix(worker).take(MAX_PAGE as usize).collect();
			pending.sort_unstable();
			pending
		}

		/// A model.
		pub fn model(model: ModelId) -> Option<ModelOf<T>> {
			Models::<T>::get(model)
		}

		/// A page of an owner's models, in no particular order: at most `limit` and at most 128, those
		/// that follow `after`, from the start without it.
		pub fn models_of(owner: T::AccountId, after: Option<ModelId>, limit: u32) -> Vec<ModelId> {
			let keys = match after {
				None => ModelsOf::<T>::iter_key_prefix(&owner),
				Some(last) => ModelsOf::<T>::iter_key_prefix_from(
					&owner,
					ModelsOf::<T>::hashed_key_for(&owner, last),
				),
			};
			keys.take(limit.min(MAX_PAGE) as usize).collect()
		}

		/// What an answer would cost, in planks; `None` when the model does not answer.
		pub fn quote(model: ModelId, input_tokens: u32, output_tokens: u32) -> Option<Balance> {
			<Self as ModelRegistry<T::AccountId>>::served(model)?
				.prices
				.fee(input_tokens, output_tokens)
		}

		/// What a model was made from.
		pub fn lineage(model: ModelId) -> Option<Lineage> {
			Self::lineage_of(model)
		}

		/// Why a training request would be refused; `None` when it would not, as long as the budget,
		/// the time for training and the account's funds are right.
		pub fn why_not(
			who: T::AccountId,
			base: BaseModelId,
			sources: TrainingSources,
			commercial: bool,
			licence: LicenceTerms,
		) -> Option<Refusal> {
			Self::check_eligibility(&who, base, &sources, commercial, &licence).err()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Registers a base model.
		///
		/// ## Dispatch Origin
		/// Signed. The caller becomes the registrar and holds the deposit.
		///
		/// ## Details
		/// `weights_hash` and `tokenizer_hash` are of the canonical bytes that workers fetch. The name
		/// and the architecture are not empty. The licence binds everything made on the model.
		///
		/// ## Errors
		/// `EmptyName`, `InvalidLicence`, `LicenceExpired`, `BaseModelAlreadyExists`, `IdsUsedUp`, and
		/// what holding the deposit says.
		///
		/// ## Events
		/// `BaseModelRegistered`
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::register_base_model())]
		pub fn register_base_model(
			origin: OriginFor<T>,
			weights_hash: H256,
			tokenizer_hash: H256,
			architecture: Architecture,
			licence: LicenceTerms,
			name: Name,
			parameters: u64,
		) -> DispatchResult {
			let registrar = ensure_signed(origin)?;
			Self::do_register_base_model(
				registrar,
				BaseModelDescription {
					weights_hash,
					tokenizer_hash,
					architecture,
					licence,
					name,
					parameters,
				},
			)?;
			Ok(())
		}

		/// Retires a base model: no new jobs on it.
		///
		/// ## Dispatch Origin
		/// Signed by the registrar, or `AdminOrigin`.
		///
		/// ## Details
		/// Jobs and models that exist go on.
		///
		/// ## Errors
		/// `UnknownBaseModel`, `NotRegistrar`, `BaseModelRetired`
		///
		/// ## Events
		/// `BaseModelRetired`
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::retire_base_model())]
		pub fn retire_base_model(origin: OriginFor<T>, base: BaseModelId) -> DispatchResult {
			Self::do_retire_base_model(origin, base)
		}

		/// Removes a retired base model that nothing refers to, and returns its deposit.
		///
		/// ## Dispatch Origin
		/// Signed by the registrar, or `AdminOrigin`.
		///
		/// ## Errors
		/// `UnknownBaseModel`, `NotRegistrar`, `BaseModelNotRetired`, `BaseModelInUse`
		///
		/// ## Events
		/// `BaseModelRemoved`
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::remove_base_model())]
		pub fn remove_base_model(origin: OriginFor<T>, base: BaseModelId) -> DispatchResult {
			Self::do_remove_base_model(origin, base)
		}

		/// Orders a training job.
		///
		/// ## Dispatch Origin
		/// Signed. The caller becomes the creator: it holds budget and deposit, and owns the model.
		///
		/// ## Details
		/// Checks base, sources, access and licences; holds the budget and the deposit for the model;
		/// assigns a worker at once if one is free, and otherwise leaves the job open for
		/// `assign_training`. `training_blocks` is the time from start to delivery. `why_not` tells
		/// beforehand whether base, sources and licences are in order.
		///
		/// ## Errors
		/// `BudgetTooSmall`, `TrainingPeriodOutOfRange`, `UnknownBaseModel`, `BaseModelRetired`,
		/// `InvalidLicence`, `LicenceExpired`, `NoSources`, `SourcesNotSorted`, `SourceNotPublished`,
		/// what the datanet says about access, `PurposeNotAllowed`, `CommercialUseForbidden`,
		/// `DerivativesForbidden`, `ShareAlikeNotKept`, `LicenceEndsBeforeResult`,
		/// `RevenueSharesExceedWhole`, `IdsUsedUp`, and what holding says.
		///
		/// ## Events
		/// `TrainingRequested`, and `TrainingAssigned` if a worker was free.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::request_training(sources.len() as u32))]
		#[allow(clippy::too_many_arguments, reason = "an order has as many terms")]
		pub fn request_training(
			origin: OriginFor<T>,
			base: BaseModelId,
			sources: TrainingSources,
			spec_hash: H256,
			licence: LicenceTerms,
			commercial: bool,
			#[pallet::compact] budget: Balance,
			training_blocks: BlockNumberFor<T>,
		) -> DispatchResult {
			let creator = ensure_signed(origin)?;
			Self::do_request_training(
				creator,
				TrainingOrder {
					base,
					sources,
					spec_hash,
					licence,
					commercial,
					budget,
					training_blocks,
				},
			)?;
			Ok(())
		}

		/// Assigns a worker to an open job.
		///
		/// ## Dispatch Origin
		/// Signed by anybody.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase`, `TooLate`, and what the worker pool says when nobody is free.
		///
		/// ## Events
		/// `TrainingAssigned`
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::assign_training())]
		pub fn assign_training(origin: OriginFor<T>, job: TrainingJobId) -> DispatchResult {
			ensure_signed(origin)?;
			Self::do_assign_training(job)
		}

		/// Says that training has started.
		///
		/// ## Dispatch Origin
		/// Authorised: `operator` signs for the assigned worker, and `signature` is its signature under
		/// the message for `models.start_training` and the arguments before it.
		///
		/// ## Details
		/// From now on the worker has the order's `training_blocks` to deliver, and the creator cannot
		/// cancel. Costs nothing.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase`, `WrongAttempt`, `NotOperator`, `TooLate`: all of them are found
		/// before the transaction gets into a pool or a block
		/// ([`refusal`](openledger_pallet_support::operator::refusal)).
		///
		/// ## Events
		/// `TrainingStarted`
		#[pallet::call_index(5)]
		#[pallet::weight((T::WeightInfo::start_training(), Pays::No))]
		#[pallet::authorize(Self::authorise_start)]
		#[pallet::weight_of_authorize(T::WeightInfo::authorise_start())]
		pub fn start_training(
			origin: OriginFor<T>,
			job: TrainingJobId,
			attempt: u32,
			operator: T::AccountId,
			signature: T::OperatorSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			// Whoever authorised the call has verified it.
			let _ = signature;
			Self::do_start_training(&operator, job, attempt)
		}

		/// Says that the assigned worker cannot do the job.
		///
		/// ## Dispatch Origin
		/// Authorised: `operator` signs for the assigned worker, and `signature` is its signature under
		/// the message for `models.decline_training` and the arguments before it.
		///
		/// ## Details
		/// Costs the worker nothing. The job is open again, or given up when it has had
		/// `MaxAssignments` workers.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase`, `WrongAttempt`, `NotOperator`, `TooLate`: all of them are found
		/// before the transaction gets into a pool or a block
		/// ([`refusal`](openledger_pallet_support::operator::refusal)).
		///
		/// ## Events
		/// `TrainingDeclined`, and `TrainingTimedOut` if the job is given up.
		#[pallet::call_index(6)]
		#[pallet::weight((T::WeightInfo::decline_training(), Pays::No))]
		#[pallet::authorize(Self::authorise_decline)]
		#[pallet::weight_of_authorize(T::WeightInfo::authorise_decline())]
		pub fn decline_training(
			origin: OriginFor<T>,
			job: TrainingJobId,
			attempt: u32,
			reason: FailureReason,
			operator: T::AccountId,
			signature: T::OperatorSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			// Whoever authorised the call has verified it.
			let _ = signature;
			Self::do_decline_training(&operator, job, attempt, reason)
		}

		/// Delivers the result of a training job.
		///
		/// ## Dispatch Origin
		/// Authorised: `operator` signs for the job's worker, and `signature` is its signature under the
		/// message for `models.deliver_training` and the arguments before it.
		///
		/// ## Details
		/// Opens the challenge window. The worker is paid when it closes. Costs nothing.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase`, `WrongAttempt`, `NotOperator`, `TooLate`, `EmptyResult`: all of
		/// them are found before the transaction gets into a pool or a block
		/// ([`refusal`](openledger_pallet_support::operator::refusal)).
		///
		/// ## Events
		/// `TrainingDelivered`
		#[pallet::call_index(7)]
		#[pallet::weight((T::WeightInfo::deliver_training(), Pays::No))]
		#[pallet::authorize(Self::authorise_delivery)]
		#[pallet::weight_of_authorize(T::WeightInfo::authorise_delivery())]
		pub fn deliver_training(
			origin: OriginFor<T>,
			job: TrainingJobId,
			attempt: u32,
			result: TrainingResult,
			operator: T::AccountId,
			signature: T::OperatorSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			// Whoever authorised the call has verified it.
			let _ = signature;
			Self::do_deliver_training(&operator, job, attempt, result)
		}

		/// Withdraws a job that has not started, for a full refund.
		///
		/// ## Dispatch Origin
		/// Signed by the creator.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase` (also for a job that runs), `NotCreator`, `TooLate`
		///
		/// ## Events
		/// `TrainingCancelled`
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::cancel_training())]
		pub fn cancel_training(origin: OriginFor<T>, job: TrainingJobId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_cancel_training(who, job)
		}

		/// Objects to a delivered result.
		///
		/// ## Dispatch Origin
		/// Signed by the creator.
		///
		/// ## Details
		/// Holds `DisputeBond`. `evidence` is the hash of the statement that `DisputeOrigin` shall
		/// read.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase`, `NotCreator`, `TooLate`, and what holding the bond says.
		///
		/// ## Events
		/// `TrainingDisputed`
		#[pallet::call_index(9)]
		#[pallet::weight(T::WeightInfo::dispute_training())]
		pub fn dispute_training(
			origin: OriginFor<T>,
			job: TrainingJobId,
			reason: DisputeReason,
			evidence: H256,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_dispute_training(who, job, reason, evidence)
		}

		/// Decides a dispute.
		///
		/// ## Dispatch Origin
		/// `DisputeOrigin`
		///
		/// ## Details
		/// Upheld: budget and bond go back to the creator and the worker is at fault. Rejected: the job
		/// is settled as delivered and the bond goes to the worker.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase`, `TooLate`
		///
		/// ## Events
		/// `DisputeEnded`, and `TrainingRefuted` or `ModelCreated` with `TrainingSettled`.
		#[pallet::call_index(10)]
		#[pallet::weight(T::WeightInfo::resolve_dispute())]
		pub fn resolve_dispute(
			origin: OriginFor<T>,
			job: TrainingJobId,
			upheld: bool,
		) -> DispatchResult {
			T::DisputeOrigin::ensure_origin(origin)?;
			Self::do_resolve_dispute(job, upheld)
		}

		/// Pays the worker of a delivered job whose challenge window has closed, and registers the
		/// model.
		///
		/// ## Dispatch Origin
		/// Signed by anybody.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase`, `TooEarly`, `IdsUsedUp`
		///
		/// ## Events
		/// `ModelCreated`, `TrainingSettled`
		#[pallet::call_index(11)]
		#[pallet::weight(T::WeightInfo::settle_training())]
		pub fn settle_training(origin: OriginFor<T>, job: TrainingJobId) -> DispatchResult {
			ensure_signed(origin)?;
			Self::do_settle_training(job)
		}

		/// Moves a job on whose deadline has come, in any phase but `Delivered`.
		///
		/// ## Dispatch Origin
		/// Signed by anybody.
		///
		/// ## Details
		/// What happens is in the table of the pallet's page. Blocks with weight to spare do the same
		/// unasked.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase`, `TooEarly`, `IdsUsedUp`
		///
		/// ## Events
		/// `TrainingTimedOut`, `StartMissed`, `TrainingAssigned`, `DisputeEnded`, `ModelCreated`,
		/// `TrainingSettled`, `TrainingForgotten`, as the phase has it.
		#[pallet::call_index(12)]
		#[pallet::weight(T::WeightInfo::expire_training())]
		pub fn expire_training(origin: OriginFor<T>, job: TrainingJobId) -> DispatchResult {
			ensure_signed(origin)?;
			Self::do_expire_training(job)
		}

		/// Publishes a model at a price.
		///
		/// ## Dispatch Origin
		/// Signed by the owner.
		///
		/// ## Errors
		/// `UnknownModel`, `NotOwner`, `WrongStatus`, `LicenceExpired`, `ModelNotCommercial`,
		/// `PriceTooHigh`
		///
		/// ## Events
		/// `ModelPublished`
		#[pallet::call_index(13)]
		#[pallet::weight(T::WeightInfo::publish_model())]
		pub fn publish_model(
			origin: OriginFor<T>,
			model: ModelId,
			prices: Prices,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_publish_model(&who, model, prices)
		}

		/// Changes the prices of a published or paused model.
		///
		/// ## Dispatch Origin
		/// Signed by the owner.
		///
		/// ## Details
		/// Requests that were made before are paid at the price they were made at.
		///
		/// ## Errors
		/// `UnknownModel`, `NotOwner`, `WrongStatus`, `ModelNotCommercial`, `PriceTooHigh`
		///
		/// ## Events
		/// `PricesChanged`
		#[pallet::call_index(14)]
		#[pallet::weight(T::WeightInfo::set_prices())]
		pub fn set_prices(origin: OriginFor<T>, model: ModelId, prices: Prices) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_set_prices(&who, model, prices)
		}

		/// Stops a published model from answering for a time.
		///
		/// ## Dispatch Origin
		/// Signed by the owner.
		///
		/// ## Errors
		/// `UnknownModel`, `NotOwner`, `WrongStatus`
		///
		/// ## Events
		/// `ModelPaused`
		#[pallet::call_index(15)]
		#[pallet::weight(T::WeightInfo::pause_model())]
		pub fn pause_model(origin: OriginFor<T>, model: ModelId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_pause_model(&who, model)
		}

		/// Lets a paused model answer again.
		///
		/// ## Dispatch Origin
		/// Signed by the owner.
		///
		/// ## Errors
		/// `UnknownModel`, `NotOwner`, `WrongStatus`, `LicenceExpired`
		///
		/// ## Events
		/// `ModelResumed`
		#[pallet::call_index(16)]
		#[pallet::weight(T::WeightInfo::resume_model())]
		pub fn resume_model(origin: OriginFor<T>, model: ModelId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_resume_model(&who, model)
		}

		/// Retires a model for good.
		///
		/// ## Dispatch Origin
		/// Signed by the owner.
		///
		/// ## Details
		/// The record and its deposit stay: payments and proofs refer to the lineage. An offer of the
		/// model ends.
		///
		/// ## Errors
		/// `UnknownModel`, `NotOwner`, `WrongStatus`
		///
		/// ## Events
		/// `ModelRetired`
		#[pallet::call_index(17)]
		#[pallet::weight(T::WeightInfo::retire_model())]
		pub fn retire_model(origin: OriginFor<T>, model: ModelId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_retire_model(&who, model)
		}

		/// Offers a model to somebody; an earlier offer ends.
		///
		/// ## Dispatch Origin
		/// Signed by the owner.
		///
		/// ## Errors
		/// `UnknownModel`, `NotOwner`, `WrongStatus` (retired), `AlreadyOwner`
		///
		/// ## Events
		/// `ModelOffered`
		#[pallet::call_index(18)]
		#[pallet::weight(T::WeightInfo::offer_model())]
		pub fn offer_model(
			origin: OriginFor<T>,
			model: ModelId,
			to: T::AccountId,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_offer_model(&who, model, to)
		}

		/// Takes the offer of a model back.
		///
		/// ## Dispatch Origin
		/// Signed by the owner.
		///
		/// ## Errors
		/// `UnknownModel`, `NotOwner`, `NotOffered`
		///
		/// ## Events
		/// `ModelOfferWithdrawn`
		#[pallet::call_index(19)]
		#[pallet::weight(T::WeightInfo::withdraw_offer())]
		pub fn withdraw_offer(origin: OriginFor<T>, model: ModelId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_withdraw_offer(&who, model)
		}

		/// Accepts a model that was offered to the caller.
		///
		/// ## Dispatch Origin
		/// Signed by the account that it is offered to.
		///
		/// ## Details
		/// The caller holds the deposit from now on; the former owner's comes back.
		///
		/// ## Errors
		/// `UnknownModel`, `NotOffered`, and what holding the deposit says.
		///
		/// ## Events
		/// `ModelTransferred`
		#[pallet::call_index(20)]
		#[pallet::weight(T::WeightInfo::accept_model())]
		pub fn accept_model(origin: OriginFor<T>, model: ModelId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_accept_model(who, model)
		}

		/// Gives up a training job that was started.
		///
		/// ## Dispatch Origin
		/// Authorised: `operator` signs for the job's worker, and `signature` is its signature under the
		/// message for `models.report_failure` and the arguments before it.
		///
		/// ## Details
		/// Ends the job and gives the budget back. A strike against the worker, unless the reason is
		/// `SpecificationUnusable`. Costs nothing else.
		///
		/// ## Errors
		/// `UnknownJob`, `WrongPhase`, `WrongAttempt`, `NotOperator`, `TooLate`: all of them are found
		/// before the transaction gets into a pool or a block
		/// ([`refusal`](openledger_pallet_support::operator::refusal)).
		///
		/// ## Events
		/// `TrainingFailed`
		#[pallet::call_index(21)]
		#[pallet::weight((T::WeightInfo::report_failure(), Pays::No))]
		#[pallet::authorize(Self::authorise_failure)]
		#[pallet::weight_of_authorize(T::WeightInfo::authorise_failure())]
		pub fn report_failure(
			origin: OriginFor<T>,
			job: TrainingJobId,
			attempt: u32,
			reason: FailureReason,
			operator: T::AccountId,
			signature: T::OperatorSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			// Whoever authorised the call has verified it.
			let _ = signature;
			Self::do_report_failure(&operator, job, attempt, reason)
		}
	}
}
