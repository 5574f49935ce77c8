//! What the constants of the market ask of each other, across pallets that do not know each other.

use crate::{ai, Runtime};
use frame_support::{
	traits::{ConstU32, Get},
	weights::Weight,
};
use openledger_primitives::jobs::JobKind;
use pallet_inference::weights::WeightInfo as _;
use pallet_models::WeightInfo as _;
use pallet_workers::weights::WeightInfo as _;

type InferenceWeights = pallet_inference::weights::SubstrateWeight<Runtime>;
type ModelsWeights = pallet_models::weights::SubstrateWeight<Runtime>;
type WorkersWeights = pallet_workers::weights::SubstrateWeight<Runtime>;

#[test]
fn settlements_should_be_remembered_longer_than_a_request_can_be_open() {
	assert!(ai::SettlementRetention::get() > ai::AnswerTimeout::get());
	// And longer than the request itself is, so that whoever sees an answer finds where its fee went.
	assert!(ai::SettlementRetention::get() > ai::Retention::get());
}

#[test]
fn calls_should_pay_for_what_the_worker_pool_does_in_them() {
	let bases = <Runtime as pallet_workers::Config>::MaxBaseModels::get();
	assert_eq!(
		bases,
		<ConstU32<16> as Get<u32>>::get(),
		"as the strikes of models and inference count"
	);
	let kinds = [JobKind::Inference, JobKind::Training, JobKind::Attribution];
	assert_eq!(kinds.len(), 3, "as the strikes of models and inference count");
	let pays_for = |whole: Weight, part: Weight| assert!(whole.all_gte(part), "{whole} < {part}");

	let assign = WorkersWeights::assign();
	pays_for(InferenceWeights::request_inference(0), assign);
	pays_for(ModelsWeights::request_training(1), assign);
	pays_for(ModelsWeights::assign_training(), assign);

	let strike = WorkersWeights::release(bases);
	pays_for(InferenceWeights::expire_request(), strike);
	pays_for(InferenceWeights::serve_request(), strike);
	pays_for(ModelsWeights::expire_training(), strike + assign);
	pays_for(ModelsWeights::agenda_entry(), strike + assign);
	pays_for(ModelsWeights::resolve_dispute(), strike);
	pays_for(ModelsWeights::report_failure(), strike);
}

#[test]
fn agendas_should_find_room_in_a_block_for_the_heaviest_thing_that_is_due() {
	let block = <<Runtime as frame_system::Config>::BlockWeights as Get<
		frame_system::limits::BlockWeights,
	>>::get();
	for entry in [InferenceWeights::serve_request(), ModelsWeights::agenda_entry()] {
		assert!(entry.all_lt(block.max_block.div(4)), "{entry} of {}", block.max_block);
	}
}

#[test]
fn largest_result_should_fit_into_a_block() {
	use codec::Encode;
	use frame_support::{dispatch::GetDispatchInfo, traits::Authorize, BoundedVec};
	use openledger_primitives::{
		claim::{AttributionClaim, ContributionShare, MAX_CLAIM_SHARES},
		content::{Content, MAX_CONTENT_BYTES},
		merkle::{Proof, MAX_DEPTH},
		receipt::{ExecutionMode, InferenceReceipt},
		span::{MatchedSpan, MAX_CLAIM_SPANS},
		worker_api::{InferenceAnswer, Report, MAX_REPORT_BYTES},
		ContributionId, ModelId, RequestId, H256,
	};

	let hash = H256::repeat_byte(1);
	let (request, model) = (RequestId(u64::MAX), ModelId(u32::MAX));
	let contribution = ContributionId::default();
	let span = MatchedSpan {
		contribution,
		leaf: hash,
		proof: Proof {
			leaf_index: 0,
			leaf_count: u32::MAX,
			siblings: BoundedVec::truncate_from(vec![hash; MAX_DEPTH as usize]),
		},
		answer_start: u32::MAX,
		record_start: u32::MAX,
		words: u32::MAX,
		gain_micro: u32::MAX,
	};
	let share = ContributionShare { contribution, parts: u32::MAX };
	let receipt = InferenceReceipt {
		request,
		model,
		prompt_hash: hash,
		answer_hash: hash,
		input_tokens: u32::MAX,
		output_tokens: u32::MAX,
		mode: ExecutionMode::Fast,
	};
	let claim = AttributionClaim {
		request,
		model,
		answer_hash: hash,
		evidence_root: hash,
		spans: BoundedVec::truncate_from(vec![span; MAX_CLAIM_SPANS as usize]),
		shares: BoundedVec::truncate_from(vec![share; MAX_CLAIM_SHARES as usize]),
	};
	let answer = Content::Bytes(BoundedVec::truncate_from(vec![b'a'; MAX_CONTENT_BYTES as usize]));
	let report = Report::Answered(InferenceAnswer {
		receipt: receipt.clone(),
		answer: answer.clone(),
		claim: claim.clone(),
	});
	assert!(report.encoded_size() <= MAX_REPORT_BYTES, "{}", report.encoded_size());

	let call = crate::RuntimeCall::Inference(pallet_inference::Call::submit_result {
		request,
		receipt,
		answer,
		claim,
		operator: sp_keyring::Sr25519Keyring::Eve.to_account_id(),
		signature: sp_core::sr25519::Signature::default().into(),
	});
	let limits = <<Runtime as frame_system::Config>::BlockWeights as Get<
		frame_system::limits::BlockWeights,
	>>::get();
	let most = limits
		.get(frame_support::dispatch::DispatchClass::Normal)
		.max_extrinsic
		.expect("ordinary transactions are bounded");
	let weight = call.get_dispatch_info().call_weight + call.weight_of_authorize();
	assert!(weight.all_lt(most.div(4)), "{weight} of {most}");
}
