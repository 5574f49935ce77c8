//! # Inference: money in
//!
//! Somebody asks a model, a worker is assigned in the same call, and the worker's operator delivers
//! the answer with a receipt and an attribution claim. The answer is paid in the block in which it
//! is delivered.
//!
//! ## How answers arrive
//!
//! In every block, the offchain worker of a node that holds operator keys gives open requests to the
//! worker beside the node and asks how far they are (`docs/spec/worker-api.md`). What the worker
//! reports is checked, signed with the operator key, and submitted as a transaction that authorises
//! itself ([`openledger_pallet_support::operator`]): `submit_result` and `report_failure` need no
//! OPEN and no account, only the signature of the operator whose job it is. Nothing in it is taken on
//! trust: before it gets into a pool or a block, the whole call is tried out.
//!
//! A client that is not a node can do the same: sign
//! [`operator_message`](openledger_primitives::jobs::operator_message) of the genesis hash,
//! `"inference.submit_result"` and the call's first four arguments (`"inference.report_failure"` and
//! its first two) and send a general transaction.
//!
//! ## Terms
//!
//! - *Request*: a prompt for a model, with the most tokens and the highest fee the requester agrees
//!   to.
//! - *Content*: a prompt or an answer, either its bytes or, when it travels outside the chain, its
//!   hash ([`Content`](openledger_primitives::content::Content)).
//! - *Receipt*: what the worker states about one answer: hashes and token counts
//!   ([`InferenceReceipt`]).
//! - *Job*: a request in the hands of a worker ([`Job`]).
//!
//! ## Economics
//!
//! The fee for the most tokens, at the prices of the moment, is put on hold on the requester's
//! account ([`HoldReason::InferenceFee`]). The answer costs what its tokens cost at those prices,
//! which is never more; the rest is released. What was asked for and not delivered costs nothing. A
//! model may be free: then nothing is held, and delivery is recorded all the same.
//!
//! Only money that could be spent at once can be committed: the existential deposit stays, and a
//! balance that is frozen (vesting, votes) cannot pay, not even behind the holds of other requests.
//! Whoever settles the fee may therefore ignore freezes that come later.
//!
//! Reporting costs the operator nothing. It cannot be used to fill blocks, because only one report
//! can be valid for each open request, and requests are paid for.
//!
//! ## How things end
//!
//! Every request ends in exactly one of three ways, each of which gives the worker's slot back
//! exactly once: answered (`submit_result`), failed (`report_failure`, in time, without blame), or
//! timed out (`expire_request` by anyone once the last block for the answer has passed, or the
//! agenda in `on_idle`; a strike against the worker). If no worker is free the call to ask fails
//! and nothing has happened, so no request ever waits for a worker.
//!
//! The bytes of a prompt are removed when its request ends. The request and the bytes of its answer
//! are removed a `RetentionPeriod` later. Numbers of requests are never used again.
//!
//! ## What it must not know
//!
//! How shares are computed and how a fee is divided. Where a fee goes is the business of
//! [`Settlement`].
//!
//! [`InferenceReceipt`]: openledger_primitives::receipt::InferenceReceipt
//! [`Settlement`]: openledger_primitives::traits::Settlement

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
pub use types::*;

mod authorisation;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod deadlines;
#[cfg(test)]
mod mock;
mod money;
mod offchain;
mod requests;
mod results;
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
	use alloc::vec::Vec;
	use frame_support::{pallet_prelude::*, traits::fungible};
	use frame_system::{offchain::CreateAuthorizedTransaction, pallet_prelude::*};
	use openledger_pallet_support::operator::OperatorSignature;
	use openledger_primitives::{
		claim::AttributionClaim,
		content::{Content, ContentBytes},
		jobs::FailureReason,
		receipt::InferenceReceipt,
		traits::{ModelRegistry, Settlement, WorkerPool},
		ModelId, RequestId, H256,
	};
	use sp_runtime::traits::{Convert, Zero};

	const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	/// The most requests that `pending_for` lists, so that its answer is bounded whatever number of
	/// slots the worker pool allows.
	pub const MAX_PENDING_LISTED: usize = 256;

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config:
		frame_system::Config<RuntimeEvent: From<Event<Self>>, Hash = H256>
		+ CreateAuthorizedTransaction<Call<Self>>
	{
		/// The runtime's reasons to hold a balance.
		type RuntimeHoldReason: From<HoldReason>;

		/// OPEN.
		type Currency: fungible::Mutate<Self::AccountId>
			+ fungible::MutateHold<
				Self::AccountId,
				Reason = Self::RuntimeHoldReason,
				Balance = Balance,
			>;

		/// The models that can be asked.
		type Models: ModelRegistry<Self::AccountId>;

		/// The workers that answer.
		type Workers: WorkerPool<Self::AccountId, Error: Into<DispatchError>>;

		/// Where fees go.
		type Settlement: Settlement<Self::AccountId, Error: Into<DispatchError>>;

		/// The weight of a settlement by its claim.
		type SettlementWeight: for<'a> Convert<&'a AttributionClaim, Weight>;

		/// What operators sign their reports with.
		type OperatorSignature: OperatorSignature<Self::AccountId>;

		/// Milliseconds between two blocks, to tell workers when a request ends.
		#[pallet::constant]
		type BlockMillis: Get<u64>;

		/// How many blocks after the request's the answer is taken.
		#[pallet::constant]
		type AnswerTimeout: Get<BlockNumberFor<Self>>;

		/// How many blocks a request is kept after it ended.
		#[pallet::constant]
		type RetentionPeriod: Get<BlockNumberFor<Self>>;

		/// The most requests an account can have open.
		#[pallet::constant]
		type MaxOpenRequests: Get<u32>;

		/// Weights of the calls.
		type WeightInfo: WeightInfo;
	}

	/// Why this pallet holds a balance.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// The highest fees of the requests that an account has open.
		#[codec(index = 0)]
		InferenceFee,
	}

	/// The number of the next request.
	#[pallet::storage]
	pub type NextRequestId<T: Config> = StorageValue<_, RequestId, ValueQuery>;

	/// Requests, from being asked until a `RetentionPeriod` after they ended.
	#[pallet::storage]
	pub type Requests<T: Config> =
		StorageMap<_, Twox64Concat, RequestId, Request<T::AccountId, BlockNumberFor<T>>>;

	/// Prompts of assigned requests that travel through the chain. Kept apart, so that settling a
	/// request does not read its prompt, and removed when the request ends.
	#[pallet::storage]
	pub type Prompts<T: Config> = StorageMap<_, Twox64Concat, RequestId, ContentBytes>;

	/// Answers that travel through the chain, for as long as their requests are kept.
	#[pallet::storage]
	pub type Answers<T: Config> = StorageMap<_, Twox64Concat, RequestId, ContentBytes>;

	/// The requests that an account has open, oldest first. Never empty.
	#[pallet::storage]
	pub type OpenRequests<T: Config> = StorageMap<
		_,
		Blake2_128Concat,
		T::AccountId,
		BoundedVec<RequestId, T::MaxOpenRequests>,
		ValueQuery,
	>;

	/// The requests that a worker is to answer: stash → request.
	#[pallet::storage]
	pub type PendingFor<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Twox64Concat, RequestId, ()>;

	/// When requests are given up or forgotten. Every request has one entry, under its `due`.
	#[pallet::storage]
	pub type Agenda<T: Config> =
		StorageDoubleMap<_, Twox64Concat, BlockNumberFor<T>, Twox64Concat, RequestId, ()>;

	/// The first block of the agenda that may not be served yet.
	#[pallet::storage]
	pub type AgendaCursor<T: Config> = StorageValue<_, BlockNumberFor<T>, ValueQuery>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A model was asked and a worker is to answer.
		InferenceRequested {
			/// The request.
			request: RequestId,
			/// Who asks.
			requester: T::AccountId,
			/// The model.
			model: ModelId,
			/// The stash whose operator is to answer.
			worker: T::AccountId,
			/// What was put on hold, in planks.
			held: Balance,
			/// The last block in which the answer is taken.
			answer_by: BlockNumberFor<T>,
		},
		/// An answer was delivered and paid.
		RequestAnswered {
			/// The request.
			request: RequestId,
			/// The stash whose operator answered.
			worker: T::AccountId,
			/// The hash of the answer.
			answer_hash: H256,
			/// What was paid, in planks.
			fee: Balance,
			/// What was released to the requester, in planks.
			refunded: Balance,
		},
		/// A worker said that it cannot answer.
		RequestFailed {
			/// The request.
			request: RequestId,
			/// The stash that said so.
			worker: T::AccountId,
			/// Why.
			reason: FailureReason,
			/// What was released to the requester, in planks.
			refunded: Balance,
		},
		/// A worker did not answer in time.
		RequestTimedOut {
			/// The request.
			request: RequestId,
			/// The stash that did not answer.
			worker: T::AccountId,
			/// What was released to the requester, in planks.
			refunded: Balance,
		},
		/// A request could not be given up, because its requester's account cannot take the refund
		/// now. It is tried again later.
		ExpiryPostponed {
			/// The request.
			request: RequestId,
			/// The block of the next attempt.
			until: BlockNumberFor<T>,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The model does not exist or is not published for requests.
		ModelNotServed,
		/// The request allows no tokens of answer.
		NoAnswerAllowed,
		/// The fee is more than an amount can be.
		FeeOverflow,
		/// The fee for the most tokens is more than the requester agrees to.
		FeeExceedsMaximum,
		/// The requester's free and unfrozen balance does not cover the fees of all open requests with
		/// this one.
		FeeNotSpendable,
		/// The requester has as many open requests as an account can have.
		TooManyOpenRequests,
		/// All numbers for requests are used up.
		RequestIdsExhausted,
		/// There is no such request.
		UnknownRequest,
		/// The request has ended.
		RequestEnded,
		/// The caller does not sign for the worker that is to answer.
		NotOperator,
		/// The last block for the answer has passed.
		TooLate,
		/// The last block for the answer has not passed.
		NotOverdue,
		/// The receipt is about another request.
		ReceiptForOtherRequest,
		/// The receipt is about another model.
		ReceiptForOtherModel,
		/// The receipt is about another prompt.
		ReceiptForOtherPrompt,
		/// The receipt is about another answer.
		ReceiptForOtherAnswer,
		/// The claim is about another answer.
		ClaimForOtherAnswer,
		/// More tokens of prompt than the request allows.
		TooManyInputTokens,
		/// More tokens of answer than the request allows.
		TooManyOutputTokens,
		/// An empty answer with tokens, or an answer without.
		TokensContradictAnswer,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn on_idle(now: BlockNumberFor<T>, remaining: Weight) -> Weight {
			Self::serve_agenda(now, remaining)
		}

		fn offchain_worker(_: BlockNumberFor<T>) {
			openledger_pallet_support::offchain::run::<Self>()
		}

		fn integrity_test() {
			assert!(T::AnswerTimeout::get() > Zero::zero(), "a worker needs a block to answer");
			assert!(
				T::RetentionPeriod::get() > Zero::zero(),
				"a request that is forgotten in its own block would never be served by the agenda"
			);
			assert!(T::MaxOpenRequests::get() > 0, "nobody could ask");
			assert!(T::BlockMillis::get() > 0, "every order would be expired");
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Asks a model.
		///
		/// ## Dispatch Origin
		/// Signed by the requester, who pays.
		///
		/// ## Details
		/// Holds the fee for `max_input_tokens` and `max_output_tokens` at the model's prices of this
		/// block, and assigns a worker. `max_fee` guards against prices that changed since the quote.
		/// A prompt given as bytes is public for ever; one given as a hash must reach the worker
		/// outside the chain.
		///
		/// ## Errors
		/// - [`Error::NoAnswerAllowed`]: `max_output_tokens` is 0.
		/// - [`Error::ModelNotServed`]: there is no such model for requests.
		/// - [`Error::FeeOverflow`]: the fee is more than an amount can be.
		/// - [`Error::FeeExceedsMaximum`]: the fee is more than `max_fee`.
		/// - [`Error::FeeNotSpendable`]: the requester cannot spend the fee.
		/// - [`Error::TooManyOpenRequests`]: the requester has too many open requests.
		/// - [`Error::RequestIdsExhausted`]: all numbers are used up.
		/// - the worker pool's own error when nobody can be assigned.
		///
		/// ## Events
		/// [`Event::InferenceRequested`].
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::request_inference(prompt.bytes_on_chain()))]
		pub fn request_inference(
			origin: OriginFor<T>,
			model: ModelId,
			prompt: Content,
			max_input_tokens: u32,
			max_output_tokens: u32,
			max_fee: Balance,
		) -> DispatchResult {
			let requester = ensure_signed(origin)?;
			Self::do_request(requester, model, prompt, max_input_tokens, max_output_tokens, max_fee)
		}

		/// Delivers an answer.
		///
		/// ## Dispatch Origin
		/// Authorised: `operator` signs for the assigned worker, and `signature` is its signature under
		/// the message for `inference.submit_result` and the arguments before it.
		///
		/// ## Details
		/// Checks the receipt against the request, pays for the tokens, releases the rest, and gives
		/// the worker's slot back. Costs nothing.
		///
		/// ## Errors
		/// All of them are found before the transaction gets into a pool or a block
		/// ([`refusal`](openledger_pallet_support::operator::refusal)).
		/// - [`Error::UnknownRequest`], [`Error::RequestEnded`]: there is nothing to answer.
		/// - [`Error::NotOperator`]: the key does not sign for the worker.
		/// - [`Error::TooLate`]: the last block for the answer has passed.
		/// - [`Error::ReceiptForOtherRequest`], [`Error::ReceiptForOtherModel`],
		///   [`Error::ReceiptForOtherPrompt`], [`Error::ReceiptForOtherAnswer`],
		///   [`Error::ClaimForOtherAnswer`]: receipt or claim are about something else.
		/// - [`Error::TooManyInputTokens`], [`Error::TooManyOutputTokens`]: more than was asked for.
		/// - [`Error::TokensContradictAnswer`]: an empty answer with tokens, or an answer without.
		/// - the settlement's own error when it refuses the claim.
		///
		/// ## Events
		/// [`Event::RequestAnswered`].
		#[pallet::call_index(1)]
		#[pallet::weight((
			T::WeightInfo::submit_result(answer.bytes_on_chain())
				.saturating_add(T::SettlementWeight::convert(claim)),
			Pays::No,
		))]
		#[pallet::authorize(Self::authorise_result)]
		#[pallet::weight_of_authorize(
			T::WeightInfo::authorise_result(answer.bytes_on_chain())
				.saturating_add(T::SettlementWeight::convert(claim))
		)]
		pub fn submit_result(
			origin: OriginFor<T>,
			request: RequestId,
			receipt: InferenceReceipt,
			answer: Content,
			claim: AttributionClaim,
			operator: T::AccountId,
			signature: T::OperatorSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			// Whoever authorised the call has verified it.
			let _ = signature;
			Self::do_submit_result(&operator, request, receipt, answer, claim)
		}

		/// Says that a request cannot be answered.
		///
		/// ## Dispatch Origin
		/// Authorised: `operator` signs for the assigned worker, and `signature` is its signature under
		/// the message for `inference.report_failure` and the arguments before it.
		///
		/// ## Details
		/// In time only: afterwards it is a timeout. Refunds everything; the worker is not blamed. Costs
		/// nothing.
		///
		/// ## Errors
		/// All of them are found before the transaction gets into a pool or a block
		/// ([`refusal`](openledger_pallet_support::operator::refusal)).
		/// - [`Error::UnknownRequest`], [`Error::RequestEnded`]: there is nothing to answer.
		/// - [`Error::NotOperator`]: the key does not sign for the worker.
		/// - [`Error::TooLate`]: the last block for the answer has passed.
		///
		/// ## Events
		/// [`Event::RequestFailed`].
		#[pallet::call_index(2)]
		#[pallet::weight((T::WeightInfo::report_failure(), Pays::No))]
		#[pallet::authorize(Self::authorise_failure)]
		#[pallet::weight_of_authorize(T::WeightInfo::authorise_failure())]
		pub fn report_failure(
			origin: OriginFor<T>,
			request: RequestId,
			reason: FailureReason,
			operator: T::AccountId,
			signature: T::OperatorSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			// Whoever authorised the call has verified it.
			let _ = signature;
			Self::do_report_failure(&operator, request, reason)
		}

		/// Gives up a request that was not answered in time.
		///
		/// ## Dispatch Origin
		/// Signed, by anyone.
		///
		/// ## Details
		/// Refunds everything and counts a strike against the worker. The agenda does the same as soon
		/// as a block has room; this is for those who cannot wait.
		///
		/// ## Errors
		/// - [`Error::UnknownRequest`], [`Error::RequestEnded`]: there is nothing to give up.
		/// - [`Error::NotOverdue`]: the worker still has time.
		///
		/// ## Events
		/// [`Event::RequestTimedOut`].
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::expire_request())]
		pub fn expire_request(origin: OriginFor<T>, request: RequestId) -> DispatchResult {
			ensure_signed(origin)?;
			Self::do_expire(request)
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// A request and how far it has come.
		pub fn request(id: RequestId) -> Option<Request<T::AccountId, BlockNumberFor<T>>> {
			Requests::<T>::get(id)
		}

		/// The prompt of a request: its bytes while the request is open and they are on chain,
		/// otherwise its hash.
		pub fn prompt(id: RequestId) -> Option<Content> {
			let request = Requests::<T>::get(id)?;
			Some(Prompts::<T>::get(id).map_or(Content::Hash(request.prompt_hash), Content::Bytes))
		}

		/// The answer to a request: its bytes if they are on chain, otherwise its hash. `None` unless
		/// the request was answered.
		pub fn answer(id: RequestId) -> Option<Content> {
			match Requests::<T>::get(id)?.phase {
				Phase::Answered(delivery) => Some(
					Answers::<T>::get(id)
						.map_or(Content::Hash(delivery.answer_hash), Content::Bytes),
				),
				_ => None,
			}
		}

		/// What would be put on hold for so many tokens now, in planks. `None` when the model cannot be
		/// asked or the fee is more than an amount can be.
		pub fn quote(
			model: ModelId,
			max_input_tokens: u32,
			max_output_tokens: u32,
		) -> Option<Balance> {
			T::Models::served(model)?.prices.fee(max_input_tokens, max_output_tokens)
		}

		/// The requests that an account has open, oldest first.
		pub fn open_requests(who: T::AccountId) -> Vec<RequestId> {
			OpenRequests::<T>::get(who).into_inner()
		}

		/// The requests that a worker is to answer, by its stash, in ascending order; at most
		/// [`MAX_PENDING_LISTED`].
		pub fn pending_for(worker: T::AccountId) -> Vec<RequestId> {
			let mut pending: Vec<_> =
				PendingFor::<T>::iter_key_prefix(worker).take(MAX_PENDING_LISTED).collect();
			pending.sort();
			pending
		}
	}
}
