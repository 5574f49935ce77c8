//! Random sequences of calls by random accounts: whatever succeeds or fails, the invariants hold, no
//! plank is made or lost, and what is held is what open deposits say.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
	Send(AccountId, Call<Test>),
	/// Something that is there at the time, the so-manieth, is acted on by whom it concerns. Drawn
	/// blindly, few such calls would meet what they are about.
	Meet(usize, Meeting),
	/// Blocks pass; the flag says whether they have weight to spare.
	Pass(BlockNumber, bool),
}

#[derive(Clone, Copy, Debug)]
enum Meeting {
	/// Of a pending contribution with an answer.
	Accept,
	Reject,
	Withdraw,
	Settle,
	/// Of a datanet with its owner or a curator.
	Publish,
	/// Of a closed datanet with its owner.
	Reopen,
	/// Of an offer with the account it names.
	TakeOver,
	/// Of a request with an answer.
	Grant,
	Refuse,
	Cancel,
	/// Of a grant with its end.
	Revoke,
	GiveUp,
}

const MEETINGS: [Meeting; 12] = [
	Meeting::Accept,
	Meeting::Reject,
	Meeting::Withdraw,
	Meeting::Settle,
	Meeting::Publish,
	Meeting::Reopen,
	Meeting::TakeOver,
	Meeting::Grant,
	Meeting::Refuse,
	Meeting::Cancel,
	Meeting::Revoke,
	Meeting::GiveUp,
];

fn pick<Entry>(entries: impl Iterator<Item = Entry>, at: usize) -> Option<Entry> {
	let mut entries: Vec<Entry> = entries.collect();
	(!entries.is_empty()).then(|| entries.swap_remove(at % entries.len()))
}

fn owner_of(datanet: DatanetId) -> AccountId {
	Datanets::datanet(datanet).unwrap().owner
}

/// Who does what in a meeting, if there is anybody to meet.
fn arrange(at: usize, meeting: Meeting) -> Option<(AccountId, Call<Test>)> {
	let pending = || pick(PendingDeposits::<Test>::iter_keys(), at);
	let asked = || pick(AccessRequests::<Test>::iter_keys(), at);
	let granted = || pick(Grants::<Test>::iter_keys(), at);
	Some(match meeting {
		Meeting::Accept => {
			let (datanet, index) = pending()?;
			(owner_of(datanet), Call::accept_contribution { datanet, index })
		},
		Meeting::Reject => {
			let (datanet, index) = pending()?;
			let reason = RejectReason::Duplicate;
			(owner_of(datanet), Call::reject_contribution { datanet, index, reason })
		},
		Meeting::Withdraw => {
			let (datanet, index) = pending()?;
			let who = Contributions::<Test>::get(datanet, index).unwrap().contributor;
			(who, Call::withdraw_contribution { datanet, index })
		},
		Meeting::Settle => {
			let (datanet, index) = pending()?;
			(STRANGER, Call::settle_contribution { datanet, index })
		},
		Meeting::Publish => {
			let datanet = pick(Ranges::<Test>::iter_keys(), at)?;
			(owner_of(datanet), Call::publish_version { datanet })
		},
		Meeting::Reopen => {
			let closed = pallet::Datanets::<Test>::iter()
				.filter(|(_, datanet)| !datanet.takes_contributions);
			let (datanet, Datanet { owner, .. }) = pick(closed, at)?;
			(owner, Call::reopen_datanet { datanet })
		},
		Meeting::TakeOver => {
			let (datanet, to) = pick(DatanetOffers::<Test>::iter(), at)?;
			(to, Call::accept_datanet { datanet })
		},
		Meeting::Grant => {
			let (datanet, who) = asked()?;
			let role = Role::Trainer;
			(owner_of(datanet), Call::grant_access { datanet, who, role, expires_at: None })
		},
		Meeting::Refuse => {
			let (datanet, who) = asked()?;
			(owner_of(datanet), Call::refuse_access { datanet, who })
		},
		Meeting::Cancel => {
			let (datanet, who) = asked()?;
			(who, Call::cancel_access_request { datanet })
		},
		Meeting::Revoke => {
			let (datanet, who, role) = granted()?;
			(owner_of(datanet), Call::revoke_access { datanet, who, role })
		},
		Meeting::GiveUp => {
			let (datanet, who, role) = granted()?;
			(who, Call::revoke_access { datanet, who, role })
		},
	})
}

fn account() -> impl Strategy<Value = AccountId> {
	OWNER..=POOR
}

fn datanet() -> impl Strategy<Value = DatanetId> {
	(0u32..4).prop_map(DatanetId)
}

fn role() -> impl Strategy<Value = Role> {
	prop_oneof![Just(Role::Curator), Just(Role::Contributor), Just(Role::Trainer)]
}

fn some_terms() -> impl Strategy<Value = Terms> {
	(
		prop_oneof![Just(0), Just(5), Just(EXISTENTIAL), Just(PRICE)],
		prop_oneof![
			Just(AccessPolicy::Open),
			Just(AccessPolicy::Approval),
			Just(AccessPolicy::Permissioned)
		],
		prop_oneof![Just(Verdict::Accept), Just(Verdict::Reject)],
		1u64..8,
	)
		.prop_map(|(price, access, default_verdict, review_period)| DatanetTerms {
			price,
			access,
			default_verdict,
			review_period,
			..terms()
		})
}

fn owners_call() -> impl Strategy<Value = Call<Test>> {
	prop_oneof![
		some_terms().prop_map(create_call),
		(datanet(), some_terms())
			.prop_map(|(datanet, terms)| Call::update_datanet { datanet, terms }),
		datanet().prop_map(|datanet| Call::close_datanet { datanet }),
		datanet().prop_map(|datanet| Call::reopen_datanet { datanet }),
		(datanet(), account()).prop_map(|(datanet, to)| Call::offer_datanet { datanet, to }),
		datanet().prop_map(|datanet| Call::withdraw_datanet_offer { datanet }),
		datanet().prop_map(|datanet| Call::accept_datanet { datanet }),
	]
}

fn contributors_call() -> impl Strategy<Value = Call<Test>> {
	let index = || 0u32..8;
	prop_oneof![
		4 => (datanet(), 0u8..12).prop_map(|(datanet, seed)| contribute_call(datanet, data(seed))),
		1 => (datanet(), index())
			.prop_map(|(datanet, index)| Call::withdraw_contribution { datanet, index }),
		3 => (datanet(), index())
			.prop_map(|(datanet, index)| Call::accept_contribution { datanet, index }),
		1 => (datanet(), index()).prop_map(|(datanet, index)| Call::reject_contribution {
			datanet,
			index,
			reason: RejectReason::Spam
		}),
		1 => (datanet(), index())
			.prop_map(|(datanet, index)| Call::settle_contribution { datanet, index }),
		1 => datanet().prop_map(|datanet| Call::publish_version { datanet }),
	]
}

fn access_call() -> impl Strategy<Value = Call<Test>> {
	let end = || proptest::option::of(1u64..60);
	prop_oneof![
		2 => (datanet(), account(), role(), end()).prop_map(|(datanet, who, role, expires_at)| {
			Call::grant_access { datanet, who, role, expires_at }
		}),
		// An answer to a request, as owners mostly give it.
		2 => (datanet(), account()).prop_map(|(datanet, who)| Call::grant_access {
			datanet,
			who,
			role: Role::Trainer,
			expires_at: None
		}),
		1 => (datanet(), account(), role())
			.prop_map(|(datanet, who, role)| Call::revoke_access { datanet, who, role }),
		2 => datanet().prop_map(|datanet| Call::buy_access { datanet, max_price: PRICE }),
		2 => datanet().prop_map(|datanet| Call::request_access { datanet, max_price: PRICE }),
		1 => (datanet(), account())
			.prop_map(|(datanet, who)| Call::refuse_access { datanet, who }),
		1 => datanet().prop_map(|datanet| Call::cancel_access_request { datanet }),
	]
}

fn step() -> impl Strategy<Value = Step> {
	prop_oneof![
		1 => (account(), owners_call()).prop_map(|(who, call)| Step::Send(who, call)),
		2 => (OWNER..=OWNER, owners_call()).prop_map(|(who, call)| Step::Send(who, call)),
		3 => (account(), contributors_call()).prop_map(|(who, call)| Step::Send(who, call)),
		2 => (OWNER..=OWNER, contributors_call()).prop_map(|(who, call)| Step::Send(who, call)),
		3 => (account(), access_call()).prop_map(|(who, call)| Step::Send(who, call)),
		3 => (OWNER..=OWNER, access_call()).prop_map(|(who, call)| Step::Send(who, call)),
		10 => (any::<usize>(), 0..MEETINGS.len())
			.prop_map(|(at, meeting)| Step::Meet(at, MEETINGS[meeting])),
		1 => (1u64..6, any::<bool>()).prop_map(|(blocks, idle)| Step::Pass(blocks, idle)),
	]
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(256))]

	#[test]
	fn every_sequence_of_calls_keeps_the_invariants(
		steps in proptest::collection::vec(step(), 1..120)
	) {
		ExtBuilder.build_and_execute(|| {
			// Three datanets of every policy to begin with.
			create(terms());
			create(terms_with(AccessPolicy::Approval, PRICE));
			create(terms_with(AccessPolicy::Open, PRICE));
			let everything: Balance = (OWNER..=POOR).map(total).sum();
			for step in steps {
				match step {
					// Much of what is drawn makes sense, some does not: both must leave the state sound.
					Step::Send(who, call) => {
						let _ = send(who, call);
					},
					Step::Meet(at, meeting) => {
						if let Some((who, call)) = arrange(at, meeting) {
							let _ = send(who, call);
						}
					},
					Step::Pass(blocks, true) => begin_block(System::block_number() + blocks),
					Step::Pass(blocks, false) => begin_busy_block(System::block_number() + blocks),
				}
				check_everything();
				let now: Balance = (OWNER..=POOR).map(total).sum();
				assert_eq!(now, everything);
			}
			// In the end nobody waits for ever: everything pending is settled and given back.
			begin_block(System::block_number() + MAX_REVIEW + 1);
			assert_eq!(PendingDeposits::<Test>::iter_keys().count(), 0);
			assert_eq!(Agenda::<Test>::iter_keys().count(), 0);
			for who in OWNER..=POOR {
				assert_eq!(held_for(ContributionReason::get(), who), 0);
			}
		});
	}
}
