use super::*;
use sp_runtime::TokenError;

#[test]
fn contribute_should_hold_a_deposit_and_wait_for_an_answer() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		begin_block(3);
		let index = contribute(datanet, ALICE, 1);
		assert_eq!(index, 0);
		assert_eq!(
			last_event(),
			Event::Contributed {
				datanet,
				index,
				contributor: ALICE,
				data: data(1),
				deadline: 3 + REVIEW
			}
		);
		let id = ContributionId { datanet, index };
		assert_eq!(
			Datanets::contribution(id),
			Some(Contribution {
				contributor: ALICE,
				data: data(1),
				contributed_at: 3,
				status: ContributionStatus::Pending {
					deadline: 3 + REVIEW,
					default_verdict: Verdict::Accept
				},
			})
		);
		assert!(Agenda::<Test>::contains_key(3 + REVIEW, id));
		assert_eq!(Datanets::contribution_by_root(datanet, data(1).root), Some(index));
		let quote = Datanets::deposit_quote(10, 2_000).contribution;
		assert_eq!(held_for(ContributionReason::get(), ALICE), quote);
		assert_eq!(free(ALICE), FUNDS - quote);
		let counters = Datanets::counters(datanet);
		assert_eq!((counters.contributions, counters.pending), (1, 1));
	});
}

#[test]
fn the_deposit_should_grow_with_records_and_bytes() {
	ExtBuilder.build_and_execute(|| {
		let quote = |records, bytes| Datanets::deposit_quote(records, bytes).contribution;
		let least = quote(1, 1);
		assert!(least >= EXISTENTIAL);
		assert_eq!(quote(2, 1), least + 1);
		assert_eq!(quote(1, 1024), least);
		assert_eq!(quote(1, 1025), least + 1);
		assert_eq!(quote(MAX_RECORDS, MAX_BYTES), least + 99 + 9);
		// No overflow at sizes that no call takes.
		assert!(quote(u32::MAX, u64::MAX) > quote(MAX_RECORDS, MAX_BYTES));
	});
}

#[test]
fn contribute_should_fail_when_the_size_is_out_of_bounds() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let try_size = |records, bytes| {
			send(ALICE, contribute_call(datanet, ContributedData { records, bytes, ..data(1) }))
		};
		assert_noop!(try_size(0, 1), Problem::EmptyContribution);
		assert_noop!(try_size(1, 0), Problem::EmptyContribution);
		assert_noop!(try_size(MAX_RECORDS + 1, 1), Problem::TooManyRecords);
		assert_noop!(try_size(u32::MAX, 1), Problem::TooManyRecords);
		assert_noop!(try_size(1, MAX_BYTES + 1), Problem::TooManyBytes);
		assert_noop!(try_size(1, u64::MAX), Problem::TooManyBytes);
		assert_ok!(try_size(MAX_RECORDS, MAX_BYTES));
	});
}

#[test]
fn contribute_should_fail_when_the_datanet_is_unknown() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(send(ALICE, contribute_call(NOWHERE, data(1))), Problem::UnknownDatanet);
	});
}

#[test]
fn contribute_should_fail_when_the_deposit_cannot_be_held() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		assert_noop!(send(POOR, contribute_call(datanet, data(1))), TokenError::FundsUnavailable);
	});
}

#[test]
fn contribute_should_need_a_grant_when_the_datanet_is_permissioned() {
	ExtBuilder.build_and_execute(|| {
		for access in [AccessPolicy::Open, AccessPolicy::Approval] {
			let datanet = create(terms_with(access, 0));
			contribute(datanet, STRANGER, 1);
		}
		let datanet = create(terms_with(AccessPolicy::Permissioned, 0));
		give(datanet, ALICE, Role::Contributor, Some(4));
		give(datanet, CURATOR, Role::Curator, None);
		give(datanet, BOB, Role::Trainer, None);
		contribute(datanet, ALICE, 1);
		contribute(datanet, OWNER, 2);
		// Other roles do not help, and neither does a grant that has ended.
		for who in [CURATOR, BOB, STRANGER] {
			assert_noop!(send(who, contribute_call(datanet, data(3))), Problem::MayNotContribute);
		}
		begin_block(3);
		contribute(datanet, ALICE, 3);
		begin_block(4);
		assert_noop!(send(ALICE, contribute_call(datanet, data(4))), Problem::MayNotContribute);
	});
}

#[test]
fn contribute_should_fail_when_the_root_is_there_already() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let other = create(terms());
		let index = contribute(datanet, ALICE, 1);
		let again = || send(BOB, contribute_call(datanet, data(1)));
		assert_noop!(again(), Problem::DuplicateRoot);
		// Other sizes or hashes do not make another root of it.
		let disguised = ContributedData { records: 1, content: H256::zero(), ..data(1) };
		assert_noop!(send(BOB, contribute_call(datanet, disguised)), Problem::DuplicateRoot);
		assert_ok!(send(OWNER, Call::accept_contribution { datanet, index }));
		assert_noop!(again(), Problem::DuplicateRoot);
		// Another datanet decides for itself.
		contribute(other, BOB, 1);
	});
}

#[test]
fn a_root_should_be_free_again_when_its_contribution_is_gone() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let withdrawn = contribute(datanet, ALICE, 1);
		assert_ok!(send(ALICE, Call::withdraw_contribution { datanet, index: withdrawn }));
		let rejected = contribute(datanet, BOB, 1);
		let reason = RejectReason::Format;
		assert_ok!(send(OWNER, Call::reject_contribution { datanet, index: rejected, reason }));
		// Indices are never used twice.
		assert_eq!(contribute(datanet, BOB, 1), 2);
		assert_eq!((withdrawn, rejected), (0, 1));
	});
}

#[test]
fn withdraw_should_return_the_deposit_when_pending() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let index = contribute(datanet, ALICE, 1);
		assert_ok!(send(ALICE, Call::withdraw_contribution { datanet, index }));
		assert_eq!(
			last_event(),
			Event::ContributionWithdrawn { datanet, index, contributor: ALICE }
		);
		assert_eq!(free(ALICE), FUNDS);
		assert_eq!(Datanets::contribution(ContributionId { datanet, index }), None);
		assert_eq!(Datanets::counters(datanet).pending, 0);
		assert_eq!(Agenda::<Test>::iter_keys().count(), 0);
		// Nothing is left to settle, nothing to withdraw again.
		assert_noop!(
			send(ALICE, Call::withdraw_contribution { datanet, index }),
			Problem::UnknownContribution
		);
		begin_block(REVIEW + 2);
		assert_eq!(Datanets::accepted(datanet), AcceptedRange::default());
	});
}

#[test]
fn withdraw_should_fail_when_not_ones_own_or_not_pending() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let index = contribute(datanet, ALICE, 1);
		for who in [BOB, OWNER] {
			assert_noop!(
				send(who, Call::withdraw_contribution { datanet, index }),
				Problem::NotContributor
			);
		}
		for (datanet, index) in [(datanet, index + 1), (NOWHERE, index)] {
			assert_noop!(
				send(ALICE, Call::withdraw_contribution { datanet, index }),
				Problem::UnknownContribution
			);
		}
		assert_ok!(send(OWNER, Call::accept_contribution { datanet, index }));
		assert_noop!(
			send(ALICE, Call::withdraw_contribution { datanet, index }),
			Problem::NotPending
		);
	});
}

#[test]
fn withdraw_should_be_possible_when_the_deadline_has_passed_unsettled() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let index = contribute(datanet, ALICE, 1);
		begin_busy_block(1 + REVIEW);
		assert_ok!(send(ALICE, Call::withdraw_contribution { datanet, index }));
		end_block();
		assert_eq!(Datanets::accepted(datanet), AcceptedRange::default());
	});
}

#[test]
fn contribute_should_fail_when_the_indices_are_used_up() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		Counters::<Test>::mutate(datanet, |counters| counters.contributions = u32::MAX);
		assert_noop!(send(ALICE, contribute_call(datanet, data(1))), Problem::NumbersExhausted);
	});
}

#[test]
fn pages_of_pending_contributions_should_name_each_once() {
	ExtBuilder.build_and_execute(|| {
		AccountLimit::set(1_000);
		DatanetLimit::set(1_000);
		let datanet = create(terms());
		let other = create(terms());
		for seed in 0..10 {
			contribute(datanet, ALICE, seed);
			contribute(other, ALICE, seed);
		}
		for index in [2, 5] {
			assert_ok!(send(OWNER, Call::accept_contribution { datanet, index }));
		}
		let mut seen = Vec::new();
		loop {
			let page = Datanets::pending_contributions(datanet, seen.last().copied(), 3);
			assert!(page.len() <= 3);
			if page.is_empty() {
				break;
			}
			seen.extend(page);
		}
		seen.sort_unstable();
		assert_eq!(seen, vec![0, 1, 3, 4, 6, 7, 8, 9]);
		assert_eq!(Datanets::pending_contributions(datanet, None, 0), Vec::<u32>::new());
		assert_eq!(Datanets::pending_contributions(NOWHERE, None, 9), Vec::<u32>::new());
	});
}

#[test]
fn a_page_should_not_be_longer_than_the_bound_when_more_is_asked() {
	ExtBuilder.build_and_execute(|| {
		AccountLimit::set(1_000);
		DatanetLimit::set(1_000);
		let datanet = create(terms());
		for seed in 0..=MAX_PAGE as u8 {
			contribute(datanet, ALICE, seed);
		}
		let page = Datanets::pending_contributions(datanet, None, u32::MAX);
		assert_eq!(page.len(), MAX_PAGE as usize);
		let rest = Datanets::pending_contributions(datanet, page.last().copied(), u32::MAX);
		assert_eq!(rest.len(), 1);
	});
}
