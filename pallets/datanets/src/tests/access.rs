use super::*;
use frame_support::traits::fungible::{Mutate, MutateFreeze};
use frame_support::traits::tokens::Preservation;
use sp_runtime::TokenError;

fn deposit() -> Balance {
	Datanets::deposit_quote(1, 1).access
}

fn buy(who: AccountId, datanet: DatanetId, max_price: Balance) -> sp_runtime::DispatchResult {
	send(who, Call::buy_access { datanet, max_price })
}

fn request(who: AccountId, datanet: DatanetId, max_price: Balance) -> sp_runtime::DispatchResult {
	send(who, Call::request_access { datanet, max_price })
}

fn grant(
	datanet: DatanetId,
	who: AccountId,
	expires_at: Option<BlockNumber>,
) -> sp_runtime::DispatchResult {
	send(OWNER, Call::grant_access { datanet, who, role: Role::Trainer, expires_at })
}

fn revoke(by: AccountId, datanet: DatanetId, who: AccountId) -> sp_runtime::DispatchResult {
	send(by, Call::revoke_access { datanet, who, role: Role::Trainer })
}

fn may_train(who: AccountId, datanet: DatanetId) -> bool {
	let may = Datanets::may(who, datanet, Role::Trainer);
	// Other pallets hear the same.
	assert_eq!(Datanets::ensure_may_train(&who, datanet).is_ok(), may);
	may
}

#[test]
fn roles_should_follow_the_policy_when_nothing_is_granted() {
	ExtBuilder.build_and_execute(|| {
		// Policy, price, whether everybody contributes, whether everybody trains.
		for (policy, price, contributes, trains) in [
			(AccessPolicy::Open, 0, true, true),
			(AccessPolicy::Open, PRICE, true, false),
			(AccessPolicy::Approval, 0, true, false),
			(AccessPolicy::Approval, PRICE, true, false),
			(AccessPolicy::Permissioned, 0, false, false),
			(AccessPolicy::Permissioned, PRICE, false, false),
		] {
			let datanet = NextDatanetId::<Test>::get();
			let owner = ALICE + u64::from(datanet.0 % 2);
			assert_ok!(send(owner, create_call(terms_with(policy, price))));
			assert_eq!(Datanets::may(STRANGER, datanet, Role::Contributor), contributes);
			assert_eq!(may_train(STRANGER, datanet), trains);
			assert!(!Datanets::may(STRANGER, datanet, Role::Curator));
			for role in [Role::Curator, Role::Contributor, Role::Trainer] {
				assert!(Datanets::may(owner, datanet, role));
			}
		}
		for role in [Role::Curator, Role::Contributor, Role::Trainer] {
			assert!(!Datanets::may(OWNER, NOWHERE, role));
		}
	});
}

#[test]
fn grant_should_give_one_role_in_one_datanet_and_hold_the_owners_deposit() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Permissioned, PRICE));
		let elsewhere = create(terms_with(AccessPolicy::Permissioned, PRICE));
		let before = free(OWNER);
		for role in [Role::Curator, Role::Contributor, Role::Trainer] {
			give(datanet, ALICE, role, None);
			assert_eq!(
				last_event(),
				Event::AccessGranted { datanet, who: ALICE, role, expires_at: None }
			);
			assert!(Datanets::may(ALICE, datanet, role));
			assert!(!Datanets::may(BOB, datanet, role));
			assert!(!Datanets::may(ALICE, elsewhere, role));
			assert_ok!(send(OWNER, Call::revoke_access { datanet, who: ALICE, role }));
			assert_eq!(last_event(), Event::AccessRevoked { datanet, who: ALICE, role });
			assert!(!Datanets::may(ALICE, datanet, role));
		}
		assert_eq!(free(OWNER), before);
		give(datanet, ALICE, Role::Trainer, None);
		assert!(!Datanets::may(ALICE, datanet, Role::Curator));
		assert_eq!(free(OWNER), before - deposit());
		// It was free of price.
		assert_eq!(free(ALICE), FUNDS);
	});
}

#[test]
fn grant_should_end_at_its_block() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Permissioned, 0));
		begin_block(5);
		for end in [0, 4, 5] {
			assert_noop!(grant(datanet, ALICE, Some(end)), Problem::ExpiryInPast);
		}
		assert_ok!(grant(datanet, ALICE, Some(6)));
		assert!(may_train(ALICE, datanet));
		begin_block(6);
		assert!(!may_train(ALICE, datanet));
		// The record is there until it is removed, and can be renewed with its deposit.
		assert_eq!(
			Datanets::grant(datanet, ALICE, Role::Trainer),
			Some(Grant::Given { expires_at: Some(6) })
		);
		assert_ok!(grant(datanet, ALICE, Some(9)));
		assert!(may_train(ALICE, datanet));
		assert_ok!(grant(datanet, ALICE, None));
		begin_block(20);
		assert!(may_train(ALICE, datanet));
		// It can be shortened too: it was given.
		assert_ok!(grant(datanet, ALICE, Some(21)));
		begin_block(21);
		assert!(!may_train(ALICE, datanet));
		assert_eq!(held_for(AccessReason::get(), OWNER), deposit());
	});
}

#[test]
fn grant_should_fail_when_the_account_is_the_owner() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		for role in [Role::Curator, Role::Contributor, Role::Trainer] {
			assert_noop!(
				send(OWNER, Call::grant_access { datanet, who: OWNER, role, expires_at: None }),
				Problem::AlreadyGranted
			);
		}
	});
}

#[test]
fn grant_should_fail_when_the_deposit_cannot_be_held() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		assert_ok!(<Balances as Mutate<_>>::transfer(
			&OWNER,
			&BOB,
			free(OWNER) - EXISTENTIAL,
			Preservation::Preserve
		));
		assert_noop!(grant(datanet, ALICE, None), TokenError::FundsUnavailable);
	});
}

#[test]
fn revoke_should_be_for_owner_and_holder_until_it_expires() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Permissioned, 0));
		let before = free(OWNER);
		assert_noop!(revoke(OWNER, datanet, ALICE), Problem::NotGranted);
		assert_noop!(revoke(OWNER, NOWHERE, ALICE), Problem::UnknownDatanet);
		assert_ok!(grant(datanet, ALICE, Some(5)));
		assert_noop!(revoke(STRANGER, datanet, ALICE), Problem::NotOwner);
		// Another role of the same account is not granted.
		assert_noop!(
			send(OWNER, Call::revoke_access { datanet, who: ALICE, role: Role::Curator }),
			Problem::NotGranted
		);
		assert_ok!(revoke(ALICE, datanet, ALICE));
		assert!(!may_train(ALICE, datanet));
		assert_eq!(free(OWNER), before);
		// What has expired, anybody removes; the deposit goes to who made it.
		assert_ok!(grant(datanet, ALICE, Some(5)));
		begin_block(4);
		assert_noop!(revoke(STRANGER, datanet, ALICE), Problem::NotOwner);
		begin_block(5);
		assert_ok!(revoke(STRANGER, datanet, ALICE));
		assert_eq!(free(OWNER), before);
		assert_eq!(free(STRANGER), FUNDS);
	});
}

#[test]
fn buy_should_pay_the_owner_and_hold_the_buyers_deposit() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Open, PRICE));
		let before = free(OWNER);
		assert_ok!(buy(ALICE, datanet, PRICE));
		assert_eq!(
			last_event(),
			Event::AccessBought { datanet, who: ALICE, owner: OWNER, price: PRICE }
		);
		assert_eq!(free(OWNER), before + PRICE);
		assert_eq!(free(ALICE), FUNDS - PRICE - deposit());
		assert!(may_train(ALICE, datanet));
		assert!(!may_train(BOB, datanet));
		assert_eq!(
			Datanets::grant(datanet, ALICE, Role::Trainer),
			Some(Grant::Bought { price: PRICE })
		);
	});
}

#[test]
fn buy_should_fail_when_access_is_not_sold_or_not_needed() {
	ExtBuilder.build_and_execute(|| {
		for terms in [
			terms_with(AccessPolicy::Open, 0),
			terms_with(AccessPolicy::Approval, PRICE),
			terms_with(AccessPolicy::Permissioned, PRICE),
		] {
			let datanet = create(terms);
			assert_noop!(buy(ALICE, datanet, PRICE), Problem::AccessNotForSale);
		}
		assert_noop!(buy(ALICE, NOWHERE, PRICE), Problem::UnknownDatanet);
		let datanet = NextDatanetId::<Test>::get();
		assert_ok!(send(BOB, create_call(terms_with(AccessPolicy::Open, PRICE))));
		assert_noop!(buy(BOB, datanet, PRICE), Problem::AlreadyGranted);
		assert_ok!(buy(ALICE, datanet, PRICE));
		assert_noop!(buy(ALICE, datanet, PRICE), Problem::AlreadyGranted);
	});
}

#[test]
fn buy_should_fail_when_the_price_rose_or_cannot_be_paid() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Open, PRICE));
		assert_noop!(buy(ALICE, datanet, PRICE - 1), Problem::PriceAboveLimit);
		assert_noop!(buy(POOR, datanet, PRICE), TokenError::FundsUnavailable);
		let dear = terms_with(AccessPolicy::Open, PRICE + 1);
		assert_ok!(send(OWNER, Call::update_datanet { datanet, terms: dear }));
		assert_noop!(buy(ALICE, datanet, PRICE), Problem::PriceAboveLimit);
		// It pays the price, not the limit.
		assert_ok!(buy(ALICE, datanet, Balance::MAX));
		assert_eq!(free(ALICE), FUNDS - PRICE - 1 - deposit());
	});
}

#[test]
fn bought_access_should_outlive_the_owners_changes() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Open, PRICE));
		assert_ok!(buy(ALICE, datanet, PRICE));
		assert_noop!(revoke(OWNER, datanet, ALICE), Problem::AccessWasBought);
		assert_noop!(revoke(STRANGER, datanet, ALICE), Problem::NotOwner);
		assert_noop!(grant(datanet, ALICE, Some(9)), Problem::AccessWasBought);
		assert_noop!(grant(datanet, ALICE, None), Problem::AccessWasBought);
		let closed = terms_with(AccessPolicy::Permissioned, 10 * PRICE);
		assert_ok!(send(OWNER, Call::update_datanet { datanet, terms: closed }));
		assert_ok!(send(OWNER, Call::offer_datanet { datanet, to: BOB }));
		assert_ok!(send(BOB, Call::accept_datanet { datanet }));
		assert_noop!(revoke(BOB, datanet, ALICE), Problem::AccessWasBought);
		begin_block(100);
		assert!(may_train(ALICE, datanet));
		// Only the account itself gives it up, and gets its deposit but not the price.
		assert_ok!(revoke(ALICE, datanet, ALICE));
		assert!(!may_train(ALICE, datanet));
		assert_eq!(free(ALICE), FUNDS - PRICE);
	});
}

#[test]
fn a_grant_of_limited_time_should_be_replaced_when_access_is_bought() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Open, PRICE));
		let before = free(OWNER);
		assert_ok!(grant(datanet, ALICE, Some(9)));
		assert_ok!(buy(ALICE, datanet, PRICE));
		// The owner's deposit went back, the buyer's is held.
		assert_eq!(free(OWNER), before + PRICE);
		assert_eq!(held_for(AccessReason::get(), ALICE), deposit());
		begin_block(10);
		assert!(may_train(ALICE, datanet));
		// A grant without end leaves nothing to buy.
		assert_ok!(grant(datanet, BOB, None));
		assert_noop!(buy(BOB, datanet, PRICE), Problem::AlreadyGranted);
		// One that has ended does not count.
		assert_ok!(grant(datanet, STRANGER, Some(11)));
		begin_block(11);
		assert_ok!(buy(STRANGER, datanet, PRICE));
	});
}

#[test]
fn request_should_hold_the_price_until_it_is_answered() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		let before = free(OWNER);
		begin_block(3);
		assert_ok!(request(ALICE, datanet, PRICE));
		assert_eq!(last_event(), Event::AccessRequested { datanet, who: ALICE, price: PRICE });
		assert_eq!(
			Datanets::access_request(datanet, ALICE),
			Some(AccessRequest { price: PRICE, requested_at: 3 })
		);
		assert_eq!(held_for(PriceReason::get(), ALICE), PRICE);
		assert_eq!(free(ALICE), FUNDS - PRICE - deposit());
		assert!(!may_train(ALICE, datanet));
		assert_noop!(request(ALICE, datanet, PRICE), Problem::AlreadyRequested);

		assert_ok!(grant(datanet, ALICE, None));
		assert_eq!(
			last_event(),
			Event::AccessBought { datanet, who: ALICE, owner: OWNER, price: PRICE }
		);
		assert_eq!(free(OWNER), before + PRICE);
		assert_eq!(held_for(PriceReason::get(), ALICE), 0);
		// The request's deposit is the grant's now: the owner made none.
		assert_eq!(held_for(AccessReason::get(), ALICE), deposit());
		assert_eq!(held_for(AccessReason::get(), OWNER), 0);
		assert_eq!(Datanets::access_request(datanet, ALICE), None);
		assert!(may_train(ALICE, datanet));
		assert_noop!(revoke(OWNER, datanet, ALICE), Problem::AccessWasBought);
		assert_noop!(request(ALICE, datanet, PRICE), Problem::AlreadyGranted);
	});
}

#[test]
fn a_request_should_be_given_back_when_refused_or_cancelled() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		assert_ok!(request(ALICE, datanet, PRICE));
		assert_ok!(send(OWNER, Call::refuse_access { datanet, who: ALICE }));
		assert_eq!(last_event(), Event::AccessRefused { datanet, who: ALICE, price: PRICE });
		assert_eq!(free(ALICE), FUNDS);
		assert_ok!(request(ALICE, datanet, PRICE));
		assert_ok!(send(ALICE, Call::cancel_access_request { datanet }));
		assert_eq!(
			last_event(),
			Event::AccessRequestCancelled { datanet, who: ALICE, price: PRICE }
		);
		assert_eq!(free(ALICE), FUNDS);
		assert!(!may_train(ALICE, datanet));
		// Once.
		assert_noop!(
			send(OWNER, Call::refuse_access { datanet, who: ALICE }),
			Problem::NotRequested
		);
		for datanet in [datanet, NOWHERE] {
			assert_noop!(
				send(ALICE, Call::cancel_access_request { datanet }),
				Problem::NotRequested
			);
		}
	});
}

#[test]
fn request_should_fail_when_not_asked_for_or_too_dear() {
	ExtBuilder.build_and_execute(|| {
		for policy in [AccessPolicy::Open, AccessPolicy::Permissioned] {
			let datanet = create(terms_with(policy, PRICE));
			assert_noop!(request(ALICE, datanet, PRICE), Problem::AccessNotByRequest);
		}
		assert_noop!(request(ALICE, NOWHERE, PRICE), Problem::UnknownDatanet);
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		assert_noop!(request(ALICE, datanet, PRICE - 1), Problem::PriceAboveLimit);
		assert_noop!(request(POOR, datanet, PRICE), TokenError::FundsUnavailable);
		assert_noop!(request(OWNER, datanet, PRICE), Problem::AlreadyGranted);
	});
}

#[test]
fn a_request_should_carry_its_price_when_the_terms_change() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		for who in [ALICE, BOB, STRANGER] {
			assert_ok!(request(who, datanet, PRICE));
		}
		let new = terms_with(AccessPolicy::Permissioned, 10 * PRICE);
		assert_ok!(send(OWNER, Call::update_datanet { datanet, terms: new }));
		let before = free(OWNER);
		assert_ok!(grant(datanet, ALICE, None));
		assert_eq!(free(OWNER), before + PRICE);
		// Whatever the policy has become, the price does not stay held against anybody's will.
		assert_ok!(send(BOB, Call::cancel_access_request { datanet }));
		assert_eq!(free(BOB), FUNDS);
		assert_ok!(send(OWNER, Call::refuse_access { datanet, who: STRANGER }));
		assert_eq!(free(STRANGER), FUNDS);
	});
}

#[test]
fn a_paid_request_should_not_be_granted_with_an_end() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		assert_ok!(request(ALICE, datanet, PRICE));
		assert_noop!(grant(datanet, ALICE, Some(9)), Problem::AccessWasBought);
		// Other roles have nothing to do with the request.
		give(datanet, ALICE, Role::Curator, Some(9));
		assert_eq!(held_for(PriceReason::get(), ALICE), PRICE);
	});
}

#[test]
fn a_free_request_should_be_granted_like_a_gift() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, 0));
		assert_ok!(request(ALICE, datanet, 0));
		assert_eq!(held_for(PriceReason::get(), ALICE), 0);
		assert_ok!(grant(datanet, ALICE, Some(9)));
		assert_eq!(
			last_event(),
			Event::AccessGranted { datanet, who: ALICE, role: Role::Trainer, expires_at: Some(9) }
		);
		assert!(may_train(ALICE, datanet));
		assert_ok!(request(ALICE, datanet, 0));
		// Answered again: the earlier grant's deposit goes back to its maker, here the same account.
		assert_ok!(grant(datanet, ALICE, None));
		assert_eq!(held_for(AccessReason::get(), ALICE), deposit());
		assert_ok!(revoke(OWNER, datanet, ALICE));
		assert_eq!(free(ALICE), FUNDS);
		assert_ok!(request(BOB, datanet, 0));
		assert_ok!(send(BOB, Call::cancel_access_request { datanet }));
		assert_eq!(free(BOB), FUNDS);
	});
}

#[test]
fn the_held_price_should_be_paid_when_the_account_is_frozen() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		assert_ok!(request(ALICE, datanet, PRICE));
		assert_ok!(<Balances as MutateFreeze<_>>::set_freeze(b"elsewher", &ALICE, FUNDS));
		let before = free(OWNER);
		assert_ok!(grant(datanet, ALICE, None));
		assert_eq!(free(OWNER), before + PRICE);
	});
}

#[test]
fn prices_held_for_several_datanets_should_not_mix() {
	ExtBuilder.build_and_execute(|| {
		let first = create(terms_with(AccessPolicy::Approval, PRICE));
		let second = create(terms_with(AccessPolicy::Approval, 3 * PRICE));
		assert_ok!(request(ALICE, first, PRICE));
		assert_ok!(request(ALICE, second, 3 * PRICE));
		assert_eq!(held_for(PriceReason::get(), ALICE), 4 * PRICE);
		assert_ok!(send(OWNER, Call::refuse_access { datanet: first, who: ALICE }));
		assert_eq!(held_for(PriceReason::get(), ALICE), 3 * PRICE);
		assert_ok!(grant(second, ALICE, None));
		assert!(!may_train(ALICE, first));
	});
}

#[test]
fn the_smallest_price_should_be_payable_to_an_owner_who_has_spent_all() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, EXISTENTIAL));
		assert_ok!(request(ALICE, datanet, EXISTENTIAL));
		assert_ok!(<Balances as Mutate<_>>::transfer(
			&OWNER,
			&BOB,
			free(OWNER) - EXISTENTIAL,
			Preservation::Preserve
		));
		assert_ok!(grant(datanet, ALICE, None));
		assert_eq!(free(OWNER), 2 * EXISTENTIAL);
	});
}

#[test]
fn a_requester_who_became_the_owner_should_get_the_price_back() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		assert_ok!(request(ALICE, datanet, PRICE));
		assert_ok!(send(OWNER, Call::offer_datanet { datanet, to: ALICE }));
		assert_ok!(send(ALICE, Call::accept_datanet { datanet }));
		assert_noop!(
			send(
				ALICE,
				Call::grant_access { datanet, who: ALICE, role: Role::Trainer, expires_at: None }
			),
			Problem::AlreadyGranted
		);
		assert_ok!(send(ALICE, Call::cancel_access_request { datanet }));
		assert_eq!(held_for(PriceReason::get(), ALICE), 0);
	});
}

#[test]
fn the_new_owner_should_take_over_the_deposit_when_renewing_a_grant() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, 0));
		assert_ok!(grant(datanet, ALICE, Some(9)));
		assert_ok!(request(STRANGER, datanet, 0));
		assert_ok!(grant(datanet, STRANGER, Some(9)));
		assert_ok!(send(OWNER, Call::offer_datanet { datanet, to: BOB }));
		assert_ok!(send(BOB, Call::accept_datanet { datanet }));
		assert_eq!(held_for(AccessReason::get(), OWNER), deposit());
		for who in [ALICE, STRANGER] {
			let role = Role::Trainer;
			assert_ok!(send(BOB, Call::grant_access { datanet, who, role, expires_at: None }));
		}
		assert_eq!(held_for(AccessReason::get(), OWNER), 0);
		assert_eq!(held_for(AccessReason::get(), BOB), deposit());
		// Who asked for access stands for its own.
		assert_eq!(held_for(AccessReason::get(), STRANGER), deposit());
	});
}

#[test]
fn pages_of_requests_should_name_each_once() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		for who in [ALICE, BOB, STRANGER, CURATOR] {
			assert_ok!(request(who, datanet, PRICE));
		}
		let first = Datanets::access_requests(datanet, None, 3);
		let rest = Datanets::access_requests(datanet, first.last().map(|(who, _)| *who), 3);
		assert_eq!((first.len(), rest.len()), (3, 1));
		let mut all: Vec<AccountId> = first.iter().chain(&rest).map(|(who, _)| *who).collect();
		all.sort_unstable();
		assert_eq!(all, vec![CURATOR, ALICE, BOB, STRANGER]);
		assert!(first.iter().all(|(_, request)| request.price == PRICE));
		assert_eq!(Datanets::access_requests(NOWHERE, None, 3), vec![]);
	});
}
