use super::*;
use crate::weights::WeightInfo;
use frame_support::{traits::Hooks, weights::Weight};

fn entries() -> usize {
	ContributionsOnDay::<Test>::iter_keys().count()
}

#[test]
fn an_account_should_be_stopped_when_its_contributions_of_the_day_are_made() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let elsewhere = create(terms());
		for left in (0..3).rev() {
			contribute(datanet, ALICE, left);
			assert_eq!(Datanets::contributions_left_today(datanet, ALICE), u32::from(left));
		}
		assert_noop!(send(ALICE, contribute_call(datanet, data(9))), Problem::AccountLimitReached);
		// Other datanets and other accounts have limits of their own.
		contribute(elsewhere, ALICE, 9);
		contribute(datanet, BOB, 9);
	});
}

#[test]
fn a_datanet_should_take_no_more_when_its_contributions_of_the_day_are_made() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		for (who, seed) in [(ALICE, 1), (ALICE, 2), (ALICE, 3), (BOB, 4), (BOB, 5)] {
			contribute(datanet, who, seed);
		}
		assert_eq!(Datanets::contributions_left_today(datanet, BOB), 0);
		for who in [BOB, OWNER] {
			assert_noop!(
				send(who, contribute_call(datanet, data(6))),
				Problem::DatanetLimitReached
			);
		}
	});
}

#[test]
fn limits_should_start_anew_when_the_next_day_begins() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		for seed in 0..3 {
			contribute(datanet, ALICE, seed);
		}
		begin_busy_block(DAY - 1);
		assert_noop!(send(ALICE, contribute_call(datanet, data(9))), Problem::AccountLimitReached);
		begin_busy_block(DAY);
		assert_eq!(Datanets::contributions_left_today(datanet, ALICE), 3);
		contribute(datanet, ALICE, 9);
		assert_eq!(Datanets::contributions_left_today(datanet, ALICE), 2);
	});
}

#[test]
fn a_withdrawn_contribution_should_count_for_its_day() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		for _ in 0..3 {
			let index = contribute(datanet, ALICE, 1);
			assert_ok!(send(ALICE, Call::withdraw_contribution { datanet, index }));
		}
		assert_noop!(send(ALICE, contribute_call(datanet, data(1))), Problem::AccountLimitReached);
	});
}

#[test]
fn limits_should_follow_governance_when_it_changes_them() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		contribute(datanet, ALICE, 1);
		AccountLimit::set(1);
		assert_noop!(send(ALICE, contribute_call(datanet, data(2))), Problem::AccountLimitReached);
		assert_eq!(Datanets::contributions_left_today(datanet, ALICE), 0);
		AccountLimit::set(2);
		contribute(datanet, ALICE, 2);
		DatanetLimit::set(0);
		assert_noop!(send(BOB, contribute_call(datanet, data(3))), Problem::DatanetLimitReached);
	});
}

#[test]
fn counts_of_past_days_should_be_cleared_away_when_there_is_weight() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		contribute(datanet, ALICE, 1);
		contribute(datanet, BOB, 2);
		begin_block(DAY);
		assert_eq!(entries(), 2);
		contribute(datanet, ALICE, 3);
		end_block();
		// The day before is gone, today's is there.
		assert_eq!(
			ContributionsOnDay::<Test>::iter().collect::<Vec<_>>(),
			vec![(1, (datanet, ALICE), 1)]
		);
		assert_eq!(DayCursor::<Test>::get(), 1);
	});
}

#[test]
fn clearing_should_go_on_in_the_next_block_when_weight_is_short() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		for who in [ALICE, BOB, STRANGER] {
			contribute(datanet, who, who as u8);
		}
		begin_block(DAY);
		let look = <Test as Config>::WeightInfo::look_at_agenda();
		let clear = <Test as Config>::WeightInfo::clear_day_entry();
		// One look for the agenda, one for the day, one entry.
		let spent = Datanets::on_idle(DAY, look * 2 + clear);
		assert_eq!(spent, look * 2 + clear);
		assert_eq!(entries(), 2);
		Datanets::on_idle(DAY, Weight::MAX);
		assert_eq!(entries(), 0);
	});
}
