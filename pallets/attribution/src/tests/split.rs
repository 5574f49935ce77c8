//! Changing how fees are split.

use super::*;
use crate::{Error, Event};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::{shares::FeeSplit, traits::Settlement};
use sp_runtime::DispatchError;

const ALL_TO_CONTRIBUTORS: FeeSplit =
	FeeSplit { contributors: 10_000, host: 0, model_owner: 0, validators: 0, treasury: 0 };

#[test]
fn set_fee_split_should_hold_for_settlements_from_now_on() {
	ExtBuilder::default().build_and_execute(|| {
		assert_eq!(Attribution::fee_split(), FeeSplit::GENESIS);
		assert_ok!(Attribution::settle(answer(0, 1_000), &three_shares(0)));
		assert_ok!(Attribution::set_fee_split(RuntimeOrigin::root(), ALL_TO_CONTRIBUTORS));
		System::assert_last_event(
			Event::FeeSplitChanged { old: FeeSplit::GENESIS, new: ALL_TO_CONTRIBUTORS }.into(),
		);
		assert_eq!(Attribution::fee_split(), ALL_TO_CONTRIBUTORS);
		assert_ok!(Attribution::settle(answer(1, 1_000), &three_shares(1)));

		assert_eq!(Attribution::unpaid(ALICE), 300 + 600);
		assert_eq!(Attribution::unpaid(HOST), 200, "what was credited stays");
	});
}

#[test]
fn set_fee_split_should_be_refused_when_not_whole() {
	ExtBuilder::default().build_and_execute(|| {
		for contributors in [0, 9_999, 10_001, u16::MAX] {
			let split = FeeSplit { contributors, ..ALL_TO_CONTRIBUTORS };
			assert_noop!(
				Attribution::set_fee_split(RuntimeOrigin::root(), split),
				Error::<Test>::SplitNotWhole
			);
		}
	});
}

#[test]
fn set_fee_split_should_be_refused_when_not_by_the_admin() {
	ExtBuilder::default().build_and_execute(|| {
		assert_noop!(
			Attribution::set_fee_split(RuntimeOrigin::signed(HOST), ALL_TO_CONTRIBUTORS),
			DispatchError::BadOrigin
		);
	});
}
