use super::*;
use crate::{MaxValidators, SessionBonds};
use codec::Encode;
use frame_support::traits::{Hooks, KeyOwnerProofSystem};
use pallet_session::SessionManager;
use sp_core::crypto::key_types::DUMMY;
use sp_runtime::{testing::UintAuthorityId, traits::BadOrigin};

#[test]
fn genesis_validators_should_be_active_when_the_chain_starts() {
	ExtBuilder::build_and_execute(|| {
		assert_eq!(active(), [1, 2, 3, 4]);
		for who in 1..=GENESIS {
			assert_eq!(held(who), genesis_bond(who));
			assert_eq!(identify(who).1.bond, genesis_bond(who));
		}
		pass_sessions(1);
		assert_eq!(active(), [1, 2, 3, 4]);
	});
}

#[test]
#[should_panic(expected = "genesis validator 1 cannot be bonded")]
fn genesis_should_panic_when_a_bond_cannot_be_held() {
	use sp_runtime::BuildStorage;
	let config = crate::GenesisConfig::<Test> { validators: vec![(1, MIN_BOND)] };
	config.build_storage().unwrap();
}

#[test]
fn candidate_should_be_active_two_rotations_later_when_it_registers() {
	ExtBuilder::build_and_execute(|| {
		register(5, MIN_BOND);
		pass_sessions(1);
		assert_eq!(active(), [1, 2, 3, 4]);
		pass_sessions(1);
		assert_eq!(active(), [1, 2, 3, 4, 5]);
	});
}

#[test]
fn validator_should_be_inactive_two_rotations_later_when_it_leaves() {
	ExtBuilder::build_and_execute(|| {
		assert_ok!(Validators::leave(signed(1)));
		pass_sessions(1);
		assert_eq!(active(), [1, 2, 3, 4]);
		pass_sessions(1);
		assert_eq!(active(), [2, 3, 4]);
	});
}

#[test]
fn set_should_hold_the_highest_bonds_when_there_are_more_candidates_than_seats() {
	ExtBuilder::build_and_execute(|| {
		assert_ok!(Validators::set_max_validators(RuntimeOrigin::root(), 4));
		register(6, genesis_bond(3));
		register(5, genesis_bond(3));
		pass_sessions(2);
		// 3, 5 and 6 have the same bond: two seats go to the lower account ids.
		assert_eq!(Session::validators(), [1, 2, 3, 5]);
		assert_ok!(Validators::bond_extra(signed(6), 1));
		pass_sessions(2);
		assert_eq!(Session::validators(), [1, 2, 6, 3]);
	});
}

#[test]
fn set_should_fit_the_consensus_pallets_when_nobody_resized_it() {
	ExtBuilder::build_and_execute(|| {
		for who in 5..=10 {
			register(who, MIN_BOND);
		}
		pass_sessions(2);
		assert_eq!(active(), [1, 2, 3, 4, 5, 6, 7, 8]);
	});
}

#[test]
fn set_max_validators_should_fail_when_out_of_range() {
	ExtBuilder::build_and_execute(|| {
		assert_noop!(Validators::set_max_validators(signed(1), 4), BadOrigin);
		for max in [0, 2, 9] {
			assert_noop!(
				Validators::set_max_validators(RuntimeOrigin::root(), max),
				Error::<Test>::SizeOutOfRange
			);
		}
		for max in [3, 8] {
			assert_ok!(Validators::set_max_validators(RuntimeOrigin::root(), max));
			assert_event(Event::MaxValidatorsChanged { max });
			assert_eq!(MaxValidators::<Test>::get(), max);
		}
	});
}

#[test]
fn set_should_stay_when_too_few_candidates_are_left() {
	ExtBuilder::build_and_execute(|| {
		for who in [2, 3] {
			assert_ok!(Validators::force_remove(RuntimeOrigin::root(), who));
		}
		pass_sessions(1);
		assert_event(Event::SetRetained { session: 2, eligible: 2 });
		pass_sessions(4);
		assert_eq!(active(), [1, 2, 3, 4]);

		// One more candidate is enough to let them go.
		register(5, MIN_BOND);
		pass_sessions(2);
		assert_eq!(active(), [1, 4, 5]);
	});
}

#[test]
fn unlocking_should_move_when_a_leaver_has_to_stay() {
	ExtBuilder::build_and_execute(|| {
		for who in [2, 3] {
			assert_ok!(Validators::force_remove(RuntimeOrigin::root(), who));
		}
		pass_sessions(10);
		assert_eq!(active(), [1, 2, 3, 4]);
		assert_eq!(status(2), Status::Leaving { unlock_at: 11 + UNBONDING });
		assert_noop!(Validators::withdraw(signed(2)), Error::<Test>::StillLocked);

		register(5, MIN_BOND);
		pass_sessions(UNBONDING);
		assert_noop!(Validators::withdraw(signed(2)), Error::<Test>::StillLocked);
		pass_sessions(1);
		assert_ok!(Validators::withdraw(signed(2)));
	});
}

#[test]
fn candidate_should_not_be_chosen_when_it_has_no_keys() {
	ExtBuilder::build_and_execute(|| {
		register(5, 5_000);
		assert_ok!(Session::purge_keys(signed(5)));
		pass_sessions(2);
		assert_eq!(active(), [1, 2, 3, 4]);
		set_keys(5);
		pass_sessions(2);
		assert_eq!(active(), [1, 2, 3, 4, 5]);
	});
}

#[test]
fn kept_set_should_lose_a_member_when_it_purged_its_keys() {
	ExtBuilder::build_and_execute(|| {
		for who in [2, 3] {
			assert_ok!(Validators::force_remove(RuntimeOrigin::root(), who));
		}
		assert_ok!(Session::purge_keys(signed(4)));
		pass_sessions(2);
		// The session pallet cannot go on with a member that has no keys; the count in the historical
		// root must agree, or no offence of the session could be proven.
		assert_eq!(active(), [1, 2, 3]);
		let proof = key_proof(1);
		pass_sessions(1);
		assert!(check_proof(1, proof).is_some());
	});
}

#[test]
fn session_bond_should_not_change_when_the_bond_does() {
	ExtBuilder::build_and_execute(|| {
		let proof = key_proof(1);
		assert_ok!(Validators::bond_extra(signed(1), 77));
		let in_session = check_proof(1, proof.clone()).unwrap();
		pass_sessions(1);
		let afterwards = check_proof(1, proof).unwrap();
		assert_eq!(in_session, afterwards);
		assert_eq!(afterwards.1.bond, genesis_bond(1));
		pass_sessions(1);
		assert_eq!(identify(1).1.bond, genesis_bond(1) + 77);
	});
}

#[test]
fn proof_should_be_refused_when_the_offence_window_is_over() {
	ExtBuilder::build_and_execute(|| {
		let proof = key_proof(1);
		pass_sessions(OFFENCE_WINDOW);
		assert!(check_proof(1, proof.clone()).is_some());
		pass_sessions(1);
		assert!(check_proof(1, proof).is_none());
	});
}

#[test]
fn new_keys_should_be_provable_when_the_set_was_kept() {
	ExtBuilder::build_and_execute(|| {
		for who in [2, 3] {
			assert_ok!(Validators::force_remove(RuntimeOrigin::root(), who));
		}
		pass_sessions(2);
		let key = UintAuthorityId(102);
		set_key(2, key.clone());
		pass_sessions(2);
		assert_eq!(active(), [1, 2, 3, 4]);
		let proof = Historical::prove((DUMMY, key.encode())).unwrap();
		pass_sessions(1);
		assert_eq!(Historical::check_proof((DUMMY, key.encode()), proof), Some(identify(2)));
	});
}

#[test]
fn set_should_grow_when_it_is_below_the_minimum() {
	ExtBuilder::build_and_execute(|| {
		for who in 2..=GENESIS {
			assert_ok!(Session::purge_keys(signed(who)));
		}
		pass_sessions(2);
		assert_eq!(active(), [1]);
		register(5, MIN_BOND);
		pass_sessions(2);
		assert_eq!(active(), [1, 5]);
	});
}

#[test]
fn nothing_should_be_planned_when_nobody_can_validate() {
	ExtBuilder::build_and_execute(|| {
		for who in 1..=GENESIS {
			assert_ok!(Session::purge_keys(signed(who)));
		}
		assert_eq!(<Validators as SessionManager<_>>::new_session(9), None);
		assert_eq!(SessionBonds::<Test>::iter_prefix(9).count(), 0);
	});
}

#[test]
fn plain_session_manager_should_agree_when_history_is_not_kept() {
	ExtBuilder::build().execute_with(|| {
		assert_eq!(<Validators as SessionManager<_>>::new_session(2), Some(vec![1, 2, 3, 4]));
	});
}

#[test]
fn constants_should_fit_together_when_checked() {
	ExtBuilder::build_and_execute(|| {
		<Validators as Hooks<u64>>::integrity_test();
	});
}
