//! The table of the pallet's page, as a test: every call in every phase, before and at the deadline,
//! by the right caller and by a stranger.

use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::{jobs::FailureReason, TrainingJobId, H256};
use sp_runtime::DispatchResult;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
	Open,
	Assigned,
	Running,
	Delivered,
	Disputed,
	Settled,
	TimedOut,
	Cancelled,
	Refuted,
	Failed,
	Unknown,
}

const STAGES: [Stage; 11] = [
	Stage::Open,
	Stage::Assigned,
	Stage::Running,
	Stage::Delivered,
	Stage::Disputed,
	Stage::Settled,
	Stage::TimedOut,
	Stage::Cancelled,
	Stage::Refuted,
	Stage::Failed,
	Stage::Unknown,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
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

const CALLS: [Call; 11] = [
	Call::Assign,
	Call::Start,
	Call::Decline,
	Call::Deliver,
	Call::Fail,
	Call::Cancel,
	Call::Dispute,
	Call::Uphold,
	Call::Reject,
	Call::Settle,
	Call::Expire,
];

fn stage_of(job: TrainingJobId) -> Stage {
	match ModelsPallet::job(job).map(|job| job.phase) {
		Some(Phase::Open { .. }) => Stage::Open,
		Some(Phase::Assigned { .. }) => Stage::Assigned,
		Some(Phase::Running { .. }) => Stage::Running,
		Some(Phase::Delivered { .. }) => Stage::Delivered,
		Some(Phase::Disputed { .. }) => Stage::Disputed,
		Some(Phase::Settled { .. }) => Stage::Settled,
		Some(Phase::TimedOut { .. }) => Stage::TimedOut,
		Some(Phase::Cancelled { .. }) => Stage::Cancelled,
		Some(Phase::Refuted { .. }) => Stage::Refuted,
		Some(Phase::Failed { .. }) => Stage::Failed,
		None => Stage::Unknown,
	}
}

/// A job in that stage, with one slot free for who needs it.
fn job_in(stage: Stage) -> TrainingJobId {
	let job = match stage {
		Stage::Open => {
			Workers::set_free_slots(WORKER, 0);
			let job = new_job();
			Workers::set_free_slots(WORKER, 1);
			job
		},
		Stage::Assigned => new_job(),
		Stage::Running => running_job(),
		Stage::Delivered => delivered_job(),
		Stage::Disputed => disputed_job(),
		Stage::Settled => {
			let job = disputed_job();
			assert_ok!(ModelsPallet::resolve_dispute(RuntimeOrigin::root(), job, false));
			job
		},
		Stage::TimedOut => {
			let job = new_job();
			for _ in 1..ASSIGNMENTS {
				assert_ok!(decline(OPERATOR, job));
				assert_ok!(ModelsPallet::assign_training(RuntimeOrigin::signed(OTHER), job));
			}
			assert_ok!(decline(OPERATOR, job));
			job
		},
		Stage::Cancelled => {
			let job = new_job();
			assert_ok!(ModelsPallet::cancel_training(RuntimeOrigin::signed(CREATOR), job));
			job
		},
		Stage::Refuted => {
			let job = disputed_job();
			assert_ok!(ModelsPallet::resolve_dispute(RuntimeOrigin::root(), job, true));
			job
		},
		Stage::Failed => {
			let job = running_job();
			assert_ok!(fail(OPERATOR, job, FailureReason::EngineFault));
			job
		},
		Stage::Unknown => TrainingJobId(77),
	};
	assert_eq!(stage_of(job), stage);
	job
}

/// Who may make the call.
fn caller(call: Call) -> AccountId {
	match call {
		Call::Assign | Call::Settle | Call::Expire => OTHER,
		Call::Start | Call::Decline | Call::Deliver | Call::Fail => OPERATOR,
		Call::Cancel | Call::Dispute => CREATOR,
		Call::Uphold | Call::Reject => JUDGE,
	}
}

fn make(call: Call, who: AccountId, job: TrainingJobId) -> DispatchResult {
	let origin = RuntimeOrigin::signed(who);
	match call {
		Call::Assign => ModelsPallet::assign_training(origin, job),
		Call::Start => start(who, job),
		Call::Decline => decline(who, job),
		Call::Deliver => deliver(who, job, result()),
		Call::Fail => fail(who, job, FailureReason::EngineFault),
		Call::Cancel => ModelsPallet::cancel_training(origin, job),
		Call::Dispute => {
			ModelsPallet::dispute_training(origin, job, DisputeReason::IndexFalse, H256::zero())
		},
		Call::Uphold => ModelsPallet::resolve_dispute(origin, job, true),
		Call::Reject => ModelsPallet::resolve_dispute(origin, job, false),
		Call::Settle => ModelsPallet::settle_training(origin, job),
		Call::Expire => ModelsPallet::expire_training(origin, job),
	}
}

/// Where the right caller's call leads before the deadline.
fn before_deadline(stage: Stage, call: Call) -> Result<Stage, Error<Test>> {
	match (stage, call) {
		(Stage::Unknown, _) => Err(Error::UnknownJob),
		(Stage::Open, Call::Assign) => Ok(Stage::Assigned),
		(Stage::Open | Stage::Assigned, Call::Cancel) => Ok(Stage::Cancelled),
		(Stage::Assigned, Call::Start) => Ok(Stage::Running),
		(Stage::Assigned, Call::Decline) => Ok(Stage::Open),
		(Stage::Running, Call::Deliver) => Ok(Stage::Delivered),
		(Stage::Running, Call::Fail) => Ok(Stage::Failed),
		(Stage::Delivered, Call::Dispute) => Ok(Stage::Disputed),
		(Stage::Disputed, Call::Uphold) => Ok(Stage::Refuted),
		(Stage::Disputed, Call::Reject) => Ok(Stage::Settled),
		(Stage::Delivered, Call::Settle) => Err(Error::TooEarly),
		(Stage::Delivered, Call::Expire) => Err(Error::WrongPhase),
		(_, Call::Expire) => Err(Error::TooEarly),
		_ => Err(Error::WrongPhase),
	}
}

/// Where it leads from the deadline on.
fn at_deadline(stage: Stage, call: Call) -> Result<Stage, Error<Test>> {
	match (stage, call) {
		(Stage::Unknown, _) => Err(Error::UnknownJob),
		(Stage::Open, Call::Expire) => Ok(Stage::TimedOut),
		// To the next worker.
		(Stage::Assigned, Call::Expire) => Ok(Stage::Assigned),
		(Stage::Running, Call::Expire) => Ok(Stage::TimedOut),
		(Stage::Delivered, Call::Settle) => Ok(Stage::Settled),
		(Stage::Delivered, Call::Expire) => Err(Error::WrongPhase),
		(Stage::Disputed, Call::Expire) => Ok(Stage::Settled),
		(_, Call::Expire) => Ok(Stage::Unknown),
		(Stage::Open, Call::Assign | Call::Cancel)
		| (Stage::Assigned, Call::Start | Call::Decline | Call::Cancel)
		| (Stage::Running, Call::Deliver | Call::Fail)
		| (Stage::Delivered, Call::Dispute)
		| (Stage::Disputed, Call::Uphold | Call::Reject) => Err(Error::TooLate),
		_ => Err(Error::WrongPhase),
	}
}

fn check(
	stage: Stage,
	call: Call,
	block: impl Fn(u64) -> u64,
	expected: Result<Stage, Error<Test>>,
) {
	ExtBuilder::default().build_and_execute(|| {
		let job = job_in(stage);
		if stage != Stage::Unknown {
			begin_block_without_idle(block(phase(job).deadline()));
		}
		match expected {
			Ok(next) => {
				assert_ok!(make(call, caller(call), job));
				assert_eq!(stage_of(job), next, "{stage:?} {call:?}");
			},
			Err(error) => {
				assert_noop!(make(call, caller(call), job), error);
			},
		}
	});
}

#[test]
fn every_call_should_follow_the_table_before_the_deadline() {
	for stage in STAGES {
		for call in CALLS {
			check(stage, call, |deadline| deadline - 1, before_deadline(stage, call));
		}
	}
}

#[test]
fn every_call_should_follow_the_table_at_the_deadline_and_later() {
	for stage in STAGES {
		for call in CALLS {
			check(stage, call, |deadline| deadline, at_deadline(stage, call));
			check(stage, call, |deadline| deadline + 3, at_deadline(stage, call));
		}
	}
}

#[test]
fn no_call_of_a_party_should_be_open_to_strangers() {
	let parties = [
		(Stage::Assigned, Call::Start, Error::<Test>::NotOperator),
		(Stage::Assigned, Call::Decline, Error::NotOperator),
		(Stage::Running, Call::Deliver, Error::NotOperator),
		(Stage::Running, Call::Fail, Error::NotOperator),
		(Stage::Open, Call::Cancel, Error::NotCreator),
		(Stage::Assigned, Call::Cancel, Error::NotCreator),
		(Stage::Delivered, Call::Dispute, Error::NotCreator),
	];
	for (stage, call, error) in parties {
		ExtBuilder::default().build_and_execute(|| {
			let job = job_in(stage);
			assert_noop!(make(call, OTHER, job), error);
		});
	}
	// A judgement is refused by origin before anything else, in every stage.
	for stage in STAGES {
		ExtBuilder::default().build_and_execute(|| {
			let job = job_in(stage);
			for call in [Call::Uphold, Call::Reject] {
				assert_noop!(make(call, CREATOR, job), sp_runtime::traits::BadOrigin);
			}
		});
	}
}

#[test]
fn every_job_should_end_and_be_forgotten_when_nobody_does_anything() {
	for stage in STAGES.into_iter().filter(|stage| *stage != Stage::Unknown) {
		ExtBuilder::default().build_and_execute(|| {
			let job = job_in(stage);
			begin_block(1_000);
			assert_eq!(stage_of(job), Stage::Unknown, "from {stage:?}");
			assert_eq!(Workers::all_taken(), 0);
			assert_eq!(held(HoldReason::TrainingBudget, CREATOR), 0);
			assert_eq!(held(HoldReason::DisputeBond, CREATOR), 0);
			assert_eq!(Agenda::<Test>::iter().count(), 0);
		});
	}
}
