//! What the pallet stores and what it shows.

use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_primitives::{
	claim::MAX_CLAIM_SHARES, shares::FeeParts, Balance, BoundedVec, ConstU32, ContributionId,
	DatanetId, ModelId, RequestId, H256,
};
use scale_info::TypeInfo;

/// What one contribution earned from one answer.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct SettlementLine<AccountId> {
	/// The contribution.
	pub contribution: ContributionId,
	/// Who earned.
	pub owner: AccountId,
	/// Its share of the answer, in parts per million.
	pub parts: u32,
	/// What it earned, in planks. Can be 0 when the fee is small.
	pub amount: Balance,
}

/// Where the fee of one request went. The lines sum to `split.contributors`, and the split's parts
/// sum to the fee.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct SettlementRecord<AccountId, BlockNumber> {
	/// The model that answered.
	pub model: ModelId,
	/// Who paid.
	pub payer: AccountId,
	/// Who earned the host's part.
	pub host: AccountId,
	/// Who earned the model's part.
	pub model_owner: AccountId,
	/// What was paid, in planks.
	pub fee: Balance,
	/// The fee by the policy in force at the time.
	pub split: FeeParts,
	/// Whether the claim named nobody, so that the treasury got the contributors' part.
	pub unattributed: bool,
	/// What each contribution earned, in ascending order of contribution.
	pub lines: BoundedVec<SettlementLine<AccountId>, ConstU32<MAX_CLAIM_SHARES>>,
	/// Merkle root over the evidence that the worker keeps.
	pub evidence_root: H256,
	/// Hash of the answer.
	pub answer_hash: H256,
	/// The block of the settlement.
	pub at: BlockNumber,
}

/// What one datanet's contributions earned from one answer.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, TypeInfo)]
pub struct DatanetPart<AccountId> {
	/// The datanet.
	pub datanet: DatanetId,
	/// The sum of its contributions' amounts, in planks.
	pub amount: Balance,
	/// Its contributions with their owners and amounts.
	pub contributions: Vec<SettlementLine<AccountId>>,
}

/// A settlement as a person reads it: fee → split → datanet → contribution → owner → amount.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, TypeInfo)]
pub struct Explanation<AccountId, BlockNumber> {
	/// The request.
	pub request: RequestId,
	/// The model that answered.
	pub model: ModelId,
	/// Who paid.
	pub payer: AccountId,
	/// Who earned the host's part.
	pub host: AccountId,
	/// Who earned the model's part.
	pub model_owner: AccountId,
	/// What was paid, in planks.
	pub fee: Balance,
	/// The fee by the policy in force at the time.
	pub split: FeeParts,
	/// Whether the claim named nobody, so that the treasury got the contributors' part.
	pub unattributed: bool,
	/// The contributors' part, by datanet in ascending order.
	pub datanets: Vec<DatanetPart<AccountId>>,
	/// Merkle root over the evidence that the worker keeps.
	pub evidence_root: H256,
	/// Hash of the answer.
	pub answer_hash: H256,
	/// The block of the settlement.
	pub at: BlockNumber,
}
