//! The journeys of docs/architecture.md through the real pallets: contribute, train, ask, attribute
//! and pay, with every sum checked, and random sequences of all of it that never create or lose OPEN.

use super::*;
use crate::{Attribution, Datanets, Inference, Models, Workers};
use frame_support::{assert_ok, traits::fungible::InspectHold, BoundedVec};
use openledger_pallet_support::operator::refusal;
use openledger_primitives::{
	claim::{AttributionClaim, CLAIM_PARTS},
	content::{content_hash, Content},
	contribution::{ContributionContent, SaltedRecord},
	jobs::{FailureReason, JobKind},
	licence::LicenceTerms,
	receipt::{ExecutionMode, InferenceReceipt, Prices},
	record,
	shares::FeeSplit,
	span::{evidence_root, shares_of, MatchedSpan, MIN_SPAN_WORDS},
	training::{Metrics, TrainingResult},
	traits::TrainingSources,
	worker_api::InferenceAnswer,
	BaseModelId, ContributionId, DatanetId, DatanetVersion, ModelId, RequestId, TrainingJobId,
	H256,
};
use openledger_runtime_common::units::{MILLI_OPEN, OPEN};
use pallet_datanets::{AccessPolicy, DatanetKind, DatanetTerms, Verdict};
use pallet_workers::types::Capabilities;
use proptest::prelude::*;
use sp_runtime::transaction_validity::InvalidTransaction;
use Sr25519Keyring::{Alice, AliceStash, Bob, BobStash, Charlie, Dave, Eve, Ferdie};

const DATANET: DatanetId = DatanetId(0);
pub(super) const BASE: BaseModelId = BaseModelId(0);
pub(super) const MODEL: ModelId = ModelId(0);
const PRICES: Prices = Prices { input_per_1000: 10 * MILLI_OPEN, output_per_1000: 30 * MILLI_OPEN };

pub(super) fn sudo(call: impl Into<RuntimeCall>) {
	submit_ok(Alice, pallet_sudo::Call::sudo { call: Box::new(call.into()) });
}

/// What an account has beside what is held.
pub(super) fn free(who: Sr25519Keyring) -> Balance {
	System::account(who.to_account_id()).data.free
}

/// The records of a contribution: one.
pub(super) fn contribution(index: u32) -> ContributionContent {
	let question = ["Who signs the permit?", "How long does it take?", "What does it cost?"];
	let text = question[index as usize % question.len()];
	let canonical =
		record::canonical_fields(&[("question", text), ("answer", "A month.")]).unwrap();
	ContributionContent { records: vec![SaltedRecord { salt: [index as u8; 32], canonical }] }
}

/// Alice's datanet with one contribution each of Bob and Charlie, in its first version.
pub(super) fn contribute() {
	submit_ok(
		Alice,
		pallet_datanets::Call::create_datanet {
			name: BoundedVec::truncate_from(b"Building permits".to_vec()),
			kind: DatanetKind::QuestionAnswer,
			licence: LicenceTerms::OPEN,
			terms: DatanetTerms {
				price: 0,
				access: AccessPolicy::Open,
				default_verdict: Verdict::Reject,
				review_period: 1_000,
				metadata: H256::repeat_byte(1),
			},
		},
	);
	for (index, who) in [Bob, Charlie].into_iter().enumerate() {
		let content = contribution(index as u32);
		let commitment = content.commitment().unwrap();
		submit_ok(
			who,
			pallet_datanets::Call::contribute {
				datanet: DATANET,
				root: commitment.root,
				records: commitment.records,
				bytes: commitment.bytes,
				content: content_hash(&content.encode()),
				salts: commitment.salts,
			},
		);
		let held = Balances::total_balance_on_hold(&who.to_account_id());
		assert!(held > 0, "a deposit is held");
		submit_ok(
			Alice,
			pallet_datanets::Call::accept_contribution { datanet: DATANET, index: index as u32 },
		);
		assert_eq!(Balances::total_balance_on_hold(&who.to_account_id()), 0, "and comes back");
	}
	submit_ok(Alice, pallet_datanets::Call::publish_version { datanet: DATANET });
}

/// A base model, and Dave's worker for it with Eve as its operator key.
pub(super) fn offer_work() {
	submit_ok(
		Dave,
		pallet_models::Call::register_base_model {
			weights_hash: H256::repeat_byte(4),
			tokenizer_hash: H256::repeat_byte(5),
			architecture: BoundedVec::truncate_from(b"llama".to_vec()),
			licence: LicenceTerms::OPEN,
			name: BoundedVec::truncate_from(b"SmolLM2-135M-Instruct".to_vec()),
			parameters: 134_515_008,
		},
	);
	submit_ok(
		Dave,
		pallet_workers::Call::register {
			operator: Eve.to_account_id(),
			bond: 2_000 * OPEN,
			capabilities: Capabilities {
				kinds: [JobKind::Inference, JobKind::Training]
					.into_iter()
					.collect::<std::collections::BTreeSet<_>>()
					.try_into()
					.unwrap(),
				base_models: [BASE]
					.into_iter()
					.collect::<std::collections::BTreeSet<_>>()
					.try_into()
					.unwrap(),
				memory_mib: 16_384,
				slots: 8,
			},
		},
	);
	submit_ok(Eve, pallet_workers::Call::accept_operator { stash: Dave.to_account_id() });
}

pub(super) fn training_result() -> TrainingResult {
	TrainingResult {
		adapter_hash: H256::repeat_byte(7),
		span_index_root: H256::repeat_byte(8),
		influence_root: H256::repeat_byte(9),
		metrics: Metrics {
			heldout_loss_before_micro: 2_100_000,
			heldout_loss_after_micro: 1_700_000,
			trained_tokens: 10_000,
			steps: 40,
		},
	}
}

/// What Ferdie pays for training.
pub(super) const BUDGET: Balance = 50 * OPEN;

/// Ferdie orders a model from Alice's datanet, for Dave's worker to train.
pub(super) fn order_training() -> TrainingJobId {
	let sources: TrainingSources =
		BoundedVec::truncate_from(vec![DatanetVersion { datanet: DATANET, version: 0 }]);
	submit_ok(
		Ferdie,
		pallet_models::Call::request_training {
			base: BASE,
			sources,
			spec_hash: H256::repeat_byte(6),
			licence: LicenceTerms::OPEN,
			commercial: true,
			budget: BUDGET,
			training_blocks: 1_000,
		},
	);
	TrainingJobId(0)
}

/// Ferdie's model, trained by Dave's worker on Alice's datanet for 50 OPEN, and published.
pub(super) fn train() {
	// A day is long for a test: governance shortens the time to dispute.
	sudo(pallet_parameters::Call::set_parameter {
		key_value: crate::governance::RuntimeParameters::Models(
			crate::governance::governed::models::Parameters::ChallengePeriod(
				crate::governance::governed::models::ChallengePeriod,
				Some(2),
			),
		),
	});
	let before = (free(Ferdie), Balances::total_balance(&Dave.to_account_id()));
	let job = order_training();
	let (attempt, operator) = (1, Eve.to_account_id());
	let signature = sign(Eve, Models::start_message(job, attempt));
	report_ok(pallet_models::Call::start_training {
		job,
		attempt,
		operator: operator.clone(),
		signature,
	});
	let result = training_result();
	let signature = sign(Eve, Models::delivery_message(job, attempt, &result));
	report_ok(pallet_models::Call::deliver_training { job, attempt, result, operator, signature });
	// Settled by the agenda, without anybody asking.
	run_blocks(4);
	assert_eq!(Balances::total_balance(&Dave.to_account_id()), before.1 + BUDGET);
	assert!(free(Ferdie) <= before.0 - BUDGET);
	submit_ok(Ferdie, pallet_models::Call::publish_model { model: MODEL, prices: PRICES });
}

pub(super) fn ask(who: Sr25519Keyring) -> RequestId {
	submit_ok(
		who,
		pallet_inference::Call::request_inference {
			model: MODEL,
			prompt: prompt(),
			max_input_tokens: 100,
			max_output_tokens: 200,
			max_fee: OPEN,
		},
	);
	let open = Inference::open_requests(who.to_account_id());
	*open.last().expect("the request is open")
}

fn prompt() -> Content {
	Content::Bytes(BoundedVec::truncate_from(b"Who signs the permit?".to_vec()))
}

/// What a worker says in answer to [`ask`]: it shows one span of each contribution, with gains that
/// are the shares when they sum to a million.
pub(super) fn answered(request: RequestId, gains: &[(u32, u32)]) -> InferenceAnswer {
	let answer = Content::Bytes(BoundedVec::truncate_from(b"The mayor.".to_vec()));
	let spans: Vec<MatchedSpan> = (0..)
		.zip(gains)
		.map(|(number, (index, gain))| MatchedSpan {
			contribution: ContributionId { datanet: DATANET, index: *index },
			leaf: contribution(*index).records[0].leaf(),
			proof: contribution(*index).tree().unwrap().prove(0).unwrap(),
			answer_start: number * MIN_SPAN_WORDS,
			record_start: 0,
			words: MIN_SPAN_WORDS,
			gain_micro: *gain,
		})
		.collect();
	InferenceAnswer {
		receipt: InferenceReceipt {
			request,
			model: MODEL,
			prompt_hash: prompt().hash(),
			answer_hash: answer.hash(),
			input_tokens: 60,
			output_tokens: 7,
			mode: ExecutionMode::Deterministic,
		},
		claim: AttributionClaim {
			request,
			model: MODEL,
			answer_hash: answer.hash(),
			evidence_root: evidence_root(&spans),
			shares: shares_of(&spans),
			spans: BoundedVec::truncate_from(spans),
		},
		answer,
	}
}

/// The report of an answer, as an operator signs it.
fn signed_answer(who: Sr25519Keyring, answer: InferenceAnswer) -> pallet_inference::Call<Runtime> {
	let InferenceAnswer { receipt, answer, claim } = answer;
	let request = claim.request;
	let message = Inference::result_message(request, &receipt, &answer, &claim);
	let (operator, signature) = (who.to_account_id(), sign(who, message));
	pallet_inference::Call::submit_result { request, receipt, answer, claim, operator, signature }
}

/// The report of [`answered`] by Eve.
fn answer(request: RequestId, gains: &[(u32, u32)]) -> pallet_inference::Call<Runtime> {
	signed_answer(Eve, answered(request, gains))
}

#[test]
fn answer_should_pay_everybody_who_caused_it() {
	Chain::development().tell(|| {
		contribute();
		offer_work();
		train();

		let held = PRICES.fee(100, 200).unwrap();
		let request = ask(AliceStash);
		assert_eq!(Balances::total_balance_on_hold(&AliceStash.to_account_id()), held);
		let before = free(AliceStash);

		report_ok(answer(request, &[(0, 750_000), (1, 250_000)]));

		let fee = PRICES.fee(60, 7).unwrap();
		assert_eq!(Balances::total_balance_on_hold(&AliceStash.to_account_id()), 0);
		assert_eq!(free(AliceStash), before + held - fee, "the rest comes back");

		let split = FeeSplit::GENESIS.divide(fee).unwrap();
		let why = Attribution::explain(request).expect("every payment can be explained");
		assert_eq!((why.fee, why.split), (fee, split));
		assert_eq!(why.datanets.len(), 1);
		let paid: Vec<_> = why.datanets[0]
			.contributions
			.iter()
			.map(|line| (line.owner.clone(), line.amount))
			.collect();
		assert_eq!(
			paid,
			vec![
				(Bob.to_account_id(), split.contributors * 3 / 4),
				(Charlie.to_account_id(), split.contributors / 4),
			]
		);
		assert_eq!(Attribution::unpaid(Dave.to_account_id()), split.host);
		assert_eq!(Attribution::unpaid(Ferdie.to_account_id()), split.model_owner);
		assert_eq!(Attribution::unpaid(crate::money::TreasuryAccount::get()), split.treasury);
		assert_eq!(Attribution::unpaid(crate::ai::ValidatorsAccount::get()), split.validators);

		let bob = Balances::total_balance(&Bob.to_account_id());
		submit_ok(
			BobStash,
			pallet_attribution::Call::claim_rewards_for { who: Bob.to_account_id() },
		);
		assert_eq!(Balances::total_balance(&Bob.to_account_id()), bob + paid[0].1);
	});
}

#[test]
fn operator_should_need_no_open_and_no_account_to_report() {
	Chain::development().tell(|| {
		contribute();
		offer_work();
		// What it had for its first transaction goes, and the account with it.
		submit_ok(
			Eve,
			pallet_balances::Call::transfer_all {
				dest: Dave.to_account_id().into(),
				keep_alive: false,
			},
		);
		assert!(!System::account_exists(&Eve.to_account_id()));
		train();
		let request = ask(AliceStash);
		report_ok(answer(request, &[(0, CLAIM_PARTS)]));
		assert!(Attribution::explain(request).is_some());
		assert!(!System::account_exists(&Eve.to_account_id()));
	});
}

#[test]
fn result_should_not_get_into_a_block_when_it_is_forged_or_replayed() {
	Chain::development().tell(|| {
		contribute();
		offer_work();
		train();
		let request = ask(AliceStash);
		let held = Balances::total_balance_on_hold(&AliceStash.to_account_id());
		let refused = |call, why: InvalidTransaction| {
			assert_eq!(report(call), Err(why.into()));
		};
		let custom = InvalidTransaction::Custom;
		let settlement = |error: pallet_attribution::Error<Runtime>| {
			custom(refusal::SETTLEMENT + error.encode()[0])
		};
		let change = |change: fn(&mut InferenceAnswer)| {
			let mut answer = answered(request, &[(0, 500_000), (1, 500_000)]);
			change(&mut answer);
			signed_answer(Eve, answer)
		};
		refused(
			signed_answer(BobStash, answered(request, &[(0, CLAIM_PARTS)])),
			custom(refusal::NOT_OPERATOR),
		);
		refused(
			change(|it| it.claim.shares[0].parts += 1),
			settlement(pallet_attribution::Error::SharesNotWhole),
		);
		refused(
			change(|it| {
				let first = it.claim.shares.remove(0);
				it.claim.shares.try_push(first).unwrap();
			}),
			settlement(pallet_attribution::Error::SharesNotSorted),
		);
		refused(
			change(|it| it.claim.evidence_root = H256::zero()),
			settlement(pallet_attribution::Error::WrongEvidenceRoot),
		);
		// A record that nobody contributed, and a contribution that the model never saw.
		let forged = |forge: fn(&mut MatchedSpan)| {
			let mut answer = answered(request, &[(0, CLAIM_PARTS)]);
			let mut spans = answer.claim.spans.into_inner();
			forge(&mut spans[0]);
			answer.claim.evidence_root = evidence_root(&spans);
			answer.claim.shares = shares_of(&spans);
			answer.claim.spans = BoundedVec::truncate_from(spans);
			signed_answer(Eve, answer)
		};
		refused(
			forged(|span| span.leaf = H256::repeat_byte(1)),
			settlement(pallet_attribution::Error::SpanNotInContribution),
		);
		refused(
			forged(|span| span.contribution.index = 1),
			settlement(pallet_attribution::Error::SpanNotInContribution),
		);
		refused(
			answer(request, &[(2, CLAIM_PARTS)]),
			settlement(pallet_attribution::Error::ContributionNotInModel),
		);
		// Signed by the operator, and changed on the way.
		let mut tampered = answer(request, &[(0, CLAIM_PARTS)]);
		if let pallet_inference::Call::submit_result { receipt, .. } = &mut tampered {
			receipt.output_tokens += 1;
		}
		refused(tampered, InvalidTransaction::BadProof);
		// As an ordinary transaction of the operator it is nobody's.
		let signed = submit(Eve, answer(request, &[(0, CLAIM_PARTS)])).unwrap();
		assert_eq!(signed.unwrap_err(), sp_runtime::DispatchError::BadOrigin);
		assert_eq!(
			Balances::total_balance_on_hold(&AliceStash.to_account_id()),
			held,
			"nothing moved"
		);

		report_ok(answer(request, &[(0, CLAIM_PARTS)]));
		let unpaid = Attribution::unpaid(Bob.to_account_id());
		refused(answer(request, &[(0, CLAIM_PARTS)]), custom(refusal::WRONG_PHASE));
		assert_eq!(Attribution::unpaid(Bob.to_account_id()), unpaid);
	});
}

#[test]
fn worker_that_never_answers_should_cost_the_requester_nothing() {
	Chain::development().tell(|| {
		contribute();
		offer_work();
		train();
		let bond = Workers::worker(Dave.to_account_id()).unwrap().bond;
		let request = ask(AliceStash);
		let fee = Balances::total_balance_on_hold(&AliceStash.to_account_id());
		let before = free(AliceStash);
		run_blocks(crate::ai::AnswerTimeout::get() + 2);
		assert_eq!(Balances::total_balance_on_hold(&AliceStash.to_account_id()), 0);
		assert_eq!(free(AliceStash), before + fee);
		let worker = Workers::worker(Dave.to_account_id()).unwrap();
		assert_eq!(worker.strikes, 1);
		assert!(worker.bond < bond, "and the worker a little");
		assert!(report(answer(request, &[(0, CLAIM_PARTS)])).is_err());
	});
}

#[test]
fn datanet_version_should_commit_to_every_record() {
	Chain::development().tell(|| {
		contribute();
		let version = Datanets::version(DatanetVersion { datanet: DATANET, version: 0 })
			.expect("the version is published");
		assert_eq!(version.commitment.contributions, 2);
		assert_eq!(version.commitment.records, 2);
		let mut range = openledger_primitives::mmr::MountainRange::default();
		for index in 0..2 {
			let contribution =
				Datanets::contribution(ContributionId { datanet: DATANET, index }).unwrap();
			let leaf =
				openledger_primitives::mmr::contribution_leaf(index, contribution.data.root, 1);
			assert_ok!(range.push(leaf));
		}
		assert_eq!(range.root(), Some(version.commitment.root));
	});
}

/// AliceStash step of a random story.
#[derive(Clone, Debug)]
enum Step {
	Ask(u8),
	Answer { which: u8, first: u32 },
	Unattributed { which: u8 },
	Fail { which: u8 },
	Claim(u8),
	Blocks(u8),
	Prices { input: u32, output: u32 },
	Contribute(u8),
	Bond(u8),
	Split(u16),
}

fn step() -> impl Strategy<Value = Step> {
	prop_oneof![
		4 => any::<u8>().prop_map(Step::Ask),
		4 => (any::<u8>(), 1..CLAIM_PARTS).prop_map(|(which, first)| Step::Answer { which, first }),
		1 => any::<u8>().prop_map(|which| Step::Unattributed { which }),
		1 => any::<u8>().prop_map(|which| Step::Fail { which }),
		2 => any::<u8>().prop_map(Step::Claim),
		1 => (1u8..110).prop_map(Step::Blocks),
		1 => (0..u32::MAX, 0..u32::MAX).prop_map(|(input, output)| Step::Prices { input, output }),
		1 => any::<u8>().prop_map(Step::Contribute),
		1 => any::<u8>().prop_map(Step::Bond),
		1 => (0u16..=10_000).prop_map(Step::Split),
	]
}

/// Whether the step took effect; many do not, because of their turn.
fn take(step: Step, requests: &[RequestId]) -> bool {
	let applicants = [AliceStash, BobStash, Ferdie, Bob];
	let applicant = |n: u8| applicants[usize::from(n) % applicants.len()];
	let pick = |which: u8| requests.get(usize::from(which) % requests.len().max(1)).copied();
	let applied = |outcome: ApplyExtrinsicResult| matches!(outcome, Ok(Ok(())));
	match step {
		Step::Ask(who) => applied(submit(
			applicant(who),
			pallet_inference::Call::request_inference {
				model: MODEL,
				prompt: prompt(),
				max_input_tokens: 100,
				max_output_tokens: 200,
				max_fee: 10 * OPEN,
			},
		)),
		Step::Answer { which, first } => pick(which).is_some_and(|request| {
			let parts = [(0, first), (1, CLAIM_PARTS - first)];
			applied(report(answer(request, &parts)))
		}),
		Step::Unattributed { which } => {
			pick(which).is_some_and(|request| applied(report(answer(request, &[]))))
		},
		Step::Fail { which } => pick(which).is_some_and(|request| {
			let reason = FailureReason::EngineFault;
			let signature = sign(Eve, Inference::failure_message(request, reason));
			let operator = Eve.to_account_id();
			applied(report(pallet_inference::Call::report_failure {
				request,
				reason,
				operator,
				signature,
			}))
		}),
		Step::Claim(who) => {
			let owners = [Bob, Charlie, Dave, Ferdie];
			let who = owners[usize::from(who) % owners.len()].to_account_id();
			applied(submit(BobStash, pallet_attribution::Call::claim_rewards_for { who }))
		},
		Step::Blocks(blocks) => {
			run_blocks(u32::from(blocks));
			true
		},
		Step::Prices { input, output } => applied(submit(
			Ferdie,
			pallet_models::Call::set_prices {
				model: MODEL,
				prices: Prices { input_per_1000: input.into(), output_per_1000: output.into() },
			},
		)),
		Step::Contribute(seed) => applied(submit(
			Bob,
			pallet_datanets::Call::contribute {
				datanet: DATANET,
				root: H256::repeat_byte(seed),
				records: 1 + u32::from(seed),
				bytes: 100,
				content: H256::repeat_byte(seed),
				salts: H256::repeat_byte(seed),
			},
		)),
		Step::Bond(amount) => applied(submit(
			Dave,
			pallet_workers::Call::bond_extra { amount: Balance::from(amount) * OPEN },
		)),
		Step::Split(contributors) => {
			sudo(pallet_attribution::Call::set_fee_split {
				split: FeeSplit {
					contributors,
					host: 10_000 - contributors,
					model_owner: 0,
					validators: 0,
					treasury: 0,
				},
			});
			true
		},
	}
}

proptest! {
	#![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

	#[test]
	fn no_sequence_of_operations_should_create_or_lose_open(
		steps in proptest::collection::vec(step(), 1..60),
	) {
		Chain::development().tell(|| {
			contribute();
			offer_work();
			train();
			let request = ask(AliceStash);
			report_ok(answer(request, &[(0, 1), (1, CLAIM_PARTS - 1)]));
			for step in steps {
				let requests: Vec<_> = [AliceStash, BobStash, Ferdie, Bob]
					.into_iter()
					.flat_map(|who| Inference::open_requests(who.to_account_id()))
					.collect();
				take(step, &requests);
				check_state();
			}
		});
	}
}

#[test]
fn models_should_say_beforehand_why_a_training_would_be_refused() {
	Chain::development().tell(|| {
		contribute();
		offer_work();
		let sources =
			|version| BoundedVec::truncate_from(vec![DatanetVersion { datanet: DATANET, version }]);
		let why_not = |version| {
			Models::why_not(
				Ferdie.to_account_id(),
				BASE,
				sources(version),
				true,
				LicenceTerms::OPEN,
			)
		};
		assert_eq!(why_not(0), None);
		assert!(why_not(1).is_some(), "there is no second version");
	});
}
