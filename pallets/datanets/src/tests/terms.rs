use super::*;
use frame_support::traits::{fungible::InspectHold, Hooks};
use sp_runtime::TokenError;

fn stored(id: DatanetId) -> DatanetOf<Test> {
	pallet::Datanets::<Test>::get(id).unwrap()
}

fn with_name(bytes: &[u8]) -> Call<Test> {
	Call::create_datanet {
		name: bytes.to_vec().try_into().unwrap(),
		kind: DatanetKind::Code,
		licence: LicenceTerms::OPEN,
		terms: terms(),
	}
}

fn with_licence(licence: LicenceTerms) -> Call<Test> {
	Call::create_datanet { name: name(), kind: DatanetKind::Audio, licence, terms: terms() }
}

#[test]
fn create_should_store_the_datanet_and_hold_its_deposit() {
	ExtBuilder.build_and_execute(|| {
		let id = create(terms());
		assert_eq!(id, DatanetId(0));
		assert_eq!(
			stored(id),
			Datanet {
				owner: OWNER,
				name: name(),
				kind: DatanetKind::Text,
				licence: LicenceTerms::OPEN,
				terms: terms(),
				takes_contributions: true,
				created_at: 1,
			}
		);
		assert_eq!(
			last_event(),
			Event::DatanetCreated {
				datanet: id,
				owner: OWNER,
				kind: DatanetKind::Text,
				licence: LicenceTerms::OPEN
			}
		);
		let deposit = held_for(DatanetReason::get(), OWNER);
		assert_eq!(deposit, Datanets::deposit_quote(1, 1).datanet);
		assert_eq!(free(OWNER), FUNDS - deposit);
		assert_eq!(create(terms()), DatanetId(1));
		assert_eq!(Datanets::datanets_of(OWNER), vec![DatanetId(0), DatanetId(1)]);
	});
}

#[test]
fn create_should_fail_when_the_name_is_no_text() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(send(OWNER, with_name(b"")), Problem::InvalidName);
		assert_noop!(send(OWNER, with_name(&[0xff, 0xfe])), Problem::InvalidName);
		assert_ok!(send(OWNER, with_name("Vögel".as_bytes())));
		assert_ok!(send(OWNER, with_name(&[b'x'; MAX_NAME as usize])));
	});
}

#[test]
fn create_should_fail_when_the_licence_is_impossible() {
	ExtBuilder.build_and_execute(|| {
		for licence in [
			LicenceTerms { purposes: Purposes(0), ..LicenceTerms::OPEN },
			LicenceTerms { purposes: Purposes(0b1_0000), ..LicenceTerms::OPEN },
			LicenceTerms { revenue_share: 10_001, ..LicenceTerms::OPEN },
		] {
			assert_noop!(send(OWNER, with_licence(licence)), Problem::InvalidLicence);
		}
		assert_ok!(send(
			OWNER,
			with_licence(LicenceTerms { revenue_share: 10_000, ..LicenceTerms::OPEN })
		));
	});
}

#[test]
fn terms_should_be_refused_when_out_of_bounds() {
	ExtBuilder.build_and_execute(|| {
		let id = create(terms());
		for (review_period, allowed) in
			[(0, false), (MIN_REVIEW - 1, false), (MIN_REVIEW, true), (MAX_REVIEW, true)]
				.into_iter()
				.chain([(MAX_REVIEW + 1, false), (u64::MAX, false)])
		{
			let new = DatanetTerms { review_period, ..terms() };
			let update = Call::update_datanet { datanet: id, terms: new };
			if allowed {
				assert_ok!(send(OWNER, create_call(new)));
				assert_ok!(send(OWNER, update));
			} else {
				assert_noop!(send(OWNER, create_call(new)), Problem::ReviewPeriodOutOfBounds);
				assert_noop!(send(OWNER, update), Problem::ReviewPeriodOutOfBounds);
			}
		}
		for price in [1, EXISTENTIAL - 1] {
			let new = terms_with(AccessPolicy::Open, price);
			assert_noop!(send(ALICE, create_call(new)), Problem::PriceBelowMinimum);
			assert_noop!(
				send(OWNER, Call::update_datanet { datanet: id, terms: new }),
				Problem::PriceBelowMinimum
			);
		}
		assert_ok!(send(ALICE, create_call(terms_with(AccessPolicy::Open, EXISTENTIAL))));
	});
}

#[test]
fn create_should_fail_when_the_owner_has_too_many() {
	ExtBuilder.build_and_execute(|| {
		for _ in 0..MAX_DATANETS {
			create(terms());
		}
		assert_noop!(send(OWNER, create_call(terms())), Problem::TooManyDatanets);
		assert_eq!(NextDatanetId::<Test>::get(), DatanetId(MAX_DATANETS));
		assert_ok!(send(ALICE, create_call(terms())));
	});
}

#[test]
fn create_should_fail_when_the_numbers_are_used_up() {
	ExtBuilder.build_and_execute(|| {
		NextDatanetId::<Test>::put(DatanetId(u32::MAX));
		assert_noop!(send(OWNER, create_call(terms())), Problem::NumbersExhausted);
		NextDatanetId::<Test>::put(DatanetId(0));
	});
}

#[test]
fn create_should_fail_when_the_deposit_cannot_be_held() {
	ExtBuilder.build_and_execute(|| {
		assert_noop!(send(POOR, create_call(terms())), TokenError::FundsUnavailable);
	});
}

#[test]
fn update_should_replace_the_terms_only() {
	ExtBuilder.build_and_execute(|| {
		let id = create(terms());
		let before = stored(id);
		let new = DatanetTerms {
			price: PRICE,
			access: AccessPolicy::Approval,
			default_verdict: Verdict::Reject,
			review_period: MAX_REVIEW,
			metadata: H256::repeat_byte(9),
		};
		assert_ok!(send(OWNER, Call::update_datanet { datanet: id, terms: new }));
		assert_eq!(
			last_event(),
			Event::DatanetUpdated { datanet: id, old_terms: terms(), new_terms: new }
		);
		assert_eq!(stored(id), Datanet { terms: new, ..before });
	});
}

#[test]
fn owner_calls_should_fail_when_another_makes_them() {
	ExtBuilder.build_and_execute(|| {
		let id = create(terms());
		give(id, CURATOR, Role::Curator, None);
		let calls = |datanet| {
			[
				Call::update_datanet { datanet, terms: terms() },
				Call::close_datanet { datanet },
				Call::reopen_datanet { datanet },
				Call::offer_datanet { datanet, to: BOB },
				Call::withdraw_datanet_offer { datanet },
				Call::grant_access { datanet, who: BOB, role: Role::Trainer, expires_at: None },
				Call::refuse_access { datanet, who: BOB },
			]
		};
		for call in calls(id) {
			assert_noop!(send(CURATOR, call.clone()), Problem::NotOwner);
			assert_noop!(send(STRANGER, call), Problem::NotOwner);
		}
		for call in calls(NOWHERE) {
			assert_noop!(send(OWNER, call), Problem::UnknownDatanet);
		}
	});
}

#[test]
fn every_call_should_fail_when_nobody_signs() {
	use sp_runtime::{traits::Dispatchable, DispatchError};
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let index = contribute(datanet, ALICE, 1);
		let (who, role, expires_at, max_price) = (BOB, Role::Trainer, None, PRICE);
		for call in [
			create_call(terms()),
			Call::update_datanet { datanet, terms: terms() },
			Call::close_datanet { datanet },
			Call::reopen_datanet { datanet },
			Call::offer_datanet { datanet, to: BOB },
			Call::withdraw_datanet_offer { datanet },
			Call::accept_datanet { datanet },
			contribute_call(datanet, data(2)),
			Call::withdraw_contribution { datanet, index },
			Call::accept_contribution { datanet, index },
			Call::reject_contribution { datanet, index, reason: RejectReason::Spam },
			Call::settle_contribution { datanet, index },
			Call::publish_version { datanet },
			Call::grant_access { datanet, who, role, expires_at },
			Call::revoke_access { datanet, who, role },
			Call::buy_access { datanet, max_price },
			Call::request_access { datanet, max_price },
			Call::refuse_access { datanet, who },
			Call::cancel_access_request { datanet },
		] {
			for origin in [RuntimeOrigin::none(), RuntimeOrigin::root()] {
				let failed = RuntimeCall::from(call.clone()).dispatch(origin).unwrap_err();
				assert_eq!(failed.error, DispatchError::BadOrigin, "{call:?}");
			}
		}
	});
}

#[test]
fn a_datanet_should_take_contributions_only_when_open() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let waiting = contribute(datanet, ALICE, 1);
		assert_noop!(send(OWNER, Call::reopen_datanet { datanet }), Problem::ContributionsOpen);

		assert_ok!(send(OWNER, Call::close_datanet { datanet }));
		assert_eq!(last_event(), Event::DatanetClosed { datanet });
		assert_noop!(send(OWNER, Call::close_datanet { datanet }), Problem::ContributionsClosed);
		for who in [ALICE, OWNER] {
			assert_noop!(
				send(who, contribute_call(datanet, data(2))),
				Problem::ContributionsClosed
			);
		}
		// What waits is answered as ever.
		assert_ok!(send(OWNER, Call::accept_contribution { datanet, index: waiting }));

		assert_ok!(send(OWNER, Call::reopen_datanet { datanet }));
		assert_eq!(last_event(), Event::DatanetReopened { datanet });
		contribute(datanet, ALICE, 2);
	});
}

#[test]
fn a_datanet_should_change_hands_when_offered_and_accepted() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let deposit = held_for(DatanetReason::get(), OWNER);
		assert_ok!(send(OWNER, Call::offer_datanet { datanet, to: BOB }));
		assert_eq!(last_event(), Event::DatanetOffered { datanet, to: BOB });
		assert_eq!(Datanets::datanet_offer(datanet), Some(BOB));
		// Nothing was pushed on anybody.
		assert_eq!(stored(datanet).owner, OWNER);
		assert_eq!(held_for(DatanetReason::get(), BOB), 0);

		assert_ok!(send(BOB, Call::accept_datanet { datanet }));
		assert_eq!(last_event(), Event::DatanetTransferred { datanet, from: OWNER, to: BOB });
		assert_eq!(stored(datanet).owner, BOB);
		assert_eq!(held_for(DatanetReason::get(), BOB), deposit);
		assert_eq!(free(OWNER), FUNDS);
		assert_eq!(Datanets::datanets_of(OWNER), vec![]);
		assert!(!DatanetsOf::<Test>::contains_key(OWNER));
		assert_eq!(Datanets::datanets_of(BOB), vec![datanet]);
		assert_eq!(Datanets::datanet_offer(datanet), None);
		// The right went with it.
		assert_noop!(send(OWNER, Call::close_datanet { datanet }), Problem::NotOwner);
		assert_noop!(send(BOB, Call::accept_datanet { datanet }), Problem::NotOffered);
		assert_ok!(send(BOB, Call::close_datanet { datanet }));
	});
}

#[test]
fn the_former_owners_other_datanets_should_stay_when_one_changes_hands() {
	ExtBuilder.build_and_execute(|| {
		let ids = [create(terms()), create(terms()), create(terms())];
		assert_ok!(send(OWNER, Call::offer_datanet { datanet: ids[1], to: BOB }));
		assert_ok!(send(BOB, Call::accept_datanet { datanet: ids[1] }));
		assert_eq!(Datanets::datanets_of(OWNER), vec![ids[0], ids[2]]);
		// There is room for another again.
		create(terms());
	});
}

#[test]
fn an_offer_should_bind_only_the_account_it_names() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		assert_noop!(
			send(OWNER, Call::offer_datanet { datanet, to: OWNER }),
			Problem::AlreadyOwner
		);
		assert_noop!(send(BOB, Call::accept_datanet { datanet }), Problem::NotOffered);
		assert_noop!(send(OWNER, Call::withdraw_datanet_offer { datanet }), Problem::NotOffered);
		assert_noop!(send(BOB, Call::accept_datanet { datanet: NOWHERE }), Problem::UnknownDatanet);

		assert_ok!(send(OWNER, Call::offer_datanet { datanet, to: BOB }));
		assert_noop!(send(ALICE, Call::accept_datanet { datanet }), Problem::NotOffered);
		assert_noop!(send(OWNER, Call::accept_datanet { datanet }), Problem::NotOffered);
		// A new offer takes the place of the old.
		assert_ok!(send(OWNER, Call::offer_datanet { datanet, to: ALICE }));
		assert_noop!(send(BOB, Call::accept_datanet { datanet }), Problem::NotOffered);
		assert_ok!(send(OWNER, Call::withdraw_datanet_offer { datanet }));
		assert_eq!(last_event(), Event::DatanetOfferWithdrawn { datanet });
		assert_noop!(send(ALICE, Call::accept_datanet { datanet }), Problem::NotOffered);
	});
}

#[test]
fn accepting_should_fail_when_the_new_owner_has_no_room_or_no_funds() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		for _ in 0..MAX_DATANETS {
			assert_ok!(send(BOB, create_call(terms())));
		}
		assert_ok!(send(OWNER, Call::offer_datanet { datanet, to: BOB }));
		assert_noop!(send(BOB, Call::accept_datanet { datanet }), Problem::TooManyDatanets);
		assert_ok!(send(OWNER, Call::offer_datanet { datanet, to: POOR }));
		assert_noop!(send(POOR, Call::accept_datanet { datanet }), TokenError::FundsUnavailable);
		assert_eq!(stored(datanet).owner, OWNER);
	});
}

#[test]
fn grants_and_requests_should_stay_when_the_datanet_changes_hands() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		give(datanet, CURATOR, Role::Curator, None);
		assert_ok!(send(ALICE, Call::request_access { datanet, max_price: PRICE }));
		assert_ok!(send(OWNER, Call::offer_datanet { datanet, to: BOB }));
		assert_ok!(send(BOB, Call::accept_datanet { datanet }));

		assert!(Datanets::may(CURATOR, datanet, Role::Curator));
		// The former owner is nothing any more, but the deposit for the grant is still its own.
		assert!(!Datanets::may(OWNER, datanet, Role::Curator));
		assert_eq!(Balances::total_balance_on_hold(&OWNER), Datanets::deposit_quote(1, 1).access);
		assert_ok!(send(BOB, Call::revoke_access { datanet, who: CURATOR, role: Role::Curator }));
		assert_eq!(Balances::total_balance_on_hold(&OWNER), 0);
		// The request is the new owner's to answer, and to be paid for.
		let before = free(BOB);
		assert_ok!(send(
			BOB,
			Call::grant_access { datanet, who: ALICE, role: Role::Trainer, expires_at: None }
		));
		assert_eq!(free(BOB), before + PRICE);
	});
}

#[test]
fn the_runtimes_constants_should_be_sound() {
	ExtBuilder.build_and_execute(Datanets::integrity_test);
}
