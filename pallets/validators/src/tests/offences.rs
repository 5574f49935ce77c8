use super::*;
use crate::{Identification, SlashedFractions};
use frame_support::traits::fungible::Inspect;
use sp_runtime::Perbill;
use sp_staking::offence::{OffenceDetails, OffenceError, OnOffenceHandler};

/// Calls the handler as the offences pallet does.
fn punish(offender: (AccountId, Identification), percent: u32, session: u32) {
	Validators::on_offence(
		&[OffenceDetails { offender, reporters: Vec::<AccountId>::new() }],
		&[Perbill::from_percent(percent)],
		session,
	);
}

#[test]
fn offender_should_be_slashed_jailed_and_disabled_when_proven() {
	ExtBuilder::build_and_execute(|| {
		let offender = check_proof(1, key_proof(1)).unwrap();
		assert_ok!(report_identified(offender, 0, 7, 10));

		assert_eq!(stored(1), Validator { bond: 900, status: Status::Jailed { until: JAIL } });
		assert_eq!(held(1), 900);
		assert_eq!(Balances::balance(&SlashPot::get()), 101);
		assert_eq!(disabled(), [1]);
		assert_event(Event::ValidatorSlashed {
			who: 1,
			session: 0,
			fraction: Perbill::from_percent(10),
			amount: 100,
		});
		assert_event(Event::ValidatorJailed { who: 1, until: JAIL });

		// The next session was planned with it; after that it is out.
		pass_sessions(1);
		assert_eq!(active(), [1, 2, 3, 4]);
		assert_eq!(disabled(), [1]);
		pass_sessions(1);
		assert_eq!(active(), [2, 3, 4]);
		assert_eq!(disabled(), Vec::<AccountId>::new());
	});
}

#[test]
fn offender_should_be_slashed_by_the_old_bond_when_the_proof_is_of_a_past_session() {
	ExtBuilder::build_and_execute(|| {
		let proof = key_proof(1);
		assert_ok!(Validators::bond_extra(signed(1), 5_000));
		pass_sessions(OFFENCE_WINDOW);
		let offender = check_proof(1, proof).unwrap();
		assert_ok!(report_identified(offender, 0, 7, 50));
		assert_eq!(held(1), 6_000 - 500);
	});
}

#[test]
fn offender_should_pay_once_when_reported_twice() {
	ExtBuilder::build_and_execute(|| {
		let offender = identify(1);
		assert_ok!(report_identified(offender, 0, 7, 10));
		assert_eq!(report_identified(offender, 0, 7, 10), Err(OffenceError::DuplicateReport));
		// Another slot of the same session, no graver.
		assert_ok!(report_identified(offender, 0, 8, 10));
		assert_ok!(report_identified(offender, 0, 9, 5));
		assert_eq!(held(1), 900);
		// Graver: the difference.
		assert_ok!(report_identified(offender, 0, 10, 25));
		assert_eq!(held(1), 750);
		assert_eq!(SlashedFractions::<Test>::get(0, 1), Some(Perbill::from_percent(25)));
	});
}

#[test]
fn first_offender_should_pay_the_difference_when_another_joins_the_same_slot() {
	ExtBuilder::build_and_execute(|| {
		report(1, 7, 10);
		assert_eq!(held(1), 900);
		report(2, 7, 10);
		assert_eq!(held(1), 800);
		assert_eq!(held(2), 900 - 180);
	});
}

#[test]
fn offender_should_pay_again_when_it_offends_in_another_session() {
	ExtBuilder::build_and_execute(|| {
		report(1, 7, 10);
		pass_sessions(1);
		report(1, 8, 10);
		assert_eq!(held(1), 800);
		assert_eq!(status(1), Status::Jailed { until: 1 + JAIL });
	});
}

#[test]
fn offender_should_lose_no_more_than_its_bond_when_slashes_add_up() {
	ExtBuilder::build_and_execute(|| {
		report(1, 7, 70);
		pass_sessions(1);
		// The planned session still had the whole bond.
		report(1, 8, 70);
		assert_eq!(held(1), 0);
		assert_eq!(stored(1).bond, 0);
		assert_event(Event::ValidatorSlashed {
			who: 1,
			session: 1,
			fraction: Perbill::from_percent(70),
			amount: 300,
		});
		// Even with nothing left the way out is open.
		assert_ok!(Validators::leave(signed(1)));
		pass_sessions(1 + UNBONDING);
		assert_ok!(Validators::withdraw(signed(1)));
		assert_eq!(Balances::balance(&1), ENDOWMENT - 1_000);
	});
}

#[test]
fn leaver_should_be_slashed_when_its_bond_is_still_locked() {
	ExtBuilder::build_and_execute(|| {
		assert_ok!(Validators::leave(signed(1)));
		pass_sessions(1);
		let proof = key_proof(1);
		pass_sessions(OFFENCE_WINDOW);
		let offender = check_proof(1, proof).unwrap();
		assert_ok!(report_identified(offender, 1, 7, 10));
		assert_eq!(
			stored(1),
			Validator { bond: 900, status: Status::Leaving { unlock_at: 1 + UNBONDING } }
		);
		assert_noop!(Validators::withdraw(signed(1)), Error::<Test>::StillLocked);
		pass_sessions(1);
		assert_ok!(Validators::withdraw(signed(1)));
	});
}

#[test]
fn leaver_should_be_disabled_in_its_last_session_when_it_offended() {
	ExtBuilder::build_and_execute(|| {
		// From here on every new set lifts disablement.
		pass_sessions(2);
		report(1, 7, 10);
		assert_ok!(Validators::leave(signed(1)));
		pass_sessions(1);
		assert_eq!(active(), [1, 2, 3, 4]);
		assert_eq!(disabled(), [1]);
	});
}

#[test]
fn at_most_a_third_should_be_disabled_when_many_offend() {
	ExtBuilder::build_and_execute(|| {
		for who in 5..=7 {
			register(who, 500);
		}
		pass_sessions(2);
		assert_eq!(active().len(), 7);
		for who in 1..=4 {
			report(who, who, 10);
		}
		assert_eq!(disabled(), [1, 2]);
		pass_sessions(1);
		assert_eq!(disabled().len(), 2);
	});
}

#[test]
fn set_should_stay_when_jailing_would_leave_too_few() {
	ExtBuilder::build_and_execute(|| {
		for who in 1..=3 {
			report(who, 7 + who, 10);
			assert!(matches!(status(who), Status::Jailed { .. }));
		}
		pass_sessions(1);
		assert_event(Event::SetRetained { session: 2, eligible: 1 });
		pass_sessions(1);
		assert_eq!(active(), [1, 2, 3, 4]);
		// What the next offence costs is counted from what was left.
		assert_eq!(identify(1).1.bond, 900);
		// One of them, and no more, may be kept from making blocks.
		assert_eq!(disabled().len(), 1);

		for who in 1..=3 {
			assert_ok!(Validators::rejoin(signed(who)));
		}
		pass_sessions(2);
		assert_eq!(active(), [1, 2, 3, 4]);
		assert_eq!(disabled(), Vec::<AccountId>::new());
	});
}

#[test]
fn offence_should_be_ignored_when_its_session_is_past_the_window() {
	ExtBuilder::build_and_execute(|| {
		let offender = identify(1);
		pass_sessions(OFFENCE_WINDOW + 1);
		punish(offender, 10, 0);
		assert_eq!(held(1), genesis_bond(1));
		assert_eq!(SlashedFractions::<Test>::iter().count(), 0);
		punish(offender, 10, 1);
		assert_eq!(held(1), 900);
	});
}

#[test]
fn offence_should_change_nothing_when_the_fraction_is_zero() {
	ExtBuilder::build_and_execute(|| {
		report(1, 7, 0);
		assert_eq!(stored(1), Validator { bond: 1_000, status: Status::Candidate });
		assert_eq!(disabled(), Vec::<AccountId>::new());
	});
}

#[test]
fn offence_should_change_no_bond_when_the_account_is_not_registered() {
	ExtBuilder::build_and_execute(|| {
		punish((9, Identification { bond: 500 }), 100, 0);
		assert_eq!(Balances::balance(&9), ENDOWMENT);
		assert_eq!(crate::Validators::<Test>::get(9), None);
	});
}

#[test]
fn applied_fractions_should_be_forgotten_when_the_window_is_over() {
	ExtBuilder::build_and_execute(|| {
		report(1, 7, 10);
		pass_sessions(OFFENCE_WINDOW);
		assert_eq!(SlashedFractions::<Test>::iter().count(), 1);
		pass_sessions(1);
		assert_eq!(SlashedFractions::<Test>::iter().count(), 0);
	});
}
