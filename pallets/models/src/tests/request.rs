//! Ordering a training job: what is checked, what is held, who is assigned.

use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::{
	licence::{LicenceTerms, Purposes},
	BaseModelId, DatanetId, DatanetVersion, TrainingJobId,
};
use sp_runtime::{traits::BadOrigin, TokenError};

#[test]
fn request_should_hold_budget_and_assign_when_worker_is_free() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		assert_ok!(request(CREATOR, order(base)));
		let id = TrainingJobId(0);
		let job = ModelsPallet::job(id).unwrap();
		assert_eq!(job.creator, CREATOR);
		assert_eq!(job.order, order(base));
		assert_eq!(job.requested_at, 1);
		assert_eq!(job.assignments, 1);
		assert_eq!(job.phase, Phase::Assigned { worker: WORKER, start_by: 1 + START });
		assert_eq!(held(HoldReason::TrainingBudget, CREATOR), BUDGET);
		assert_eq!(held(HoldReason::RecordDeposit, CREATOR), DepositBase::get());
		assert_eq!(Workers::taken(WORKER), 1);
		System::assert_has_event(
			Event::TrainingRequested { job: id, creator: CREATOR, base, budget: BUDGET }.into(),
		);
		System::assert_last_event(
			Event::TrainingAssigned {
				job: id,
				worker: WORKER,
				operator: OPERATOR,
				attempt: 1,
				start_by: 1 + START,
			}
			.into(),
		);
	});
}

#[test]
fn request_should_stay_open_when_nobody_is_free() {
	ExtBuilder::default().without_workers().build_and_execute(|| {
		let job = new_job();
		assert_eq!(phase(job), Phase::Open { expires_at: 1 + OPEN });
		assert_eq!(ModelsPallet::job(job).unwrap().assignments, 0);
		assert_eq!(held(HoldReason::TrainingBudget, CREATOR), BUDGET);
		// The pool's writes before it refused are taken back.
		assert_eq!(Workers::assignments(), 0);
		assert_noop!(ModelsPallet::assign_training(RuntimeOrigin::signed(OTHER), job), NOBODY_FREE);

		Workers::put(WORKER, OPERATOR, 1);
		begin_block(OPEN);
		assert_ok!(ModelsPallet::assign_training(RuntimeOrigin::signed(OTHER), job));
		assert_eq!(phase(job), Phase::Assigned { worker: WORKER, start_by: OPEN + START });
	});
}

#[test]
fn request_should_be_refused_when_base_is_unknown() {
	ExtBuilder::default().build_and_execute(|| {
		assert_noop!(request(CREATOR, order(BaseModelId(0))), Error::<Test>::UnknownBaseModel);
	});
}

#[test]
fn request_should_be_refused_when_sources_are_wrong() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		let with = |datanets: &[u32]| TrainingOrder { sources: sources(datanets), ..order(base) };
		assert_noop!(request(CREATOR, with(&[])), Error::<Test>::NoSources);
		assert_noop!(request(CREATOR, with(&[2, 1])), Error::<Test>::SourcesNotSorted);
		assert_noop!(request(CREATOR, with(&[1, 1])), Error::<Test>::SourcesNotSorted);
		assert_noop!(request(CREATOR, with(&[1, 9])), Error::<Test>::SourceNotPublished);
		// Two versions of one datanet are sorted, and still not each datanet once.
		let twice = vec![
			DatanetVersion { datanet: DatanetId(1), version: 0 },
			DatanetVersion { datanet: DatanetId(1), version: 1 },
		];
		assert_noop!(
			request(CREATOR, TrainingOrder { sources: twice.try_into().unwrap(), ..order(base) }),
			Error::<Test>::SourcesNotSorted
		);
		let unpublished = vec![DatanetVersion { datanet: DatanetId(1), version: 1 }];
		assert_noop!(
			request(
				CREATOR,
				TrainingOrder { sources: unpublished.try_into().unwrap(), ..order(base) }
			),
			Error::<Test>::SourceNotPublished
		);
		assert_ok!(request(CREATOR, with(&[1, 2, 3])));
	});
}

#[test]
fn request_should_be_refused_when_datanet_denies_access() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		Datanets::close(2);
		assert_noop!(request(CREATOR, order(base)), ACCESS_DENIED);
		assert_ok!(request(CREATOR, TrainingOrder { sources: sources(&[1, 3]), ..order(base) }));
	});
}

#[test]
fn request_should_be_refused_when_budget_or_time_is_out_of_range() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		let paying = |budget| TrainingOrder { budget, ..order(base) };
		assert_noop!(request(CREATOR, paying(99)), Error::<Test>::BudgetTooSmall);
		assert_noop!(request(CREATOR, paying(FUNDS)), TokenError::FundsUnavailable);
		assert_noop!(request(CREATOR, paying(u128::MAX)), TokenError::FundsUnavailable);
		assert_ok!(request(CREATOR, paying(100)));

		let within = |training_blocks| TrainingOrder { training_blocks, ..order(base) };
		for blocks in [0, MIN_TRAINING - 1, MAX_TRAINING + 1, u64::MAX] {
			assert_noop!(request(CREATOR, within(blocks)), Error::<Test>::TrainingPeriodOutOfRange);
		}
		assert_ok!(request(CREATOR, within(MIN_TRAINING)));
		assert_ok!(request(CREATOR, within(MAX_TRAINING)));
	});
}

#[test]
fn request_should_be_refused_when_deposit_cannot_be_held() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		// Exactly the budget above the existential deposit, and nothing for the record.
		assert_noop!(
			request(CREATOR, TrainingOrder { budget: FUNDS - 10, ..order(base) }),
			TokenError::FundsUnavailable
		);
		assert_ok!(request(
			CREATOR,
			TrainingOrder { budget: FUNDS - 10 - DepositBase::get(), ..order(base) }
		));
	});
}

#[test]
fn request_should_be_refused_when_unsigned_or_out_of_numbers() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		let TrainingOrder {
			sources, spec_hash, licence, commercial, budget, training_blocks, ..
		} = order(base);
		assert_noop!(
			ModelsPallet::request_training(
				RuntimeOrigin::root(),
				base,
				sources,
				spec_hash,
				licence,
				commercial,
				budget,
				training_blocks
			),
			BadOrigin
		);
		NextTrainingJobId::<Test>::put(TrainingJobId(u64::MAX));
		assert_noop!(request(CREATOR, order(base)), Error::<Test>::IdsUsedUp);
	});
}

#[test]
fn request_should_be_refused_when_terms_of_result_are_wrong() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		let under = |licence| TrainingOrder { licence, ..order(base) };
		assert_noop!(
			request(
				CREATOR,
				under(LicenceTerms { purposes: Purposes(0x80), ..LicenceTerms::OPEN })
			),
			Error::<Test>::InvalidLicence
		);
		assert_noop!(
			request(
				CREATOR,
				under(LicenceTerms { expires_at: Some(START_OF_TIME), ..LicenceTerms::OPEN })
			),
			Error::<Test>::LicenceExpired
		);
	});
}

#[test]
fn jobs_should_be_listed_by_creator_page_by_page() {
	ExtBuilder::default().build_and_execute(|| {
		let mut jobs: Vec<_> = (0..5).map(|_| new_job()).collect();
		let mut listed = ModelsPallet::jobs_of(CREATOR, None, 2);
		assert_eq!(listed.len(), 2);
		loop {
			let page = ModelsPallet::jobs_of(CREATOR, listed.last().copied(), 2);
			if page.is_empty() {
				break;
			}
			listed.extend(page);
		}
		listed.sort_unstable();
		jobs.sort_unstable();
		assert_eq!(listed, jobs);
		assert!(ModelsPallet::jobs_of(OTHER, None, 10).is_empty());
		assert!(ModelsPallet::jobs_of(CREATOR, None, 0).is_empty());
		assert_eq!(ModelsPallet::jobs_of(CREATOR, None, u32::MAX).len(), 5);
	});
}
