//! Whatever happens in whatever order: no plank appears or disappears, and every slot that is taken
//! is given back once.

use super::*;
use crate::{NextRequestId, Requests};
use openledger_primitives::jobs::JobOutcome;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
	Ask {
		who: AccountId,
		free: bool,
		max_input: u32,
		max_output: u32,
	},
	/// An answer to one of the latest requests, perhaps by the wrong operator, to an ended request,
	/// or with too many tokens: so many thousandths of what is allowed.
	Submit {
		back: u64,
		operator: AccountId,
		input: u64,
		output: u64,
	},
	Fail {
		back: u64,
		operator: AccountId,
	},
	Expire {
		back: u64,
	},
	Pass {
		blocks: u64,
		full: bool,
	},
}

fn operator() -> impl Strategy<Value = AccountId> {
	prop::sample::select(vec![OPERATOR, OTHER_OPERATOR])
}

fn op() -> impl Strategy<Value = Op> {
	let who = prop::sample::select(vec![REQUESTER, OTHER_REQUESTER]);
	prop_oneof![
		4 => (who, any::<bool>(), 0..200u32, 0..60_000u32).prop_map(
			|(who, free, max_input, max_output)| Op::Ask { who, free, max_input, max_output }
		),
		5 => (0..6u64, operator(), 0..1_050u64, 0..1_050u64).prop_map(
			|(back, operator, input, output)| Op::Submit { back, operator, input, output }
		),
		1 => (0..6u64, operator()).prop_map(|(back, operator)| Op::Fail { back, operator }),
		2 => (0..9u64).prop_map(|back| Op::Expire { back }),
		3 => (1..TIMEOUT, any::<bool>()).prop_map(|(blocks, full)| Op::Pass { blocks, full }),
	]
}

/// The request so many before the latest one; one that does not exist when there are too few.
fn latest(back: u64) -> RequestId {
	RequestId(NextRequestId::<Test>::get().0.wrapping_sub(1 + back))
}

fn total_of(who: AccountId) -> Balance {
	Balances::free_balance(who) + on_hold(who)
}

fn apply(op: Op) {
	match op {
		Op::Ask { who, free, max_input, max_output } => {
			let before = total_of(who);
			let model = if free { FREE_MODEL } else { MODEL };
			let result = Inference::request_inference(
				RuntimeOrigin::signed(who),
				model,
				bytes("why?"),
				max_input,
				max_output,
				Balance::MAX,
			);
			assert_eq!(total_of(who), before, "asking costs nothing");
			if result.is_ok() {
				let id = RequestId(NextRequestId::<Test>::get().0 - 1);
				assert!(matches!(phase(id), Phase::Assigned(_)));
			}
		},
		Op::Submit { back, operator, input, output } => {
			let id = latest(back);
			let Some(before) = Requests::<Test>::get(id) else {
				assert!(Submission::fitting(id).submit_by(operator).is_err());
				return;
			};
			let mut submission = Submission::fitting(id);
			let input = (u64::from(before.max_input_tokens) * input / 1_000) as u32;
			let output = (u64::from(before.max_output_tokens) * output / 1_000) as u32;
			submission.receipt.model = before.model;
			submission.claim.model = before.model;
			submission.receipt.input_tokens = input;
			submission.receipt.output_tokens = output;
			let pot = Balances::free_balance(POT);
			let released = Released::get().len();
			let result = submission.submit_by(operator);
			let paid = if result.is_ok() {
				let Phase::Assigned(job) = before.phase else { panic!("answered twice") };
				let fee = before.prices.fee(input, output).unwrap();
				assert!(fee <= job.held);
				assert!(System::block_number() <= job.answer_by);
				fee
			} else {
				0
			};
			assert_eq!(Balances::free_balance(POT), pot + paid);
			assert_eq!(Released::get().len(), released + usize::from(result.is_ok()));
		},
		// What is refused must change nothing, which the caller of this checks.
		Op::Fail { back, operator } => {
			let _ = fail(latest(back), FailureReason::EngineFault, operator);
		},
		Op::Expire { back } => {
			let _ = Inference::expire_request(RuntimeOrigin::signed(OPERATOR), latest(back));
		},
		Op::Pass { blocks, full } => {
			let until = System::block_number() + blocks;
			if full {
				run_full_blocks_to(until);
			} else {
				run_to(until);
			}
		},
	}
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(64))]

	#[test]
	fn money_and_slots_should_be_conserved_when_anything_happens(
		ops in prop::collection::vec(op(), 1..80),
	) {
		ExtBuilder.build_and_execute(|| {
			let issued = Balances::total_issuance();
			for op in ops {
				apply(op);
				assert_eq!(Balances::total_issuance(), issued);
				check_state();
			}
			// In the end everything is over, and everybody has what they did not pay.
			run_to(System::block_number() + TIMEOUT + RETENTION + 2);
			assert_eq!(Requests::<Test>::iter().count(), 0);
			assert_eq!(Released::get().len() as u64, NextRequestId::<Test>::get().0);
			let delivered =
				Released::get().iter().filter(|(_, how)| *how == JobOutcome::Delivered).count();
			assert_eq!(delivered, Settled::get().len());
			let fees: Balance = Settled::get().values().sum();
			assert_eq!(Balances::free_balance(POT), ENDOWMENT + fees);
			assert_eq!(
				total_of(REQUESTER) + total_of(OTHER_REQUESTER),
				2 * ENDOWMENT - fees
			);
		});
	}
}
