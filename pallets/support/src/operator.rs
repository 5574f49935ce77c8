//! What a worker's operator key reports about its jobs.
//!
//! A report is a *general transaction*: it has no signer, no nonce and no fee, and carries the
//! operator's account and signature in its call. The call authorises itself
//! (`#[pallet::authorize]`): before a node lets it into its pool or a block, everything is checked
//! that the call itself would check, so nothing that would fail is ever carried or paid by others.
//! What keeps this from being spam is the job: only the operator of the worker that has it can report
//! on it, only once, and jobs are paid for by those who ask.
//!
//! So an operator key needs no OPEN, and not even an account that exists.
//!
//! ## Why a report is refused
//!
//! A wrong signature is `InvalidTransaction::BadProof`; everything else is
//! `InvalidTransaction::Custom` with one of the codes in [`refusal`].

use codec::{Decode, Encode};
use frame_support::{
	pallet_prelude::*,
	storage::{with_transaction, TransactionOutcome},
	traits::PalletInfoAccess,
	Parameter,
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::{jobs::operator_message, H256};
use sp_core::sr25519;
use sp_runtime::{
	traits::{IdentifyAccount, Verify, Zero},
	ModuleError,
};

#[cfg(feature = "testing")]
pub mod testing;

/// The priority of every report: above what tips buy, so that work that is done gets into the next
/// block, and below reports of equivocations. There are never more of them than jobs under way.
pub const PRIORITY: TransactionPriority = TransactionPriority::MAX / 2;

/// The codes of `InvalidTransaction::Custom` in answer to a report. They never change their meaning.
pub mod refusal {
	/// There is no such job, or its record is gone.
	pub const UNKNOWN_JOB: u8 = 1;
	/// The job has ended, or is not where this can be said of it.
	pub const WRONG_PHASE: u8 = 2;
	/// The last block for this has passed.
	pub const TOO_LATE: u8 = 3;
	/// The key does not sign for the job's worker, or does not any more.
	pub const NOT_OPERATOR: u8 = 4;
	/// The job is in another attempt.
	pub const WRONG_ATTEMPT: u8 = 5;
	/// The receipt is about another request, model, prompt or answer.
	pub const RECEIPT_MISFIT: u8 = 6;
	/// The claim is about another answer.
	pub const CLAIM_MISFIT: u8 = 7;
	/// More tokens than the request allows.
	pub const TOO_MANY_TOKENS: u8 = 8;
	/// An empty answer with tokens, or an answer without.
	pub const TOKENS_CONTRADICT_ANSWER: u8 = 9;
	/// The result names no adapter.
	pub const EMPTY_RESULT: u8 = 10;
	/// It cannot be carried out for a reason that has no code, such as money that cannot be moved.
	pub const OTHER: u8 = 127;
	/// From here on: the settlement refused the claim. What is above is the number of its error in the
	/// metadata of the pallet that settles.
	pub const SETTLEMENT: u8 = 128;
}

/// The signature of an operator. Nodes sign with sr25519; wallets may use what the chain knows.
pub trait OperatorSignature<AccountId>:
	Parameter
	+ From<sr25519::Signature>
	+ Verify<Signer: IdentifyAccount<AccountId = AccountId> + From<sr25519::Public>>
{
}

impl<AccountId, S> OperatorSignature<AccountId> for S where
	S: Parameter
		+ From<sr25519::Signature>
		+ Verify<Signer: IdentifyAccount<AccountId = AccountId> + From<sr25519::Public>>
{
}

/// Hash of the first block, which tells this chain from all others.
pub(crate) fn genesis_hash<T: frame_system::Config<Hash = H256>>() -> H256 {
	frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero())
}

/// What the operator signs for a report to this chain.
pub fn message<T: frame_system::Config<Hash = H256>>(
	call: &'static str,
	report: &impl Encode,
) -> H256 {
	operator_message(genesis_hash::<T>(), call, report)
}

/// The operator has signed the message.
pub fn ensure_signed_by<AccountId, S: OperatorSignature<AccountId>>(
	operator: &AccountId,
	message: H256,
	signature: &S,
) -> Result<(), TransactionValidityError> {
	if signature.verify(message.as_bytes(), operator) {
		Ok(())
	} else {
		Err(InvalidTransaction::BadProof.into())
	}
}

/// Whether a call would succeed now. Nothing of what it does stays.
pub fn rehearse(call: impl FnOnce() -> DispatchResult) -> DispatchResult {
	with_transaction(|| TransactionOutcome::Rollback(call()))
}

/// A report that is to be let in: once for each `tag`, for so many blocks.
pub fn admit(
	prefix: &'static str,
	tag: impl Encode,
	longevity: u64,
) -> TransactionValidityWithRefund {
	ValidTransaction::with_tag_prefix(prefix)
		.priority(PRIORITY)
		.and_provides(tag)
		.longevity(longevity)
		.propagate(true)
		.build()
		.map(|valid| (valid, Weight::zero()))
}

/// A report that is refused for what the call would fail with. `code` tells the codes of the errors
/// of the pallet `P` itself; errors of other pallets are taken for the settlement's.
pub fn refuse<P: PalletInfoAccess, E: Decode>(
	error: DispatchError,
	code: impl FnOnce(E) -> u8,
) -> TransactionValidityError {
	let code = match error {
		DispatchError::Module(ModuleError { index, error, .. }) => {
			if usize::from(index) == P::index() {
				E::decode(&mut error.as_slice()).map_or(refusal::OTHER, code)
			} else {
				let [number, ..] = error;
				refusal::SETTLEMENT.saturating_add(number)
			}
		},
		_ => refusal::OTHER,
	};
	InvalidTransaction::Custom(code).into()
}
