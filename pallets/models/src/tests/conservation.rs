//! Random histories: whatever anybody does in whatever order, no plank appears or vanishes, what is
//! held is what is owed, and every slot that was taken is given back exactly once.

use crate::{mock::*, *};
use frame_support::{storage::with_storage_layer, traits::Currency};
use openledger_primitives::{
	jobs::FailureReason, licence::LicenceTerms, receipt::Prices, Balance, BaseModelId, ModelId,
	TrainingJobId, H256,
};
use proptest::prelude::*;
use sp_runtime::DispatchResult;
use std::collections::BTreeMap;

const CREATORS: [AccountId; 3] = [CREATOR, OTHER, REGISTRAR];
const WORKERS: [AccountId; 3] = [10, 11, CREATOR];

/// What a step does to a job.
#[derive(Clone, Copy, Debug)]
enum Act {
	Assign,
	Start,
	Decline,
	Deliver,
	Fail,
	Cancel,
	Dispute,
	Uphold,
	Reject,
	Settle,
	Expire,
}

#[derive(Clone, Debug)]
enum Step {
	Request {
		who: usize,
		budget: u128,
		blocks: u64,
		commercial: bool,
	},
	/// On the `nth` job of those where the act makes sense, by who may do it; or, astray, on any job
	/// by anybody.
	Act {
		act: Act,
		nth: usize,
		astray: bool,
	},
	Publish {
		nth: u32,
		price: u128,
	},
	Offer {
		nth: u32,
		to: usize,
	},
	Accept {
		nth: u32,
	},
	RetireModel {
		nth: u32,
	},
	RetireBase,
	Slots {
		worker: usize,
		free: u32,
	},
	Blocks {
		count: u64,
		idle: bool,
	},
}

fn act() -> impl Strategy<Value = Act> {
	prop_oneof![
		3 => Just(Act::Assign),
		6 => Just(Act::Start),
		1 => Just(Act::Decline),
		6 => Just(Act::Deliver),
		1 => Just(Act::Fail),
		1 => Just(Act::Cancel),
		3 => Just(Act::Dispute),
		1 => Just(Act::Uphold),
		1 => Just(Act::Reject),
		2 => Just(Act::Settle),
		2 => Just(Act::Expire),
	]
}

fn step() -> impl Strategy<Value = Step> {
	prop_oneof![
		5 => (0usize..3, 90u128..3_000, 3u64..60, any::<bool>()).prop_map(
			|(who, budget, blocks, commercial)| Step::Request { who, budget, blocks, commercial }
		),
		20 => (act(), 0usize..8, prop::bool::weighted(0.1))
			.prop_map(|(act, nth, astray)| Step::Act { act, nth, astray }),
		1 => (0u32..8, 0u128..1_000).prop_map(|(nth, price)| Step::Publish { nth, price }),
		1 => (0u32..8, 0usize..3).prop_map(|(nth, to)| Step::Offer { nth, to }),
		1 => (0u32..8).prop_map(|nth| Step::Accept { nth }),
		1 => (0u32..8).prop_map(|nth| Step::RetireModel { nth }),
		1 => Just(Step::RetireBase),
		2 => (0usize..3, 0u32..3).prop_map(|(worker, free)| Step::Slots { worker, free }),
		5 => (1u64..6, prop::bool::weighted(0.7))
			.prop_map(|(count, idle)| Step::Blocks { count, idle }),
		1 => (20u64..60, prop::bool::weighted(0.7))
			.prop_map(|(count, idle)| Step::Blocks { count, idle }),
	]
}

/// Whether the act can succeed on such a job.
fn fits(act: Act, job: &TrainingJobOf<Test>) -> bool {
	let due = System::block_number() >= job.phase.deadline();
	match (act, &job.phase) {
		(Act::Settle, Phase::Delivered { .. }) => due,
		(Act::Expire, Phase::Delivered { .. }) => false,
		(Act::Expire, _) => due,
		(Act::Assign | Act::Cancel, Phase::Open { .. })
		| (Act::Start | Act::Decline | Act::Cancel, Phase::Assigned { .. })
		| (Act::Deliver | Act::Fail, Phase::Running { .. })
		| (Act::Dispute, Phase::Delivered { .. })
		| (Act::Uphold | Act::Reject, Phase::Disputed { .. }) => !due,
		_ => false,
	}
}

fn choose_job(act: Act, nth: usize, astray: bool) -> TrainingJobId {
	let mut jobs: Vec<TrainingJobId> = Jobs::<Test>::iter()
		.filter(|(_, job)| astray || fits(act, job))
		.map(|(id, _)| id)
		.collect();
	jobs.sort_unstable();
	// With nothing to choose from, a job that may be unknown, gone or elsewhere.
	jobs.get(nth % jobs.len().max(1)).copied().unwrap_or(TrainingJobId(nth as u64))
}

fn choose_model(nth: u32) -> ModelId {
	ModelId(nth % NextModelId::<Test>::get().0.max(1))
}

fn owner_of(model: ModelId) -> AccountId {
	ModelsPallet::model(model).map_or(JUDGE, |model| model.owner)
}

fn signed(who: AccountId) -> RuntimeOrigin {
	RuntimeOrigin::signed(who)
}

fn take_act(act: Act, job: TrainingJobId, astray: bool) -> DispatchResult {
	let record = ModelsPallet::job(job);
	let operator = record
		.as_ref()
		.and_then(|job| job.phase.assigned_worker().copied())
		.map_or(POOR, Workers::operator);
	let creator = record.map_or(POOR, |job| job.creator);
	let right = |who| if astray { POOR } else { who };
	let by = |who| signed(right(who));
	match act {
		Act::Assign => ModelsPallet::assign_training(signed(POOR), job),
		Act::Start => start(right(operator), job),
		Act::Decline => decline(right(operator), job),
		Act::Deliver => deliver(right(operator), job, result()),
		Act::Fail => fail(right(operator), job, FailureReason::DataUnavailable),
		Act::Cancel => ModelsPallet::cancel_training(by(creator), job),
		Act::Dispute => ModelsPallet::dispute_training(
			by(creator),
			job,
			DisputeReason::AdapterUnavailable,
			H256::zero(),
		),
		Act::Uphold => ModelsPallet::resolve_dispute(by(JUDGE), job, true),
		Act::Reject => ModelsPallet::resolve_dispute(by(JUDGE), job, false),
		Act::Settle => ModelsPallet::settle_training(signed(POOR), job),
		Act::Expire => ModelsPallet::expire_training(signed(POOR), job),
	}
}

/// Takes a step. Calls roll back when they fail, as in a block; a refused step is part of the history,
/// too, and what must hold after it is checked by the caller.
fn take(step: Step) -> DispatchResult {
	with_storage_layer(|| match step {
		Step::Request { who, budget, blocks, commercial } => request(
			CREATORS[who],
			TrainingOrder { budget, training_blocks: blocks, commercial, ..order(BaseModelId(0)) },
		),
		Step::Act { act, nth, astray } => take_act(act, choose_job(act, nth, astray), astray),
		Step::Publish { nth, price } => {
			let model = choose_model(nth);
			let prices = Prices { input_per_1000: price, output_per_1000: price };
			ModelsPallet::publish_model(signed(owner_of(model)), model, prices)
		},
		Step::Offer { nth, to } => {
			let model = choose_model(nth);
			ModelsPallet::offer_model(signed(owner_of(model)), model, CREATORS[to])
		},
		Step::Accept { nth } => {
			let model = choose_model(nth);
			let who = ModelOffers::<Test>::get(model).unwrap_or(JUDGE);
			ModelsPallet::accept_model(signed(who), model)
		},
		Step::RetireModel { nth } => {
			let model = choose_model(nth);
			ModelsPallet::retire_model(signed(owner_of(model)), model)
		},
		Step::RetireBase => {
			// Not the one that the orders name: the history goes on.
			ModelsPallet::retire_base_model(RuntimeOrigin::root(), BaseModelId(1))
		},
		Step::Slots { worker, free } => {
			Workers::set_free_slots(WORKERS[worker], free);
			Ok(())
		},
		Step::Blocks { count, idle } => {
			let until = System::block_number() + count;
			if idle {
				begin_block(until);
			} else {
				begin_block_without_idle(until);
			}
			Ok(())
		},
	})
}

/// Slots taken with the workers are the jobs that have one.
fn assert_slots_match_jobs() {
	let working =
		Jobs::<Test>::iter_values().filter(|job| job.phase.assigned_worker().is_some()).count();
	assert_eq!(Workers::all_taken() as usize, working);
	assert_eq!(Workers::assignments(), Workers::outcomes().len() + working);
	assert!(Workers::subjects_are_unique());
}

/// Those who only work have what the settled jobs say, with the bonds of rejected disputes: each paid
/// once, to the right worker, and nothing else.
fn assert_workers_got_what_was_settled() {
	let mut settled = BTreeMap::new();
	let mut rejected = Vec::new();
	for record in System::events() {
		match record.event {
			RuntimeEvent::ModelsPallet(Event::TrainingSettled { job, worker, paid, .. }) => {
				assert_eq!(settled.insert(job, (worker, paid)), None, "settled twice");
			},
			RuntimeEvent::ModelsPallet(Event::DisputeEnded { job, verdict: Verdict::Rejected }) => {
				rejected.push(job);
			},
			_ => (),
		}
	}
	for (who, funds) in [(WORKERS[0], FUNDS), (WORKERS[1], 0)] {
		let paid: Balance =
			settled.values().filter(|(worker, _)| *worker == who).map(|(_, paid)| paid).sum();
		let bonds = rejected.iter().filter(|job| settled[job].0 == who).count() as Balance * BOND;
		assert_eq!(Balances::total_balance(&who), funds + paid + bonds);
	}
	assert_eq!(settled.len(), NextModelId::<Test>::get().0 as usize);
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(96))]

	#[test]
	fn money_and_slots_should_be_conserved_whatever_happens(
		steps in prop::collection::vec(step(), 1..120)
	) {
		ExtBuilder::default().without_workers().build().execute_with(|| {
			register_base(1, LicenceTerms::OPEN);
			register_base(2, LicenceTerms::OPEN);
			for worker in WORKERS {
				Workers::put(worker, 100 + worker, 1);
			}
			let issuance = Balances::total_issuance();
			for step in steps {
				let _ = take(step);
				assert_eq!(Balances::total_issuance(), issuance);
				ModelsPallet::do_try_state().unwrap();
				assert_slots_match_jobs();
			}

			// Left alone, everything comes to its end.
			begin_block(System::block_number() + 500);
			assert_eq!(Balances::total_issuance(), issuance);
			ModelsPallet::do_try_state().unwrap();
			assert_slots_match_jobs();
			assert_eq!(Jobs::<Test>::iter().count(), 0);
			assert_eq!(Agenda::<Test>::iter().count(), 0);
			assert_eq!(Workers::all_taken(), 0);
			assert_workers_got_what_was_settled();
			for creator in CREATORS {
				assert_eq!(held(HoldReason::TrainingBudget, creator), 0);
				assert_eq!(held(HoldReason::DisputeBond, creator), 0);
			}
			// One deposit for each base model and each model, and no other.
			let deposits: Balance =
				CREATORS.iter().map(|who| held(HoldReason::RecordDeposit, *who)).sum();
			let records = BaseModels::<Test>::iter().count() + Models::<Test>::iter().count();
			assert_eq!(deposits, records as Balance * DepositBase::get());
		});
	}
}
