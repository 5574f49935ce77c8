use super::*;
use crate::CandidateCount;
use frame_support::traits::fungible::Inspect;
use sp_runtime::{traits::BadOrigin, TokenError};

#[test]
fn validator_should_be_a_candidate_when_it_registers() {
	ExtBuilder::build_and_execute(|| {
		register(5, MIN_BOND);
		assert_eq!(stored(5), Validator { bond: MIN_BOND, status: Status::Candidate });
		assert_eq!(held(5), MIN_BOND);
		assert_eq!(CandidateCount::<Test>::get(), 5);
		assert_event(Event::ValidatorRegistered { who: 5, bond: MIN_BOND });
	});
}

#[test]
fn register_should_fail_when_something_is_missing() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(Validators::register(RuntimeOrigin::root(), MIN_BOND), BadOrigin);
		assert_noop!(Validators::register(signed(5), MIN_BOND), Error::<Test>::NoSessionKeys);
		set_keys(5);
		assert_noop!(Validators::register(signed(5), MIN_BOND - 1), Error::<Test>::BondTooSmall);
		assert_noop!(Validators::register(signed(5), ENDOWMENT), TokenError::FundsUnavailable);
		assert_noop!(Validators::register(signed(1), MIN_BOND), Error::<Test>::AlreadyRegistered);
	});
}

#[test]
fn register_should_fail_when_the_list_is_full() {
	ExtBuilder::build_and_execute(|| {
		for who in 5..=10 {
			register(who, MIN_BOND);
		}
		set_keys(11);
		assert_noop!(Validators::register(signed(11), ENDOWMENT), Error::<Test>::TooManyCandidates);

		// Somebody on its way out still takes its place.
		assert_ok!(Validators::leave(signed(10)));
		assert_noop!(Validators::register(signed(11), MIN_BOND), Error::<Test>::TooManyCandidates);
		pass_sessions(1 + UNBONDING);
		assert_ok!(Validators::withdraw(signed(10)));
		assert_ok!(Validators::register(signed(11), MIN_BOND));
	});
}

#[test]
fn bond_should_grow_when_more_is_added() {
	ExtBuilder::build_and_execute(|| {
		assert_ok!(Validators::bond_extra(signed(4), 50));
		assert_eq!(stored(4).bond, genesis_bond(4) + 50);
		assert_eq!(held(4), genesis_bond(4) + 50);
		assert_event(Event::BondIncreased { who: 4, added: 50, bond: genesis_bond(4) + 50 });
	});
}

#[test]
fn bond_extra_should_fail_when_there_is_no_bond_to_add_to() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(Validators::bond_extra(signed(5), 1), Error::<Test>::NotRegistered);
		assert_noop!(Validators::bond_extra(signed(1), ENDOWMENT), TokenError::FundsUnavailable);
		assert_ok!(Validators::leave(signed(1)));
		assert_noop!(Validators::bond_extra(signed(1), 1), Error::<Test>::AlreadyLeaving);
	});
}

#[test]
fn bond_should_come_back_with_the_key_deposit_when_the_unbonding_is_over() {
	ExtBuilder::build_and_execute(|| {
		register(5, 2_000);
		assert_eq!(Balances::balance(&5), ENDOWMENT - 2_000 - KEY_DEPOSIT);
		assert_ok!(Validators::leave(signed(5)));
		let unlock_at = 1 + UNBONDING;
		assert_eq!(status(5), Status::Leaving { unlock_at });
		assert_event(Event::ValidatorLeft { who: 5, unlock_at });

		pass_sessions(unlock_at - 1);
		assert_noop!(Validators::withdraw(signed(5)), Error::<Test>::StillLocked);
		pass_sessions(1);
		assert_ok!(Validators::withdraw(signed(5)));
		assert_event(Event::BondWithdrawn { who: 5, amount: 2_000 });

		assert_eq!(Balances::balance(&5), ENDOWMENT);
		assert_eq!(crate::Validators::<Test>::get(5), None);
		assert_eq!(Session::load_keys(&5), None);
		assert_eq!(System::consumers(&5), 0);
		assert_noop!(Validators::register(signed(5), MIN_BOND), Error::<Test>::NoSessionKeys);
		register(5, MIN_BOND);
	});
}

#[test]
fn withdraw_should_succeed_when_the_keys_are_gone_already() {
	ExtBuilder::build_and_execute(|| {
		register(5, 2_000);
		assert_ok!(Validators::leave(signed(5)));
		assert_ok!(Session::purge_keys(signed(5)));
		pass_sessions(1 + UNBONDING);
		assert_ok!(Validators::withdraw(signed(5)));
		assert_eq!(Balances::balance(&5), ENDOWMENT);
	});
}

#[test]
fn withdraw_should_fail_when_the_validator_did_not_leave() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(Validators::withdraw(signed(5)), Error::<Test>::NotRegistered);
		assert_noop!(Validators::withdraw(signed(1)), Error::<Test>::NotLeaving);
		report(1, 0, 10);
		assert_noop!(Validators::withdraw(signed(1)), Error::<Test>::NotLeaving);
	});
}

#[test]
fn leave_should_fail_when_too_few_candidates_would_be_left() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(Validators::leave(signed(5)), Error::<Test>::NotRegistered);
		assert_ok!(Validators::leave(signed(4)));
		assert_noop!(Validators::leave(signed(4)), Error::<Test>::AlreadyLeaving);
		assert_noop!(Validators::leave(signed(3)), Error::<Test>::TooFewCandidates);
	});
}

#[test]
fn leave_should_succeed_when_the_validator_is_jailed_and_candidates_are_few() {
	ExtBuilder::build_and_execute(|| {
		report(4, 0, 10);
		assert_eq!(CandidateCount::<Test>::get(), 3);
		assert_ok!(Validators::leave(signed(4)));
		assert_eq!(CandidateCount::<Test>::get(), 3);
		// Leaving is no way around the jail.
		assert_noop!(Validators::rejoin(signed(4)), Error::<Test>::NotJailed);
	});
}

#[test]
fn validator_should_leave_when_the_admin_removes_it_below_the_minimum() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(Validators::force_remove(signed(1), 1), BadOrigin);
		assert_noop!(
			Validators::force_remove(RuntimeOrigin::root(), 5),
			Error::<Test>::NotRegistered
		);
		for who in [4, 3] {
			assert_ok!(Validators::force_remove(RuntimeOrigin::root(), who));
			assert_event(Event::ValidatorLeft { who, unlock_at: 1 + UNBONDING });
		}
		assert_noop!(
			Validators::force_remove(RuntimeOrigin::root(), 3),
			Error::<Test>::AlreadyLeaving
		);
		assert_eq!(CandidateCount::<Test>::get(), 2);
	});
}

#[test]
fn validator_should_rejoin_when_the_jail_is_over_and_the_bond_suffices() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(Validators::rejoin(signed(5)), Error::<Test>::NotRegistered);
		assert_noop!(Validators::rejoin(signed(4)), Error::<Test>::NotJailed);
		report(4, 0, 100);
		assert_eq!(stored(4), Validator { bond: 0, status: Status::Jailed { until: JAIL } });

		pass_sessions(JAIL - 1);
		assert_noop!(Validators::rejoin(signed(4)), Error::<Test>::StillJailed);
		pass_sessions(1);
		assert_noop!(Validators::rejoin(signed(4)), Error::<Test>::BondTooSmall);
		assert_ok!(Validators::bond_extra(signed(4), MIN_BOND));
		assert_ok!(Session::purge_keys(signed(4)));
		assert_noop!(Validators::rejoin(signed(4)), Error::<Test>::NoSessionKeys);
		set_keys(4);
		assert_ok!(Validators::rejoin(signed(4)));
		assert_event(Event::ValidatorRejoined { who: 4 });
		assert_eq!(status(4), Status::Candidate);

		pass_sessions(2);
		assert_eq!(active(), [1, 2, 3, 4]);
	});
}

#[test]
fn jail_should_end_early_when_the_admin_pardons() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(Validators::pardon(signed(1), 4), BadOrigin);
		assert_noop!(Validators::pardon(RuntimeOrigin::root(), 5), Error::<Test>::NotRegistered);
		assert_noop!(Validators::pardon(RuntimeOrigin::root(), 4), Error::<Test>::NotJailed);
		report(4, 0, 10);
		assert_noop!(Validators::rejoin(signed(4)), Error::<Test>::StillJailed);
		assert_ok!(Validators::pardon(RuntimeOrigin::root(), 4));
		assert_event(Event::ValidatorPardoned { who: 4 });
		assert_ok!(Validators::rejoin(signed(4)));
	});
}
