//! What gets into a pool or a block: reports of the right operator that the chain would take, at no
//! cost and with no account, and nothing else.

use crate::{mock::*, *};
use frame_support::assert_ok;
use frame_system::RawOrigin;
use openledger_pallet_support::operator::{
	refusal,
	testing::{self, authorise, code, NumberedSignature},
	PRIORITY,
};
use openledger_primitives::{
	jobs::{operator_message, FailureReason},
	training::TrainingResult,
	TrainingJobId, H256,
};
use sp_runtime::{
	traits::BadOrigin,
	transaction_validity::{InvalidTransaction, TransactionValidityError},
	DispatchResult,
};

const REASON: FailureReason = FailureReason::SpecificationUnusable;

fn start_by(operator: AccountId, job: TrainingJobId, attempt: u32) -> Call<Test> {
	let message = ModelsPallet::start_message(job, attempt);
	let signature = NumberedSignature::by(operator, message);
	Call::start_training { job, attempt, operator, signature }
}

fn decline_by(operator: AccountId, job: TrainingJobId, attempt: u32) -> Call<Test> {
	let message = ModelsPallet::decline_message(job, attempt, REASON);
	let signature = NumberedSignature::by(operator, message);
	Call::decline_training { job, attempt, reason: REASON, operator, signature }
}

fn fail_by(operator: AccountId, job: TrainingJobId, attempt: u32) -> Call<Test> {
	let message = ModelsPallet::failure_message(job, attempt, REASON);
	let signature = NumberedSignature::by(operator, message);
	Call::report_failure { job, attempt, reason: REASON, operator, signature }
}

fn deliver_by(operator: AccountId, job: TrainingJobId, result: TrainingResult) -> Call<Test> {
	let attempt = 1;
	let message = ModelsPallet::delivery_message(job, attempt, &result);
	let signature = NumberedSignature::by(operator, message);
	Call::deliver_training { job, attempt, result, operator, signature }
}

fn apply(call: Call<Test>) -> Result<DispatchResult, TransactionValidityError> {
	testing::apply::<Test>(call)
}

fn refused(call: Call<Test>, why: InvalidTransaction) {
	testing::refused::<Test>(call, why)
}

#[test]
fn reports_should_cost_nothing_and_need_no_account() {
	ExtBuilder::default().build_and_execute(|| {
		assert!(!frame_system::Account::<Test>::contains_key(OPERATOR));
		let issued = Balances::total_issuance();
		let job = new_job();
		assert_eq!(apply(start_by(OPERATOR, job, 1)), Ok(Ok(())));
		assert_eq!(apply(deliver_by(OPERATOR, job, result())), Ok(Ok(())));
		let declined = new_job();
		assert_eq!(apply(decline_by(OPERATOR, declined, 1)), Ok(Ok(())));
		assert!(matches!(phase(job), Phase::Delivered { .. }));
		assert!(matches!(phase(declined), Phase::Open { .. }));
		System::assert_last_event(
			Event::TrainingDeclined { job: declined, worker: WORKER, reason: REASON }.into(),
		);
		assert_eq!(Balances::total_issuance(), issued);
		assert!(!frame_system::Account::<Test>::contains_key(OPERATOR), "there is none after");
	});
}

#[test]
fn report_should_be_valid_once_per_attempt_and_stage_until_its_deadline() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		let start = authorise(&start_by(OPERATOR, job, 1)).unwrap();
		assert_eq!(start.priority, PRIORITY);
		assert!(start.propagate);
		assert_eq!(start.longevity, START, "the deadline itself is too late");
		assert_eq!(start.provides.len(), 1);
		let decline = authorise(&decline_by(OPERATOR, job, 1)).unwrap();
		assert_eq!(decline.provides, start.provides, "one or the other");
		let other = authorise(&start_by(OPERATOR, new_job(), 1)).unwrap();
		assert_ne!(other.provides, start.provides);

		assert_eq!(apply(start_by(OPERATOR, job, 1)), Ok(Ok(())));
		let delivery = authorise(&deliver_by(OPERATOR, job, result())).unwrap();
		assert_ne!(delivery.provides, start.provides, "a start on its way out is no obstacle");
		assert_eq!(delivery.longevity, 40);
		let failure = authorise(&fail_by(OPERATOR, job, 1)).unwrap();
		assert_eq!(failure.provides, delivery.provides, "one or the other");
		assert_eq!(failure.longevity, 40);
		System::set_block_number(40);
		assert_eq!(authorise(&deliver_by(OPERATOR, job, result())).unwrap().longevity, 1);
		System::set_block_number(41);
		refused(deliver_by(OPERATOR, job, result()), code(refusal::TOO_LATE));
	});
}

#[test]
fn report_should_be_refused_when_it_was_signed_for_an_earlier_attempt() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		let decline = decline_by(OPERATOR, job, 1);
		assert_eq!(apply(decline.clone()), Ok(Ok(())));
		refused(decline.clone(), code(refusal::WRONG_PHASE));
		// The same worker again: its first refusal must not speak for it twice.
		assert_ok!(ModelsPallet::assign_training(RuntimeOrigin::signed(OTHER), job));
		refused(decline, code(refusal::WRONG_ATTEMPT));
		refused(start_by(OPERATOR, job, 1), code(refusal::WRONG_ATTEMPT));
		refused(start_by(OPERATOR, job, 3), code(refusal::WRONG_ATTEMPT));
		let Call::decline_training { reason, operator, signature, .. } =
			decline_by(OPERATOR, job, 1)
		else {
			panic!("it is a refusal")
		};
		refused(
			Call::decline_training { job, attempt: 2, reason, operator, signature },
			InvalidTransaction::BadProof,
		);
		assert_eq!(apply(start_by(OPERATOR, job, 2)), Ok(Ok(())));
	});
}

#[test]
fn failure_should_not_get_in_before_the_start_or_twice() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		let failure = fail_by(OPERATOR, job, 1);
		refused(failure.clone(), code(refusal::WRONG_PHASE));
		// What was signed to decline the job, and never got in, does not end it once it is started,
		// nor does it under the name of the other call.
		let decline = decline_by(OPERATOR, job, 1);
		assert_eq!(apply(start_by(OPERATOR, job, 1)), Ok(Ok(())));
		refused(decline.clone(), code(refusal::WRONG_PHASE));
		let Call::decline_training { reason, operator, signature, .. } = decline else {
			panic!("it is a refusal")
		};
		let disguised = Call::report_failure { job, attempt: 1, reason, operator, signature };
		refused(disguised, InvalidTransaction::BadProof);
		refused(fail_by(OPERATOR, job, 2), code(refusal::WRONG_ATTEMPT));
		refused(fail_by(OTHER, job, 1), code(refusal::NOT_OPERATOR));

		// Another reason than the one that was signed.
		let Call::report_failure { operator, signature, .. } = failure.clone() else {
			panic!("it is a failure")
		};
		let reason = FailureReason::EngineFault;
		let changed = Call::report_failure { job, attempt: 1, reason, operator, signature };
		refused(changed, InvalidTransaction::BadProof);

		assert_eq!(apply(failure.clone()), Ok(Ok(())));
		assert!(matches!(phase(job), Phase::Failed { reason: REASON, .. }));
		refused(failure, code(refusal::WRONG_PHASE));
		refused(deliver_by(OPERATOR, job, result()), code(refusal::WRONG_PHASE));
		refused(start_by(OPERATOR, job, 1), code(refusal::WRONG_PHASE));
		assert!(!frame_system::Account::<Test>::contains_key(OPERATOR), "for nothing");
	});
	ExtBuilder::default().build_and_execute(|| {
		let job = running_job();
		System::set_block_number(41);
		refused(fail_by(OPERATOR, job, 1), code(refusal::TOO_LATE));
	});
	ExtBuilder::default().build_and_execute(|| {
		let job = delivered_job();
		refused(fail_by(OPERATOR, job, 1), code(refusal::WRONG_PHASE));
	});
}

#[test]
fn report_should_be_refused_when_the_signature_is_wrong() {
	ExtBuilder::default().build_and_execute(|| {
		let (job, other) = (new_job(), new_job());
		let genesis = System::block_hash(0);
		let with = |message| {
			let signature = NumberedSignature::by(OPERATOR, message);
			Call::start_training { job, attempt: 1, operator: OPERATOR, signature }
		};
		let bad = InvalidTransaction::BadProof;
		// Of nothing, of another job, of another call, of another chain.
		refused(with(H256::zero()), bad);
		refused(with(ModelsPallet::start_message(other, 1)), bad);
		refused(with(ModelsPallet::decline_message(job, 1, REASON)), bad);
		refused(with(operator_message(genesis, "models.decline_training", &(job, 1u32))), bad);
		let elsewhere = H256::repeat_byte(1);
		refused(with(operator_message(elsewhere, "models.start_training", &(job, 1u32))), bad);
		// Of another key in the operator's name.
		let signature = NumberedSignature::by(OTHER, ModelsPallet::start_message(job, 1));
		refused(Call::start_training { job, attempt: 1, operator: OPERATOR, signature }, bad);

		// And what the operator signs is this.
		let signed = operator_message(genesis, "models.start_training", &(job, 1u32));
		assert_eq!(apply(with(signed)), Ok(Ok(())));

		// A result under the signature of another result.
		let mut changed = result();
		changed.metrics.steps += 1;
		let Call::deliver_training { attempt, operator, signature, .. } =
			deliver_by(OPERATOR, job, result())
		else {
			panic!("it is a delivery")
		};
		refused(Call::deliver_training { job, attempt, result: changed, operator, signature }, bad);
	});
}

#[test]
fn report_should_be_refused_when_the_key_does_not_sign_for_the_worker() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		for stranger in [WORKER, CREATOR, OTHER] {
			refused(start_by(stranger, job, 1), code(refusal::NOT_OPERATOR));
			refused(decline_by(stranger, job, 1), code(refusal::NOT_OPERATOR));
		}
		let call = start_by(OPERATOR, job, 1);
		assert!(authorise(&call).is_ok());
		Workers::set_operator(WORKER, 111);
		refused(call, code(refusal::NOT_OPERATOR));
		assert_eq!(apply(start_by(111, job, 1)), Ok(Ok(())));
		refused(deliver_by(OPERATOR, job, result()), code(refusal::NOT_OPERATOR));
	});
}

#[test]
fn report_should_not_get_in_when_the_call_would_fail() {
	ExtBuilder::default().build_and_execute(|| {
		refused(start_by(OPERATOR, TrainingJobId(7), 1), code(refusal::UNKNOWN_JOB));
		refused(decline_by(OPERATOR, TrainingJobId(7), 1), code(refusal::UNKNOWN_JOB));
		let job = new_job();
		refused(deliver_by(OPERATOR, job, result()), code(refusal::WRONG_PHASE));
		assert_ok!(start(OPERATOR, job));
		refused(start_by(OPERATOR, job, 1), code(refusal::WRONG_PHASE));
		refused(decline_by(OPERATOR, job, 1), code(refusal::WRONG_PHASE));
		let nothing = TrainingResult { adapter_hash: H256::zero(), ..result() };
		refused(deliver_by(OPERATOR, job, nothing), code(refusal::EMPTY_RESULT));
		let delivery = deliver_by(OPERATOR, job, result());
		assert_eq!(apply(delivery.clone()), Ok(Ok(())));
		refused(delivery, code(refusal::WRONG_PHASE));
		let late = new_job();
		System::set_block_number(1 + START);
		refused(start_by(OPERATOR, late, 1), code(refusal::TOO_LATE));
	});
}

#[test]
fn report_should_be_refused_when_not_authorised() {
	ExtBuilder::default().build_and_execute(|| {
		let job = new_job();
		let no_signature = || NumberedSignature::by(OPERATOR, H256::zero());
		// Not even a transaction of the operator itself: a report has one way only.
		for origin in [
			RawOrigin::Root,
			RawOrigin::None,
			RawOrigin::Signed(OPERATOR),
			RawOrigin::Signed(WORKER),
		] {
			let origin = || RuntimeOrigin::from(origin.clone());
			let started = ModelsPallet::start_training(origin(), job, 1, OPERATOR, no_signature());
			assert_eq!(started, Err(BadOrigin.into()));
			let declined =
				ModelsPallet::decline_training(origin(), job, 1, REASON, OPERATOR, no_signature());
			assert_eq!(declined, Err(BadOrigin.into()));
			let delivered = ModelsPallet::deliver_training(
				origin(),
				job,
				1,
				result(),
				OPERATOR,
				no_signature(),
			);
			assert_eq!(delivered, Err(BadOrigin.into()));
			let failed =
				ModelsPallet::report_failure(origin(), job, 1, REASON, OPERATOR, no_signature());
			assert_eq!(failed, Err(BadOrigin.into()));
		}
		assert!(matches!(phase(job), Phase::Assigned { .. }));
	});
}
