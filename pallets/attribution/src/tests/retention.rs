//! Forgetting settlements without forgetting that they were made.

use super::*;
use crate::{weights::WeightInfo, Agenda, AgendaCursor, Error, NewestPruned, Settlements};
use frame_support::{assert_noop, assert_ok, traits::Hooks, weights::Weight};
use openledger_primitives::traits::Settlement;

fn settle(request: u64) {
	assert_ok!(Attribution::settle(answer(request, 1_000), &three_shares(request)));
}

#[test]
fn settlement_should_be_pruned_when_its_retention_period_ends() {
	ExtBuilder::default().build_and_execute(|| {
		settle(0);
		run_to(RETENTION);
		assert!(Attribution::explain(RequestId(0)).is_some());
		run_to(RETENTION + 1);
		assert_eq!(Attribution::explain(RequestId(0)), None);
		assert_eq!(Agenda::<Test>::iter().count(), 0);
		assert_eq!(Attribution::unpaid(HOST), 200, "rewards do not expire");
	});
}

#[test]
fn settle_should_be_refused_when_the_record_was_pruned() {
	ExtBuilder::default().build_and_execute(|| {
		settle(5);
		run_to(RETENTION + 1);
		for request in [0, 4, 5] {
			assert_noop!(
				Attribution::settle(answer(request, 1_000), &three_shares(request)),
				Error::<Test>::RequestTooOld
			);
		}
		settle(6);
	});
}

#[test]
fn newest_pruned_should_not_go_back_when_a_lower_number_is_pruned_later() {
	ExtBuilder::default().build_and_execute(|| {
		settle(5);
		run_to(3);
		settle(4);
		run_to(RETENTION + 3);
		assert_eq!(Settlements::<Test>::iter().count(), 0);
		assert_eq!(NewestPruned::<Test>::get(), Some(RequestId(5)));
	});
}

#[test]
fn pruning_should_wait_when_the_block_is_full() {
	ExtBuilder::default().build_and_execute(|| {
		(0..3).for_each(settle);
		let due = RETENTION + 1;
		run_to(due - 1);
		System::set_block_number(due);
		assert_eq!(Attribution::on_idle(due, Weight::zero()), Weight::zero());
		assert_eq!(Settlements::<Test>::iter().count(), 3);

		let enough_for_two =
			<() as WeightInfo>::prune_block() + <() as WeightInfo>::prune_settlement() * 2;
		let used = Attribution::on_idle(due, enough_for_two);
		assert!(used.all_lte(enough_for_two));
		assert_eq!(Settlements::<Test>::iter().count(), 1);
		assert_eq!(AgendaCursor::<Test>::get(), due);

		run_to(due + 1);
		assert_eq!(Settlements::<Test>::iter().count(), 0);
	});
}
