//! What gets into a pool or a block: reports of the right operator that the chain would take, at no
//! cost and with no account, and nothing else.

use super::*;
use crate::{Error, Event};
use codec::Encode;
use openledger_pallet_support::operator::{
	refusal,
	testing::{self, authorise, code},
	PRIORITY,
};
use openledger_primitives::{jobs::operator_message, ModelId};
use sp_runtime::transaction_validity::{InvalidTransaction, TransactionValidityError};

fn apply(call: Call<Test>) -> Result<DispatchResult, TransactionValidityError> {
	testing::apply::<Test>(call)
}

fn refused(call: Call<Test>, why: InvalidTransaction) {
	testing::refused::<Test>(call, why)
}

#[test]
fn report_should_cost_nothing_and_need_no_account() {
	ExtBuilder.build_and_execute(|| {
		assert!(!frame_system::Account::<Test>::contains_key(OPERATOR));
		let (answered, failed) = (ask(), ask());
		let issued = Balances::total_issuance();

		assert_eq!(apply(Submission::fitting(answered).signed_by(OPERATOR)), Ok(Ok(())));
		assert_eq!(apply(failure_signed_by(OPERATOR, failed)), Ok(Ok(())));

		assert!(matches!(phase(answered), Phase::Answered(_)));
		assert!(matches!(phase(failed), Phase::Failed { .. }));
		assert_eq!(Balances::free_balance(REQUESTER), ENDOWMENT - 220, "the answer, and no fee");
		assert_eq!(Balances::total_issuance(), issued);
		assert!(!frame_system::Account::<Test>::contains_key(OPERATOR), "there is none after");
	});
}

#[test]
fn report_should_be_valid_once_per_request_until_its_deadline() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		let result = authorise(&Submission::fitting(id).signed_by(OPERATOR)).unwrap();
		assert_eq!(result.priority, PRIORITY);
		assert!(result.propagate);
		assert!(result.requires.is_empty());
		// This block and the blocks up to the last one for the answer.
		assert_eq!(result.longevity, TIMEOUT + 1);
		// A pool holds one transaction for a tag: the answer or the failure, whichever comes first.
		let failure = authorise(&failure_signed_by(OPERATOR, id)).unwrap();
		assert_eq!(result.provides.len(), 1);
		assert_eq!(failure.provides, result.provides);
		let other = authorise(&Submission::fitting(ask()).signed_by(OPERATOR)).unwrap();
		assert_ne!(other.provides, result.provides);

		System::set_block_number(1 + TIMEOUT);
		assert_eq!(authorise(&failure_signed_by(OPERATOR, id)).unwrap().longevity, 1);
		System::set_block_number(2 + TIMEOUT);
		refused(failure_signed_by(OPERATOR, id), code(refusal::TOO_LATE));
	});
}

#[test]
fn trying_a_report_out_should_leave_no_trace() {
	ExtBuilder.build_and_execute(|| {
		let call = Submission::fitting(ask()).signed_by(OPERATOR);
		let events = System::events();
		let root = sp_io::storage::root(sp_runtime::StateVersion::V1);
		assert!(authorise(&call).is_ok());
		assert_eq!(sp_io::storage::root(sp_runtime::StateVersion::V1), root);
		assert_eq!(System::events(), events);
	});
}

#[test]
fn report_should_be_refused_when_the_signature_is_wrong() {
	ExtBuilder.build_and_execute(|| {
		let (id, other) = (ask(), ask());
		let message = |submission: &Submission| {
			let Submission { receipt, answer, claim } = submission;
			Inference::result_message(id, receipt, answer, claim)
		};
		let fitting = Submission::fitting(id);
		let with = |signature| {
			let Submission { receipt, answer, claim } = Submission::fitting(id);
			let operator = OPERATOR;
			Call::submit_result { request: id, receipt, answer, claim, operator, signature }
		};
		let refused = |message| {
			refused(with(NumberedSignature::by(OPERATOR, message)), InvalidTransaction::BadProof)
		};
		refused(H256::zero());
		// Of another answer, of another request, of another call.
		let mut another = fitting.clone();
		another.receipt.output_tokens = 21;
		refused(message(&another));
		let Submission { receipt, answer, claim } = Submission::fitting(other);
		refused(Inference::result_message(other, &receipt, &answer, &claim));
		refused(Inference::failure_message(id, FailureReason::EngineFault));
		// Of another chain.
		let report = (id, &fitting.receipt, &fitting.answer, &fitting.claim);
		refused(operator_message(H256::repeat_byte(1), "inference.submit_result", &report));
		let genesis = frame_system::Pallet::<Test>::block_hash(0);
		refused(operator_message(genesis, "inference.report_failure", &report));

		// And what the operator signs is this.
		let signed = operator_message(genesis, "inference.submit_result", &report);
		assert_eq!(signed, message(&fitting));
		assert_eq!(apply(with(NumberedSignature::by(OPERATOR, signed))), Ok(Ok(())));
	});
}

#[test]
fn report_should_be_refused_when_somebody_else_signed_it() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		for stranger in [OTHER_OPERATOR, WORKER, REQUESTER] {
			let call = Submission::fitting(id).signed_by(stranger);
			refused(call, code(refusal::NOT_OPERATOR));
			refused(failure_signed_by(stranger, id), code(refusal::NOT_OPERATOR));
		}
		// In the operator's name.
		let Call::report_failure { request, reason, signature, .. } =
			failure_signed_by(OTHER_OPERATOR, id)
		else {
			panic!("it is a failure")
		};
		let operator = OPERATOR;
		refused(
			Call::report_failure { request, reason, operator, signature },
			InvalidTransaction::BadProof,
		);
	});
}

#[test]
fn report_should_be_refused_when_the_key_was_changed() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		let call = Submission::fitting(id).signed_by(OPERATOR);
		assert!(authorise(&call).is_ok());
		let mut pool = Pool::get();
		pool.insert(WORKER, (33, BASE));
		Pool::set(&pool);
		refused(call, code(refusal::NOT_OPERATOR));
		assert_eq!(apply(Submission::fitting(id).signed_by(33)), Ok(Ok(())));
	});
}

#[test]
fn report_should_be_refused_when_it_is_replayed() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		let result = Submission::fitting(id).signed_by(OPERATOR);
		let failure = failure_signed_by(OPERATOR, id);
		assert_eq!(apply(result.clone()), Ok(Ok(())));
		refused(result.clone(), code(refusal::WRONG_PHASE));
		refused(failure, code(refusal::WRONG_PHASE));
		run_to(RETENTION + 2);
		refused(result, code(refusal::UNKNOWN_JOB));
	});
}

#[test]
fn result_should_not_get_in_when_the_call_would_fail() {
	type Change = fn(&mut Submission);
	let cases: [(Change, u8); 9] = [
		(|it| it.receipt.model = ModelId(6), refusal::RECEIPT_MISFIT),
		(|it| it.receipt.request = RequestId(9), refusal::RECEIPT_MISFIT),
		(|it| it.receipt.prompt_hash = H256::zero(), refusal::RECEIPT_MISFIT),
		(|it| it.answer = bytes("because!"), refusal::RECEIPT_MISFIT),
		(|it| it.claim.answer_hash = H256::zero(), refusal::CLAIM_MISFIT),
		(|it| it.receipt.input_tokens = 101, refusal::TOO_MANY_TOKENS),
		(|it| it.receipt.output_tokens = 51, refusal::TOO_MANY_TOKENS),
		(|it| it.receipt.output_tokens = 0, refusal::TOKENS_CONTRADICT_ANSWER),
		// What the settlement says; in this mock it has no number.
		(|it| it.claim.model = ModelId(6), refusal::OTHER),
	];
	for (change, why) in cases {
		ExtBuilder.build_and_execute(|| {
			let mut submission = Submission::fitting(ask());
			change(&mut submission);
			refused(submission.signed_by(OPERATOR), code(why));
		});
	}
	ExtBuilder.build_and_execute(|| {
		refused(Submission::fitting(RequestId(0)).signed_by(OPERATOR), code(refusal::UNKNOWN_JOB));
	});
}

#[test]
fn errors_should_have_the_codes_that_clients_know() {
	type Refuse = fn(Error<Test>) -> TransactionValidityError;
	let refuse: Refuse = |error| {
		openledger_pallet_support::operator::refuse::<Inference, Error<Test>>(error.into(), |_| {
			refusal::OTHER
		})
	};
	let invalid = |code| TransactionValidityError::Invalid(InvalidTransaction::Custom(code));
	assert_eq!(refuse(Error::ModelNotServed), invalid(refusal::OTHER));
	// Errors of another pallet are the settlement's, by their number.
	let theirs = pallet_balances::Error::<Test>::ExistentialDeposit;
	let number = theirs.encode()[0];
	assert_eq!(
		openledger_pallet_support::operator::refuse::<Inference, Error<Test>>(
			theirs.into(),
			|_| unreachable!()
		),
		invalid(refusal::SETTLEMENT + number)
	);
}

#[test]
fn transaction_should_emit_the_events_of_its_call() {
	ExtBuilder.build_and_execute(|| {
		let id = ask();
		assert_eq!(apply(failure_signed_by(OPERATOR, id)), Ok(Ok(())));
		let reason = FailureReason::EngineFault;
		let failed = Event::RequestFailed { request: id, worker: WORKER, reason, refunded: MOST };
		assert_eq!(
			System::events().iter().filter(|record| record.event == failed.clone().into()).count(),
			1,
			"once, although it was tried out before"
		);
	});
}
