//! Random histories: whatever anybody does in whatever order, no plank appears or vanishes, what is
//! held is what is owed, and every slot that was taken is given back exactly once.

use crate::{mock::*, *};
use openledger_primitives::{
	Balance,
	licence::LicenceTerms, receipt::Prices, BaseModelId, ModelId, TrainingJobId, H256,
};
use proptest::prelude::*;

const CREATORS: [AccountId; 3] = [CREATOR, OTHER, REGISTRAR];
const WORKERS: [AccountId; 3] = [10, 11, CREATOR];

#[derive(Clone, Debug)]
enum Step {
	Request { who: usize, budget: u128, blocks: u64, commercial: bool },
	Assign { job: u64 },
	Start { job: u64, by_operator: bool },
	Decline { job: u64 },
	Deliver { job: u64, by_operator: bool },
	Cancel { job: u64, by_creator: bool },
	Dispute { job: u64 },
	Resolve { job: u64, upheld: bool },
	Settle { job: u64 },
	Expire { job: u64 },
	Publish { model: u32, price: u128 },
	Offer { model: u32, to: usize },
	Accept { model: u32 },
	RetireModel { model: u32 },
	RetireBase,
	Slots { worker: usize, free: u32 },
	Blocks { count: u64, idle: bool },
}

/// A job's number, more often one that is there.
fn job() -> impl Strategy<Value = u64> {
	0u64..8
}

fn step() -> impl Strategy<Value = Step> {
	prop_oneof![
		4 => (0usize..3, 90u128..3_000, 3u64..60, any::<bool>()).prop_map(
			|(who, budget, blocks, commercial)| Step::Request { who, budget, blocks, commercial }
		),
		3 => job().prop_map(|job| Step::Assign { job }),
		5 => (job(), prop::bool::weighted(0.9))
			.prop_map(|(job, by_operator)| Step::Start { job, by_operator }),
		1 => job().prop_map(|job| Step::Decline { job }),
		5 => (job(), prop::bool::weighted(0.9))
			.prop_map(|(job, by_operator)| Step::Deliver { job, by_operator }),
		1 => (job(), prop::bool::weighted(0.8))
			.prop_map(|(job, by_creator)| Step::Cancel { job, by_creator }),
		3 => job().prop_map(|job| Step::Dispute { job }),
		3 => (job(), any::<bool>()).prop_map(|(job, upheld)| Step::Resolve { job, upheld }),
		2 => job().prop_map(|job| Step::Settle { job }),
		3 => job().prop_map(|job| Step::Expire { job }),
		1 => (0u32..4, 0u128..1_000).prop_map(|(model, price)| Step::Publish { model, price }),
		1 => (0u32..4, 0usize..3).prop_map(|(model, to)| Step::Offer { model, to }),
		1 => (0u32..4).prop_map(|model| Step::Accept { model }),
		1 => (0u32..4).prop_map(|model| Step::RetireModel { model }),
		1 => Just(Step::RetireBase),
		2 => (0usize..3, 0u32..3).prop_map(|(worker, free)| Step::Slots { worker, free }),
		5 => (1u64..25, prop::bool::weighted(0.7))
			.prop_map(|(count, idle)| Step::Blocks { count, idle }),
	]
}

/// The operator of the worker that has the job now, or somebody without a say.
fn operator_of(job: TrainingJobId) -> AccountId {
	ModelsPallet::job(job)
		.and_then(|job| job.phase.assigned_worker().copied())
		.map_or(JUDGE, Workers::operator)
}

fn creator_of(job: TrainingJobId) -> AccountId {
	ModelsPallet::job(job).map_or(JUDGE, |job| job.creator)
}

fn owner_of(model: ModelId) -> AccountId {
	ModelsPallet::model(model).map_or(JUDGE, |model| model.owner)
}

fn signed(who: AccountId) -> RuntimeOrigin {
	RuntimeOrigin::signed(who)
}

/// Takes a step; whether it was allowed does not matter here. Calls roll back when they fail, as in
/// a block.
fn take(step: Step) {
	let id = TrainingJobId;
	let outcome = frame_support::storage::with_storage_layer(|| match step {
		Step::Request { who, budget, blocks, commercial } => request(
			CREATORS[who],
			TrainingOrder {
				budget,
				training_blocks: blocks,
				commercial,
				..order(BaseModelId(0))
			},
		),
		Step::Assign { job } => ModelsPallet::assign_training(signed(POOR), id(job)),
		Step::Start { job, by_operator } => {
			let who = if by_operator { operator_of(id(job)) } else { POOR };
			ModelsPallet::start_training(signed(who), id(job))
		},
		Step::Decline { job } => {
			ModelsPallet::decline_training(signed(operator_of(id(job))), id(job))
		},
		Step::Deliver { job, by_operator } => {
			let who = if by_operator { operator_of(id(job)) } else { POOR };
			ModelsPallet::deliver_training(signed(who), id(job), result())
		},
		Step::Cancel { job, by_creator } => {
			let who = if by_creator { creator_of(id(job)) } else { POOR };
			ModelsPallet::cancel_training(signed(who), id(job))
		},
		Step::Dispute { job } => ModelsPallet::dispute_training(
			signed(creator_of(id(job))),
			id(job),
			DisputeReason::AdapterUnavailable,
			H256::zero(),
		),
		Step::Resolve { job, upheld } => {
			ModelsPallet::resolve_dispute(signed(JUDGE), id(job), upheld)
		},
		Step::Settle { job } => ModelsPallet::settle_training(signed(POOR), id(job)),
		Step::Expire { job } => ModelsPallet::expire_training(signed(POOR), id(job)),
		Step::Publish { model, price } => ModelsPallet::publish_model(
			signed(owner_of(ModelId(model))),
			ModelId(model),
			Prices { input_per_1000: price, output_per_1000: price },
		),
		Step::Offer { model, to } => ModelsPallet::offer_model(
			signed(owner_of(ModelId(model))),
			ModelId(model),
			CREATORS[to],
		),
		Step::Accept { model } => {
			let who = ModelOffers::<Test>::get(ModelId(model)).unwrap_or(JUDGE);
			ModelsPallet::accept_model(signed(who), ModelId(model))
		},
		Step::RetireModel { model } => {
			ModelsPallet::retire_model(signed(owner_of(ModelId(model))), ModelId(model))
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
	});
	// A refused step is part of the history, too; what must hold is checked by the caller.
	drop(outcome);
}

/// Slots taken with the workers are the jobs that have one.
fn assert_slots_match_jobs() {
	let working =
		Jobs::<Test>::iter_values().filter(|job| job.phase.assigned_worker().is_some()).count();
	assert_eq!(Workers::all_taken() as usize, working);
	assert_eq!(Workers::assignments(), Workers::outcomes().len() + working);
	assert!(Workers::subjects_are_unique());
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(96))]

	#[test]
	fn money_and_slots_should_be_conserved_whatever_happens(
		steps in prop::collection::vec(step(), 1..80)
	) {
		ExtBuilder::default().without_workers().build().execute_with(|| {
			register_base(1, LicenceTerms::OPEN);
			register_base(2, LicenceTerms::OPEN);
			for worker in WORKERS {
				Workers::put(worker, 100 + worker, 1);
			}
			let issuance = Balances::total_issuance();
			for step in steps {
				take(step);
				assert_eq!(Balances::total_issuance(), issuance);
				ModelsPallet::do_try_state().unwrap();
				assert_slots_match_jobs();
			}

			// Left alone, everything comes to its end.
			let paid_jobs = NextModelId::<Test>::get().0;
			begin_block(System::block_number() + 500);
			assert_eq!(Balances::total_issuance(), issuance);
			ModelsPallet::do_try_state().unwrap();
			assert_slots_match_jobs();
			assert_eq!(Jobs::<Test>::iter().count(), 0);
			assert_eq!(Agenda::<Test>::iter().count(), 0);
			assert_eq!(Workers::all_taken(), 0);
			assert!(NextModelId::<Test>::get().0 >= paid_jobs);
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
