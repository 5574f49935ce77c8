//! Checking claims and dividing fees.

use super::*;
use crate::{types::*, Error, Event, HoldReason, Rewards, Settlements, TotalUnpaid};
use frame_support::{
	assert_noop, assert_ok,
	traits::{fungible::InspectHold, LockableCurrency, WithdrawReasons},
};
use openledger_primitives::{
	shares::FeeParts, traits::Settlement, ContributionId, DatanetId, ModelId,
};
use sp_runtime::TokenError;

fn refused(answer: PaidAnswer<AccountId>, claim: AttributionClaim, why: Error<Test>) {
	assert_noop!(Attribution::settle(answer, &claim), why);
}

#[test]
fn settle_should_credit_everybody_when_the_claim_fits() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Attribution::settle(answer(0, 1_000_000), &three_shares(0)));

		assert_eq!(Attribution::unpaid(ALICE), 300_000);
		assert_eq!(Attribution::unpaid(BOB), 150_000);
		assert_eq!(Attribution::unpaid(CAROL), 50_000);
		assert_eq!(Attribution::unpaid(HOST), 200_000);
		assert_eq!(Attribution::unpaid(MODEL_OWNER), 100_000);
		assert_eq!(Attribution::unpaid(VALIDATORS), 100_000);
		assert_eq!(Attribution::unpaid(TREASURY), 100_000);
		assert_eq!(TotalUnpaid::<Test>::get(), 1_000_000);
		assert_eq!(Balances::free_balance(PAYER), ENDOWMENT - 1_000_000);
		let pot = Attribution::pot_account();
		assert_eq!(Balances::balance_on_hold(&HoldReason::Rewards.into(), &pot), 1_000_000);
		assert_eq!(Balances::free_balance(pot), EXISTENTIAL_DEPOSIT);
	});
}

#[test]
fn settle_should_tell_of_every_credit_once_when_an_account_has_several_parts() {
	ExtBuilder::default().build_and_execute(|| {
		// Alice owns two contributions, hosts the model and owns it.
		let by_alice = PaidAnswer { host: ALICE, model_owner: ALICE, ..answer(0, 1_000_000) };
		let claim = claim(0, &[(ALICES, 1), (ALICES_SECOND, 999_999)]);
		assert_ok!(Attribution::settle(by_alice, &claim));

		let split = FeeParts {
			contributors: 500_000,
			host: 200_000,
			model_owner: 100_000,
			validators: 100_000,
			treasury: 100_000,
		};
		let request = RequestId(0);
		let settled = Event::AnswerSettled {
			request,
			model: MODEL,
			payer: PAYER,
			fee: 1_000_000,
			split,
			contributions: 2,
		};
		let credited = |who, amount| Event::RewardCredited { who, amount, request };
		let events: Vec<Event<Test>> = System::events()
			.into_iter()
			.filter_map(|record| match record.event {
				RuntimeEvent::Attribution(event) => Some(event),
				_ => None,
			})
			.collect();
		assert_eq!(
			events,
			vec![
				settled,
				credited(ALICE, 800_000),
				credited(TREASURY, 100_000),
				credited(VALIDATORS, 100_000),
			]
		);
	});
}

#[test]
fn settle_should_record_every_line_when_some_earn_nothing() {
	ExtBuilder::default().build_and_execute(|| {
		// Of 4 planks, 2 are the contributors': one each for the two largest remainders.
		assert_ok!(Attribution::settle(answer(0, 4), &three_shares(0)));

		let record = Settlements::<Test>::get(RequestId(0)).unwrap();
		let lines: Vec<_> = record.lines.iter().map(|line| (line.owner, line.amount)).collect();
		assert_eq!(lines, vec![(ALICE, 1), (BOB, 1), (CAROL, 0)]);
		assert_eq!(Rewards::<Test>::get(CAROL), None, "an amount of 0 is not written");
	});
}

#[test]
fn settle_should_give_the_contributors_part_to_the_treasury_when_nobody_is_named() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Attribution::settle(answer(0, 1_000), &claim(0, &[])));

		assert_eq!(Attribution::unpaid(TREASURY), 600);
		assert_eq!(Attribution::unpaid(HOST), 200);
		let record = Settlements::<Test>::get(RequestId(0)).unwrap();
		assert!(record.unattributed);
		assert!(record.lines.is_empty());
		assert_eq!(record.split.contributors, 500, "the record shows the policy");
	});
}

#[test]
fn settle_should_record_shares_without_moving_money_when_the_answer_is_free() {
	// Not even a pot is needed.
	ExtBuilder::default().without_pot().build().execute_with(|| {
		assert_ok!(Attribution::settle(answer(0, 0), &three_shares(0)));

		assert_eq!(Rewards::<Test>::iter().count(), 0);
		assert_eq!(Balances::free_balance(PAYER), ENDOWMENT);
		let record = Settlements::<Test>::get(RequestId(0)).unwrap();
		assert_eq!(record.lines.len(), 3);
		assert_eq!(record.lines[0].parts, 600_000);
	});
}

#[test]
fn settle_should_divide_the_same_when_an_owner_is_split_in_two() {
	let shares = [(ALICES, 333_333), (BOBS, 333_333), (ALICES_SECOND, 333_334)];
	let amounts = |owner_of_second| {
		let mut amounts = Vec::new();
		ExtBuilder::default().build_and_execute(|| {
			accept(ALICES_SECOND, owner_of_second, 2);
			assert_ok!(Attribution::settle(answer(0, 1_001), &claim(0, &shares)));
			let record = Settlements::<Test>::get(RequestId(0)).unwrap();
			amounts = record.lines.iter().map(|line| line.amount).collect();
		});
		amounts
	};
	assert_eq!(amounts(ALICE), amounts(CAROL));
}

#[test]
fn settle_should_be_refused_when_the_request_is_settled() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Attribution::settle(answer(0, 1_000), &three_shares(0)));
		refused(answer(0, 1_000), three_shares(0), Error::AlreadySettled);
		refused(answer(0, 0), claim(0, &[]), Error::AlreadySettled);
	});
}

#[test]
fn settle_should_be_refused_when_the_claim_is_about_something_else() {
	ExtBuilder::default().build_and_execute(|| {
		refused(answer(0, 1_000), three_shares(1), Error::ClaimForOtherRequest);
		let other_model = AttributionClaim { model: ModelId(6), ..three_shares(0) };
		refused(answer(0, 1_000), other_model, Error::ClaimForOtherModel);
	});
}

#[test]
fn settle_should_be_refused_when_the_model_is_unknown() {
	ExtBuilder::default().build_and_execute(|| {
		let unknown = ModelId(6);
		let answer = PaidAnswer { model: unknown, ..answer(0, 1_000) };
		refused(
			answer,
			AttributionClaim { model: unknown, ..three_shares(0) },
			Error::UnknownModel,
		);
	});
}

#[test]
fn settle_should_be_refused_when_the_listed_version_is_not_published() {
	ExtBuilder::default().build_and_execute(|| {
		let mut versions = VersionLeaves::get();
		versions.retain(|version, _| version.datanet != DatanetId(2));
		VersionLeaves::set(&versions);
		refused(answer(0, 1_000), three_shares(0), Error::ContributionNotInModel);
	});
}

#[test]
fn settle_should_be_refused_when_the_pot_is_missing() {
	ExtBuilder::default().without_pot().build().execute_with(|| {
		refused(answer(0, 1_000_000), three_shares(0), Error::PotMissing);
		assert!(Attribution::do_try_state().is_err(), "the invariants say so, too");
	});
}

#[test]
fn settle_should_leave_the_payer_the_existential_deposit() {
	ExtBuilder::default().build_and_execute(|| {
		let most = ENDOWMENT - EXISTENTIAL_DEPOSIT;
		assert_noop!(
			Attribution::settle(answer(0, most + 1), &three_shares(0)),
			TokenError::FundsUnavailable
		);
		assert_ok!(Attribution::settle(answer(0, most), &three_shares(0)));
		assert_eq!(Balances::free_balance(PAYER), EXISTENTIAL_DEPOSIT);
	});
}

#[test]
fn settle_should_take_the_fee_when_the_payer_froze_it_after_committing_it() {
	ExtBuilder::default().build_and_execute(|| {
		Balances::set_lock(*b"vesting_", &PAYER, ENDOWMENT, WithdrawReasons::all());
		assert_ok!(Attribution::settle(answer(0, 1_000), &three_shares(0)));
		assert_eq!(Attribution::unpaid(HOST), 200);
	});
}

#[test]
fn settle_should_take_as_many_shares_as_a_claim_can_have() {
	ExtBuilder::default().build_and_execute(|| {
		let datanet = DatanetId(2);
		let contribution = |index| ContributionId { datanet, index };
		let mut versions = VersionLeaves::get();
		versions.values_mut().for_each(|leaves| *leaves = 64);
		VersionLeaves::set(&versions);
		(0..64).for_each(|index| accept(contribution(index), 100 + u64::from(index), index));
		let shares: Vec<_> = (0..64).map(|index| (contribution(index), 15_625)).collect();

		assert_ok!(Attribution::settle(answer(0, 1_280), &claim(0, &shares)));

		let record = Settlements::<Test>::get(RequestId(0)).unwrap();
		assert!(record.lines.iter().all(|line: &SettlementLine<_>| line.amount == 10));
		assert_eq!(Rewards::<Test>::iter().count(), 64 + 4);
	});
}
