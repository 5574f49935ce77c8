//! The journeys of docs/architecture.md through the real pallets: contribute, train, ask, attribute
//! and pay, with every sum checked, and random sequences of all of it that never create or lose OPEN.

use super::*;
use crate::{Attribution, Datanets, Inference, Models, Workers};
use frame_support::{assert_ok, traits::fungible::InspectHold, BoundedVec};
use openledger_primitives::{
	claim::{AttributionClaim, ContributionShare, CLAIM_PARTS},
	jobs::JobKind,
	licence::LicenceTerms,
	merkle,
	receipt::{ExecutionMode, InferenceReceipt, Prices},
	record,
	shares::FeeSplit,
	traits::TrainingSources,
	BaseModelId, ContributionId, DatanetId, DatanetVersion, ModelId, RequestId, TrainingJobId,
	H256,
};
use openledger_runtime_common::units::{MILLI_OPEN, OPEN};
use pallet_datanets::{AccessPolicy, DatanetKind, DatanetTerms, Verdict};
use pallet_inference::Content;
use pallet_models::{Metrics, TrainingResult};
use pallet_workers::types::Capabilities;
use proptest::prelude::*;
use Sr25519Keyring::{Alice, AliceStash, Bob, BobStash, Charlie, Dave, Eve, Ferdie};

const DATANET: DatanetId = DatanetId(0);
const BASE: BaseModelId = BaseModelId(0);
const MODEL: ModelId = ModelId(0);
const PRICES: Prices = Prices { input_per_1000: 10 * MILLI_OPEN, output_per_1000: 30 * MILLI_OPEN };

fn sudo(call: impl Into<RuntimeCall>) {
	submit_ok(Alice, pallet_sudo::Call::sudo { call: Box::new(call.into()) });
}

/// What an account has beside what is held.
fn free(who: Sr25519Keyring) -> Balance {
	System::account(who.to_account_id()).data.free
}

/// Alice's datanet with one contribution each of Bob and Charlie, in its first version.
fn contribute() {
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
	for (index, (who, text)) in
		[(Bob, "Who signs the permit?"), (Charlie, "How long does it take?")]
			.into_iter()
			.enumerate()
	{
		let canonical =
			record::canonical_fields(&[("question", text), ("answer", "A month.")]).unwrap();
		let leaf = record::record_leaf(&[index as u8; 32], &canonical);
		submit_ok(
			who,
			pallet_datanets::Call::contribute {
				datanet: DATANET,
				root: merkle::root(&[leaf]).unwrap(),
				records: 1,
				bytes: canonical.len() as u64,
				content: H256::repeat_byte(2),
				salts: H256::repeat_byte(3),
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
fn offer_work() {
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

/// Ferdie's model, trained by Dave's worker on Alice's datanet for 50 OPEN, and published.
fn train() {
	const BUDGET: Balance = 50 * OPEN;
	// A day is long for a test: governance shortens the time to dispute.
	sudo(pallet_parameters::Call::set_parameter {
		key_value: crate::governance::RuntimeParameters::Models(
			crate::governance::governed::models::Parameters::ChallengePeriod(
				crate::governance::governed::models::ChallengePeriod,
				Some(2),
			),
		),
	});
	let sources: TrainingSources =
		BoundedVec::truncate_from(vec![DatanetVersion { datanet: DATANET, version: 0 }]);
	let before = (free(Ferdie), Balances::total_balance(&Dave.to_account_id()));
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
	let job = TrainingJobId(0);
	submit_ok(Eve, pallet_models::Call::start_training { job });
	submit_ok(
		Eve,
		pallet_models::Call::deliver_training {
			job,
			result: TrainingResult {
				adapter_hash: H256::repeat_byte(7),
				span_index_root: H256::repeat_byte(8),
				influence_root: H256::repeat_byte(9),
				metrics: Metrics {
					heldout_loss_before_micro: 2_100_000,
					heldout_loss_after_micro: 1_700_000,
					trained_tokens: 10_000,
					steps: 40,
				},
			},
		},
	);
	// Settled by the agenda, without anybody asking.
	run_blocks(4);
	assert_eq!(Balances::total_balance(&Dave.to_account_id()), before.1 + BUDGET);
	assert!(free(Ferdie) <= before.0 - BUDGET);
	submit_ok(Ferdie, pallet_models::Call::publish_model { model: MODEL, prices: PRICES });
}

fn ask(who: Sr25519Keyring) -> RequestId {
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

fn answer(request: RequestId, parts: &[(u32, u32)]) -> pallet_inference::Call<Runtime> {
	let answer = Content::Bytes(BoundedVec::truncate_from(b"The mayor.".to_vec()));
	let shares = parts
		.iter()
		.map(|(index, parts)| ContributionShare {
			contribution: ContributionId { datanet: DATANET, index: *index },
			parts: *parts,
		})
		.collect();
	pallet_inference::Call::submit_result {
		request,
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
			evidence_root: H256::repeat_byte(10),
			shares: BoundedVec::truncate_from(shares),
		},
		answer,
	}
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

		submit_ok(Eve, answer(request, &[(0, 750_000), (1, 250_000)]));

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
fn delivering_an_answer_should_cost_the_operator_nothing() {
	Chain::development().tell(|| {
		contribute();
		offer_work();
		train();
		let request = ask(AliceStash);
		let before = Balances::total_balance(&Eve.to_account_id());
		submit_ok(Eve, answer(request, &[(0, CLAIM_PARTS)]));
		assert_eq!(Balances::total_balance(&Eve.to_account_id()), before);
	});
}

#[test]
fn result_should_be_refused_when_it_is_forged_or_replayed() {
	Chain::development().tell(|| {
		contribute();
		offer_work();
		train();
		let request = ask(AliceStash);
		let refused = |who, call: pallet_inference::Call<Runtime>| {
			submit(who, call).unwrap().expect_err("the result is refused")
		};
		// Not the operator; shares that do not sum; a contribution that the model never saw.
		refused(BobStash, answer(request, &[(0, CLAIM_PARTS)]));
		refused(Eve, answer(request, &[(0, CLAIM_PARTS - 1)]));
		refused(Eve, answer(request, &[(2, CLAIM_PARTS)]));
		assert_eq!(
			Balances::total_balance_on_hold(&AliceStash.to_account_id()),
			PRICES.fee(100, 200).unwrap(),
			"nothing moved"
		);
		submit_ok(Eve, answer(request, &[(0, CLAIM_PARTS)]));
		let unpaid = Attribution::unpaid(Bob.to_account_id());
		refused(Eve, answer(request, &[(0, CLAIM_PARTS)]));
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
		assert!(submit(Eve, answer(request, &[(0, CLAIM_PARTS)])).unwrap().is_err());
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
			applied(submit(Eve, answer(request, &parts)))
		}),
		Step::Unattributed { which } => {
			pick(which).is_some_and(|request| applied(submit(Eve, answer(request, &[]))))
		},
		Step::Fail { which } => pick(which).is_some_and(|request| {
			applied(submit(
				Eve,
				pallet_inference::Call::report_failure {
					request,
					reason: pallet_inference::FailureReason::EngineFault,
				},
			))
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
			submit_ok(Eve, answer(request, &[(0, 1), (1, CLAIM_PARTS - 1)]));
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
