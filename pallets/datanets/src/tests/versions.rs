use super::*;

fn publish(who: AccountId, datanet: DatanetId) -> sp_runtime::DispatchResult {
	send(who, Call::publish_version { datanet })
}

#[test]
fn publish_should_commit_to_everything_accepted() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		accepted(datanet, ALICE, 1);
		accepted(datanet, BOB, 2);
		contribute(datanet, ALICE, 3);
		begin_block(3);
		assert_ok!(publish(OWNER, datanet));

		let mut range = mmr::MountainRange::default();
		range.push(mmr::contribution_leaf(0, data(1).root, 10)).unwrap();
		range.push(mmr::contribution_leaf(1, data(2).root, 10)).unwrap();
		let root = range.root().unwrap();
		let version = DatanetVersion { datanet, version: 0 };
		assert_eq!(
			last_event(),
			Event::VersionPublished { version, root, contributions: 2, records: 20, bytes: 4_000 }
		);
		assert_eq!(
			Datanets::version(version),
			Some(PublishedVersion {
				commitment: VersionCommitment { root, contributions: 2, records: 20, bytes: 4_000 },
				licence: LicenceTerms::OPEN,
				published_at: 3,
			})
		);
		assert_eq!(Datanets::latest_version(datanet), Some(version));
	});
}

#[test]
fn a_records_contribution_should_be_provable_in_every_version_that_has_it() {
	ExtBuilder.build_and_execute(|| {
		AccountLimit::set(100);
		DatanetLimit::set(100);
		let datanet = create(terms());
		let leaf = |seed: u8| mmr::contribution_leaf(u32::from(seed), H256::repeat_byte(seed), 10);
		let mut builder = mmr::RangeBuilder::default();
		for seed in 0..7 {
			accepted(datanet, ALICE, seed);
			builder.push(leaf(seed)).unwrap();
			assert_ok!(publish(OWNER, datanet));
		}
		for number in 0..7 {
			let version = DatanetVersion { datanet, version: number };
			let commitment = Datanets::version(version).unwrap().commitment;
			assert_eq!(commitment.contributions, number + 1);
			assert_eq!(builder.root_at(commitment.contributions), Some(commitment.root));
		}
	});
}

#[test]
fn publish_should_fail_when_nothing_is_new() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		assert_eq!(Datanets::latest_version(datanet), None);
		assert_noop!(publish(OWNER, datanet), Problem::NothingToPublish);
		let waiting = contribute(datanet, ALICE, 1);
		assert_noop!(publish(OWNER, datanet), Problem::NothingToPublish);
		assert_ok!(send(OWNER, Call::accept_contribution { datanet, index: waiting }));
		assert_ok!(publish(OWNER, datanet));
		assert_noop!(publish(OWNER, datanet), Problem::NothingToPublish);
		accepted(datanet, ALICE, 2);
		assert_ok!(publish(OWNER, datanet));
		assert_eq!(Datanets::latest_version(datanet), Some(DatanetVersion { datanet, version: 1 }));
	});
}

#[test]
fn publish_should_be_for_owner_and_curators() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		give(datanet, CURATOR, Role::Curator, None);
		accepted(datanet, ALICE, 1);
		assert_noop!(publish(ALICE, datanet), Problem::NotCurator);
		assert_noop!(publish(OWNER, NOWHERE), Problem::UnknownDatanet);
		assert_ok!(publish(CURATOR, datanet));
	});
}

#[test]
fn publish_should_be_possible_when_closed_to_contributions() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		accepted(datanet, ALICE, 1);
		assert_ok!(send(OWNER, Call::close_datanet { datanet }));
		assert_ok!(publish(OWNER, datanet));
	});
}

#[test]
fn publish_should_fail_when_the_numbers_are_used_up() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		accepted(datanet, ALICE, 1);
		Counters::<Test>::mutate(datanet, |counters| counters.versions = u32::MAX);
		assert_noop!(publish(OWNER, datanet), Problem::NumbersExhausted);
		Counters::<Test>::mutate(datanet, |counters| counters.versions = 0);
	});
}
