use super::*;
use crate::weights::WeightInfo;
use codec::{Decode, Encode};
use frame_support::{
	traits::{
		fungible::{Mutate, MutateFreeze},
		tokens::Preservation,
		Hooks,
	},
	weights::Weight,
};

fn status(datanet: DatanetId, index: u32) -> Option<ContributionStatus<BlockNumber>> {
	Datanets::contribution(ContributionId { datanet, index }).map(|found| found.status)
}

#[test]
fn accept_should_return_the_deposit_and_append_a_leaf() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		give(datanet, CURATOR, Role::Curator, None);
		let first = contribute(datanet, ALICE, 1);
		let second = contribute(datanet, BOB, 2);
		// Leaves are in the order of acceptance, not of contribution.
		assert_ok!(send(CURATOR, Call::accept_contribution { datanet, index: second }));
		assert_eq!(
			last_event(),
			Event::ContributionAccepted {
				datanet,
				index: second,
				contributor: BOB,
				leaf_index: 0,
				curator: Some(CURATOR)
			}
		);
		assert_eq!(free(BOB), FUNDS);
		assert_ok!(send(OWNER, Call::accept_contribution { datanet, index: first }));
		assert_eq!(status(datanet, first), Some(ContributionStatus::Accepted { leaf_index: 1 }));
		assert_eq!(free(ALICE), FUNDS);

		let mut range = mmr::MountainRange::default();
		range.push(mmr::contribution_leaf(second, data(2).root, 10)).unwrap();
		range.push(mmr::contribution_leaf(first, data(1).root, 10)).unwrap();
		assert_eq!(Datanets::accepted(datanet), AcceptedRange { range, records: 20, bytes: 4_000 });
		assert_eq!(Datanets::counters(datanet).pending, 0);
		assert_eq!(Agenda::<Test>::iter_keys().count(), 0);
	});
}

#[test]
fn reject_should_return_the_deposit_whatever_the_reason() {
	ExtBuilder.build_and_execute(|| {
		DatanetLimit::set(100);
		AccountLimit::set(100);
		let datanet = create(terms());
		let reasons = [
			RejectReason::Format,
			RejectReason::Duplicate,
			RejectReason::PersonalData,
			RejectReason::Quality,
			RejectReason::Licence,
			RejectReason::OffTopic,
			RejectReason::Spam,
			RejectReason::Other,
		];
		for reason in reasons {
			let index = contribute(datanet, ALICE, 1);
			assert_ok!(send(OWNER, Call::reject_contribution { datanet, index, reason }));
			assert_eq!(
				last_event(),
				Event::ContributionRejected {
					datanet,
					index,
					contributor: ALICE,
					curator: OWNER,
					reason
				}
			);
			assert_eq!(free(ALICE), FUNDS);
			assert_eq!(status(datanet, index), None);
		}
		assert_eq!(Datanets::accepted(datanet), AcceptedRange::default());
		assert_eq!(Datanets::counters(datanet).contributions, reasons.len() as u32);
	});
}

#[test]
fn answers_should_fail_when_given_by_others_than_curators() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let elsewhere = create(terms());
		give(elsewhere, CURATOR, Role::Curator, None);
		give(datanet, BOB, Role::Contributor, None);
		give(datanet, STRANGER, Role::Curator, Some(3));
		begin_block(3);
		let index = contribute(datanet, ALICE, 1);
		let reason = RejectReason::Quality;
		// The contributor, another role, another datanet's curator, one whose time is over.
		for who in [ALICE, BOB, CURATOR, STRANGER] {
			assert_noop!(
				send(who, Call::accept_contribution { datanet, index }),
				Problem::NotCurator
			);
			assert_noop!(
				send(who, Call::reject_contribution { datanet, index, reason }),
				Problem::NotCurator
			);
			assert_noop!(send(who, Call::publish_version { datanet }), Problem::NotCurator);
		}
	});
}

#[test]
fn answers_should_fail_when_there_is_nothing_to_answer() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let index = accepted(datanet, ALICE, 1);
		let reason = RejectReason::Other;
		assert_noop!(
			send(OWNER, Call::accept_contribution { datanet: NOWHERE, index }),
			Problem::UnknownDatanet
		);
		assert_noop!(
			send(OWNER, Call::reject_contribution { datanet: NOWHERE, index, reason }),
			Problem::UnknownDatanet
		);
		assert_noop!(
			send(OWNER, Call::accept_contribution { datanet, index: 9 }),
			Problem::UnknownContribution
		);
		assert_noop!(
			send(OWNER, Call::reject_contribution { datanet, index: 9, reason }),
			Problem::UnknownContribution
		);
		assert_noop!(
			send(STRANGER, Call::settle_contribution { datanet, index: 9 }),
			Problem::UnknownContribution
		);
		// What is accepted stays so.
		assert_noop!(
			send(OWNER, Call::accept_contribution { datanet, index }),
			Problem::NotPending
		);
		assert_noop!(
			send(OWNER, Call::reject_contribution { datanet, index, reason }),
			Problem::NotPending
		);
		assert_noop!(
			send(STRANGER, Call::settle_contribution { datanet, index }),
			Problem::NotPending
		);
	});
}

#[test]
fn answers_and_settling_should_never_be_possible_in_the_same_block() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let first = contribute(datanet, ALICE, 1);
		let second = contribute(datanet, ALICE, 2);
		let reason = RejectReason::Quality;
		let deadline = 1 + REVIEW;
		begin_busy_block(deadline - 1);
		assert_noop!(
			send(STRANGER, Call::settle_contribution { datanet, index: first }),
			Problem::ReviewPeriodNotOver
		);
		assert_ok!(send(OWNER, Call::accept_contribution { datanet, index: first }));
		begin_busy_block(deadline);
		assert_noop!(
			send(OWNER, Call::accept_contribution { datanet, index: second }),
			Problem::ReviewPeriodOver
		);
		assert_noop!(
			send(OWNER, Call::reject_contribution { datanet, index: second, reason }),
			Problem::ReviewPeriodOver
		);
		assert_ok!(send(STRANGER, Call::settle_contribution { datanet, index: second }));
		// Served before by hand: the block's end finds nothing.
		end_block();
		assert_eq!(Datanets::accepted(datanet).range.leaves(), 2);
	});
}

#[test]
fn an_unanswered_contribution_should_be_settled_by_the_default_verdict() {
	for (default_verdict, by_hand) in [
		(Verdict::Accept, true),
		(Verdict::Accept, false),
		(Verdict::Reject, true),
		(Verdict::Reject, false),
	] {
		ExtBuilder.build_and_execute(|| {
			let datanet = create(DatanetTerms { default_verdict, ..terms() });
			let index = contribute(datanet, ALICE, 1);
			begin_block(1 + REVIEW);
			assert!(status(datanet, index).is_some());
			if by_hand {
				assert_ok!(send(STRANGER, Call::settle_contribution { datanet, index }));
			} else {
				end_block();
			}
			let expected = match default_verdict {
				Verdict::Accept => Event::ContributionAccepted {
					datanet,
					index,
					contributor: ALICE,
					leaf_index: 0,
					curator: None,
				},
				Verdict::Reject => Event::ContributionLapsed { datanet, index, contributor: ALICE },
			};
			assert_eq!(last_event(), expected);
			assert_eq!(status(datanet, index).is_some(), default_verdict == Verdict::Accept);
			assert_eq!(free(ALICE), FUNDS);
			let again = if default_verdict == Verdict::Accept {
				Problem::NotPending
			} else {
				Problem::UnknownContribution
			};
			assert_noop!(send(STRANGER, Call::settle_contribution { datanet, index }), again);
		});
	}
}

#[test]
fn the_verdict_and_deadline_of_contributing_should_count_when_the_terms_change() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let index = contribute(datanet, ALICE, 1);
		let new =
			DatanetTerms { default_verdict: Verdict::Reject, review_period: MAX_REVIEW, ..terms() };
		assert_ok!(send(OWNER, Call::update_datanet { datanet, terms: new }));
		begin_block(2 + REVIEW);
		assert_eq!(status(datanet, index), Some(ContributionStatus::Accepted { leaf_index: 0 }));
	});
}

#[test]
fn settling_should_go_on_in_the_next_block_when_weight_is_short() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		for seed in 1..=3 {
			contribute(datanet, ALICE, seed);
		}
		let deadline = 1 + REVIEW;
		begin_block(deadline);
		let look = <Test as Config>::WeightInfo::look_at_agenda();
		let settle = <Test as Config>::WeightInfo::settle_contribution();
		// The weight of two entries and of the looks before them.
		let spent = Datanets::on_idle(deadline, look + settle * 2);
		assert_eq!(spent, look + settle * 2);
		assert_eq!(Datanets::counters(datanet).pending, 1);
		assert_eq!(Datanets::on_idle(deadline, Weight::zero()), Weight::zero());
		begin_busy_block(deadline + 1);
		end_block();
		assert_eq!(Datanets::counters(datanet).pending, 0);
		assert_eq!(Datanets::accepted(datanet).range.leaves(), 3);
	});
}

#[test]
fn the_agenda_should_go_on_when_one_contribution_cannot_be_settled() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let broken = contribute(datanet, ALICE, 1);
		let sound = Counters::<Test>::get(datanet).contributions;
		let small = ContributedData { bytes: 100, ..data(2) };
		assert_ok!(send(BOB, contribute_call(datanet, small)));
		// Sums that have no room for the first one.
		Ranges::<Test>::mutate(datanet, |range| range.bytes = u64::MAX - 1_000);
		begin_block(2 + REVIEW);
		assert_eq!(status(datanet, sound), Some(ContributionStatus::Accepted { leaf_index: 0 }));
		// The other was not half written.
		assert!(matches!(status(datanet, broken), Some(ContributionStatus::Pending { .. })));
		assert_eq!(Datanets::accepted(datanet).range.leaves(), 1);
		assert_eq!(Datanets::counters(datanet).pending, 1);
		assert!(held_for(ContributionReason::get(), ALICE) > 0);
		assert_noop!(
			send(STRANGER, Call::settle_contribution { datanet, index: broken }),
			sp_runtime::ArithmeticError::Overflow
		);
		// As soon as it can be settled, anybody can have it settled.
		Ranges::<Test>::mutate(datanet, |range| range.bytes = 100);
		assert_ok!(send(STRANGER, Call::settle_contribution { datanet, index: broken }));
		assert_eq!(free(ALICE), FUNDS);
	});
}

#[test]
fn nothing_should_be_accepted_when_the_range_is_full() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let index = contribute(datanet, ALICE, 1);
		let full = (u32::MAX, vec![H256::zero(); 32]).encode();
		let range = mmr::MountainRange::decode(&mut full.as_slice()).unwrap();
		Ranges::<Test>::insert(datanet, AcceptedRange { range, records: 0, bytes: 0 });
		assert_noop!(send(OWNER, Call::accept_contribution { datanet, index }), Problem::RangeFull);
		begin_busy_block(1 + REVIEW);
		assert_noop!(
			send(STRANGER, Call::settle_contribution { datanet, index }),
			Problem::RangeFull
		);
		// The contributor is not caught by it.
		assert_ok!(send(ALICE, Call::withdraw_contribution { datanet, index }));
		Ranges::<Test>::remove(datanet);
	});
}

#[test]
fn the_deposit_should_come_back_when_the_rest_of_the_account_is_frozen_or_spent() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let index = contribute(datanet, ALICE, 1);
		assert_ok!(<Balances as Mutate<_>>::transfer(
			&ALICE,
			&BOB,
			free(ALICE) - EXISTENTIAL,
			Preservation::Preserve
		));
		assert_ok!(<Balances as MutateFreeze<_>>::set_freeze(b"elsewher", &ALICE, FUNDS));
		let held = held_for(ContributionReason::get(), ALICE);
		assert_ok!(send(OWNER, Call::accept_contribution { datanet, index }));
		assert_eq!(free(ALICE), held + EXISTENTIAL);
	});
}
