//! `try_state` finds what must not be. Each of these breaks one thing behind the pallet's back.

use super::*;

/// A chain with one of everything, broken by `corrupt`.
fn finds(complaint: &'static str, corrupt: impl FnOnce(DatanetId)) {
	ExtBuilder.build().execute_with(|| {
		let datanet = create(terms_with(AccessPolicy::Approval, PRICE));
		accepted(datanet, ALICE, 1);
		assert_ok!(send(OWNER, Call::publish_version { datanet }));
		accepted(datanet, ALICE, 2);
		contribute(datanet, BOB, 3);
		give(datanet, CURATOR, Role::Curator, None);
		assert_ok!(send(BOB, Call::request_access { datanet, max_price: PRICE }));
		check_everything();
		corrupt(datanet);
		assert_eq!(Datanets::do_try_state(), Err(complaint.into()));
	});
}

#[test]
fn a_lost_deposit_should_be_found() {
	finds("a datanet has no deposit", DatanetDeposits::<Test>::remove);
	finds("a pending contribution has no deposit", |datanet| {
		PendingDeposits::<Test>::remove(datanet, 2)
	});
}

#[test]
fn a_wrong_list_should_be_found() {
	finds("an owner has no list", |_| DatanetsOf::<Test>::remove(OWNER));
	finds("an owner's list is wrong", |_| DatanetsOf::<Test>::try_append(ALICE, NOWHERE).unwrap());
	finds("an offer of no datanet", |_| DatanetOffers::<Test>::insert(NOWHERE, ALICE));
	finds("offered to its owner", |datanet| DatanetOffers::<Test>::insert(datanet, OWNER));
}

#[test]
fn a_wrong_sum_should_be_found() {
	finds("pending are counted wrong", |datanet| {
		Counters::<Test>::mutate(datanet, |counters| counters.pending += 1)
	});
	finds("records are counted wrong", |datanet| {
		Ranges::<Test>::mutate(datanet, |range| range.records += 1)
	});
	finds("bytes are counted wrong", |datanet| {
		Ranges::<Test>::mutate(datanet, |range| range.bytes -= 1)
	});
	finds("the range has other leaves than the contributions", |datanet| {
		Ranges::<Test>::mutate(datanet, |range| {
			range.range.push(H256::zero()).unwrap();
		})
	});
}

#[test]
fn a_contribution_that_lost_its_root_or_deadline_should_be_found() {
	finds("a contribution is not found by its root", |datanet| {
		ContributionByRoot::<Test>::remove(datanet, data(1).root)
	});
	finds("a root of no contribution", |datanet| {
		ContributionByRoot::<Test>::insert(datanet, data(9).root, 9)
	});
	finds("a pending contribution is not on the agenda", |datanet| {
		Agenda::<Test>::remove(1 + REVIEW, ContributionId { datanet, index: 2 })
	});
	finds("an agenda entry for nothing", |datanet| {
		Agenda::<Test>::insert(9, ContributionId { datanet, index: 0 }, ())
	});
	finds("an agenda entry is behind the cursor", |_| AgendaCursor::<Test>::put(100));
}

#[test]
fn a_wrong_version_should_be_found() {
	let change = |datanet, change: fn(&mut PublishedVersion<BlockNumber>)| {
		Versions::<Test>::mutate(datanet, 0, |version| change(version.as_mut().unwrap()))
	};
	finds("a version is missing", |datanet| Versions::<Test>::remove(datanet, 0));
	finds("a version adds nothing", |datanet| {
		change(datanet, |version| version.commitment.contributions = 0)
	});
	finds("a version has more than there is", |datanet| {
		change(datanet, |version| version.commitment.contributions = 3)
	});
	finds("a version has another licence", |datanet| {
		change(datanet, |version| version.licence.commercial = false)
	});
	finds("the last version has another root", |datanet| {
		change(datanet, |version| version.commitment.contributions = 2)
	});
}

#[test]
fn a_price_that_is_not_held_should_be_found() {
	finds("another price is held than was asked for", |datanet| {
		AccessRequests::<Test>::mutate(datanet, BOB, |request| {
			request.as_mut().unwrap().value.price += 1
		})
	});
	finds("a role that is not sold was bought", |datanet| {
		Grants::<Test>::mutate((datanet, CURATOR, Role::Curator), |grant| {
			grant.as_mut().unwrap().value = Grant::Bought { price: PRICE }
		})
	});
}
