use super::*;

type Registry = Datanets;

fn version_commitment(version: DatanetVersion) -> Option<VersionCommitment> {
	<Registry as DatanetRegistry<AccountId>>::version(version)
}

#[test]
fn versions_and_licences_should_be_told_when_they_exist() {
	ExtBuilder.build_and_execute(|| {
		let licence = LicenceTerms { commercial: false, revenue_share: 250, ..LicenceTerms::OPEN };
		let datanet = NextDatanetId::<Test>::get();
		assert_ok!(send(
			OWNER,
			Call::create_datanet {
				name: name(),
				kind: DatanetKind::Other,
				licence,
				terms: terms()
			}
		));
		assert_eq!(Registry::licence(datanet), Some(licence));
		assert_eq!(Registry::licence(NOWHERE), None);
		let version = DatanetVersion { datanet, version: 0 };
		assert_eq!(version_commitment(version), None);
		accepted(datanet, ALICE, 1);
		assert_ok!(send(OWNER, Call::publish_version { datanet }));
		let published = Datanets::version(version).unwrap();
		assert_eq!(version_commitment(version), Some(published.commitment));
		assert_eq!(published.licence, licence);
		assert_eq!(version_commitment(DatanetVersion { datanet, version: 1 }), None);
		assert_eq!(version_commitment(DatanetVersion { datanet: NOWHERE, version: 0 }), None);
	});
}

#[test]
fn a_contribution_should_be_told_when_accepted_only() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let first = contribute(datanet, ALICE, 1);
		let second = contribute(datanet, BOB, 2);
		let told = |index| Registry::accepted_contribution(ContributionId { datanet, index });
		assert_eq!(told(first), None);
		assert_ok!(send(OWNER, Call::accept_contribution { datanet, index: second }));
		assert_eq!(
			told(second),
			Some(AcceptedContribution {
				contributor: BOB,
				leaf_index: 0,
				root: data(2).root,
				records: 10,
				content: data(2).content,
				contributed_at: 1,
			})
		);
		let reason = RejectReason::OffTopic;
		assert_ok!(send(OWNER, Call::reject_contribution { datanet, index: first, reason }));
		assert_eq!(told(first), None);
		assert_eq!(told(9), None);
	});
}

#[test]
fn contributions_of_a_version_should_be_told_in_the_order_they_were_made() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms());
		let first = contribute(datanet, ALICE, 1);
		let second = contribute(datanet, BOB, 2);
		begin_block(2);
		let third = contribute(datanet, ALICE, 3);
		let pending = contribute(datanet, ALICE, 4);
		// Accepted the other way round: the leaves follow the answers, the list follows the making.
		for index in [third, second, first] {
			assert_ok!(send(OWNER, Call::accept_contribution { datanet, index }));
		}
		assert_ok!(send(OWNER, Call::publish_version { datanet }));
		assert_ok!(send(OWNER, Call::accept_contribution { datanet, index: pending }));
		assert_ok!(send(OWNER, Call::publish_version { datanet }));

		let listed = |version| {
			Registry::contributions_of(DatanetVersion { datanet, version })
				.into_iter()
				.map(|(id, accepted)| (id.index, accepted.leaf_index, accepted.contributed_at))
				.collect::<Vec<_>>()
		};
		assert_eq!(listed(0), vec![(first, 2, 1), (second, 1, 1), (third, 0, 2)]);
		assert_eq!(listed(1), vec![(first, 2, 1), (second, 1, 1), (third, 0, 2), (pending, 3, 2)]);
		assert_eq!(listed(2), vec![], "a version that is not there has none");
	});
}

#[test]
fn training_should_be_refused_with_the_reason() {
	ExtBuilder.build_and_execute(|| {
		let datanet = create(terms_with(AccessPolicy::Permissioned, 0));
		assert_eq!(
			Registry::ensure_may_train(&ALICE, NOWHERE),
			Err(Problem::UnknownDatanet.into())
		);
		assert_eq!(Registry::ensure_may_train(&ALICE, datanet), Err(Problem::MayNotTrain.into()));
		assert_ok!(Registry::ensure_may_train(&OWNER, datanet));
		give(datanet, ALICE, Role::Trainer, Some(3));
		assert_ok!(Registry::ensure_may_train(&ALICE, datanet));
		begin_block(3);
		assert_eq!(Registry::ensure_may_train(&ALICE, datanet), Err(Problem::MayNotTrain.into()));
	});
}

#[cfg(feature = "runtime-benchmarks")]
#[test]
fn a_version_for_benchmarks_should_be_open_to_everybody() {
	// Not `build_and_execute`: benchmarks mint what they need.
	ExtBuilder.build().execute_with(|| {
		for owner in [OWNER, 99] {
			for _ in 0..2 {
				let version = Registry::benchmark_version(&owner, H256::repeat_byte(9), 64);
				let commitment = version_commitment(version).unwrap();
				assert_eq!(commitment.contributions, 1);
				assert_eq!(Registry::licence(version.datanet), Some(LicenceTerms::OPEN));
				assert_ok!(Registry::ensure_may_train(&STRANGER, version.datanet));
				let id = ContributionId { datanet: version.datanet, index: 0 };
				let accepted = Registry::accepted_contribution(id).unwrap();
				assert_eq!(accepted.contributor, owner);
				assert_eq!((accepted.root, accepted.records), (H256::repeat_byte(9), 64));
			}
		}
		Datanets::do_try_state().unwrap();
	});
}
