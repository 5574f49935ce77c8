//! Claiming rewards.

use super::*;
use crate::{Error, Event, HoldReason, Rewards, TotalUnpaid};
use frame_support::{
	assert_noop, assert_ok,
	traits::{fungible::InspectHold, LockableCurrency, WithdrawReasons},
};
use openledger_primitives::traits::Settlement;
use sp_runtime::DispatchError;

fn settle(request: u64, fee: Balance) {
	assert_ok!(Attribution::settle(answer(request, fee), &three_shares(request)));
}

fn on_hold() -> Balance {
	Balances::balance_on_hold(&HoldReason::Rewards.into(), &Attribution::pot_account())
}

#[test]
fn claim_rewards_should_pay_everything_when_several_answers_earned() {
	ExtBuilder::default().build_and_execute(|| {
		settle(0, 1_000);
		settle(1, 2_000);
		assert_ok!(Attribution::claim_rewards(RuntimeOrigin::signed(HOST)));

		assert_eq!(Balances::free_balance(HOST), ENDOWMENT + 600);
		assert_eq!(Attribution::unpaid(HOST), 0);
		assert_eq!(on_hold(), 2_400);
		System::assert_last_event(Event::RewardsClaimed { who: HOST, amount: 600 }.into());
	});
}

#[test]
fn claim_rewards_should_create_the_account_when_it_earned_enough_to_live() {
	ExtBuilder::default().build_and_execute(|| {
		settle(0, 1_000);
		assert_ok!(Attribution::claim_rewards(RuntimeOrigin::signed(ALICE)));
		assert_eq!(Balances::free_balance(ALICE), 300);
	});
}

#[test]
fn claim_rewards_should_be_refused_when_nothing_is_unpaid() {
	ExtBuilder::default().build_and_execute(|| {
		let claim = || Attribution::claim_rewards(RuntimeOrigin::signed(HOST));
		assert_noop!(claim(), Error::<Test>::NothingToClaim);
		settle(0, 1_000);
		assert_ok!(claim());
		assert_noop!(claim(), Error::<Test>::NothingToClaim);
	});
}

#[test]
fn claim_rewards_should_leave_the_ledger_alone_when_below_the_existential_deposit() {
	ExtBuilder::default().build_and_execute(|| {
		settle(0, 1_980);
		// 10 % of 990: one plank below what keeps an account alive.
		assert_eq!(Attribution::unpaid(CAROL), EXISTENTIAL_DEPOSIT - 1);
		let claim = || Attribution::claim_rewards(RuntimeOrigin::signed(CAROL));
		assert_noop!(claim(), Error::<Test>::BelowExistentialDeposit);
		settle(1, 20);
		assert_ok!(claim());
		assert_eq!(Balances::free_balance(CAROL), EXISTENTIAL_DEPOSIT);
	});
}

#[test]
fn claim_rewards_should_be_refused_when_not_signed() {
	ExtBuilder::default().build_and_execute(|| {
		settle(0, 1_000);
		for origin in [RuntimeOrigin::root(), RuntimeOrigin::none()] {
			assert_noop!(Attribution::claim_rewards(origin.clone()), DispatchError::BadOrigin);
			assert_noop!(Attribution::claim_rewards_for(origin, HOST), DispatchError::BadOrigin);
		}
	});
}

#[test]
fn claim_rewards_for_should_pay_the_owner_when_anyone_calls() {
	ExtBuilder::default().build_and_execute(|| {
		settle(0, 10_000);
		assert_ok!(Attribution::claim_rewards_for(RuntimeOrigin::signed(PAYER), TREASURY));
		assert_eq!(Balances::free_balance(TREASURY), 1_000);
		assert_eq!(Balances::free_balance(PAYER), ENDOWMENT - 10_000);
		System::assert_last_event(Event::RewardsClaimed { who: TREASURY, amount: 1_000 }.into());
	});
}

#[test]
fn claim_rewards_for_should_be_refused_as_for_oneself() {
	ExtBuilder::default().build_and_execute(|| {
		let claim = |who| Attribution::claim_rewards_for(RuntimeOrigin::signed(PAYER), who);
		assert_noop!(claim(CAROL), Error::<Test>::NothingToClaim);
		settle(0, 100);
		assert_noop!(claim(CAROL), Error::<Test>::BelowExistentialDeposit);
		assert_eq!(Rewards::<Test>::get(CAROL), Some(5));
	});
}

#[test]
fn pot_should_owe_the_same_when_somebody_gives_to_it() {
	ExtBuilder::default().build_and_execute(|| {
		settle(0, 1_000);
		let pot = Attribution::pot_account();
		assert_ok!(Balances::transfer_keep_alive(RuntimeOrigin::signed(PAYER), pot, 777));
		assert_eq!(on_hold(), TotalUnpaid::<Test>::get());
		assert_eq!(Balances::free_balance(pot), EXISTENTIAL_DEPOSIT + 777);
	});
}

#[test]
fn claim_rewards_should_pay_when_somebody_locks_the_pot() {
	ExtBuilder::default().build_and_execute(|| {
		settle(0, 1_000);
		let pot = Attribution::pot_account();
		Balances::set_lock(*b"vesting_", &pot, Balance::MAX, WithdrawReasons::all());
		assert_ok!(Attribution::claim_rewards(RuntimeOrigin::signed(HOST)));
		assert_eq!(Balances::free_balance(HOST), ENDOWMENT + 200);
	});
}
