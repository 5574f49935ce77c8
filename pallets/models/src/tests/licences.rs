//! Licences: each conflict has its own error, and the user interface hears the same before.

use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::{
	licence::{LicenceConflict, LicenceTerms, Purposes},
	traits::ModelRegistry,
	BaseModelId, DatanetId, DatanetVersion,
};
use sp_runtime::DispatchError;

const OPEN_TERMS: LicenceTerms = LicenceTerms::OPEN;

/// The call refuses with the error, and `why_not` gives the reason.
fn assert_refused(order: TrainingOrder<u64>, error: impl Into<DispatchError>, reason: Refusal) {
	let told = ModelsPallet::why_not(
		CREATOR,
		order.base,
		order.sources.clone(),
		order.commercial,
		order.licence,
	);
	assert_eq!(told, Some(reason));
	let error: DispatchError = error.into();
	assert_noop!(request(CREATOR, order), error);
}

fn conflict(licensor: Licensor, conflict: LicenceConflict) -> Refusal {
	Refusal::LicenceConflict { licensor: Some(licensor), conflict }
}

#[test]
fn request_should_name_conflict_when_datanet_forbids_use() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, OPEN_TERMS);
		let second = Licensor::Datanet(DatanetId(2));

		for purposes in [Purposes::TRAINING, Purposes::SERVING, Purposes::EVALUATION] {
			Datanets::put(2, LicenceTerms { purposes, ..OPEN_TERMS });
			assert_refused(
				order(base),
				Error::<Test>::PurposeNotAllowed,
				conflict(second, LicenceConflict::PurposeNotAllowed),
			);
		}

		Datanets::put(2, LicenceTerms { commercial: false, ..OPEN_TERMS });
		assert_refused(
			order(base),
			Error::<Test>::CommercialUseForbidden,
			conflict(second, LicenceConflict::CommercialUseForbidden),
		);

		Datanets::put(2, LicenceTerms { derivatives: false, ..OPEN_TERMS });
		assert_refused(
			order(base),
			Error::<Test>::DerivativesForbidden,
			conflict(second, LicenceConflict::DerivativesForbidden),
		);

		Datanets::put(2, LicenceTerms { share_alike: true, ..OPEN_TERMS });
		assert_refused(
			order(base),
			Error::<Test>::ShareAlikeNotKept,
			conflict(second, LicenceConflict::ShareAlikeNotKept),
		);
		let kept = LicenceTerms { share_alike: true, ..OPEN_TERMS };
		assert_ok!(request(CREATOR, TrainingOrder { licence: kept, ..order(base) }));

		Datanets::put(2, LicenceTerms { expires_at: Some(START_OF_TIME), ..OPEN_TERMS });
		assert_refused(order(base), Error::<Test>::LicenceExpired, Refusal::LicenceExpired(second));
	});
}

#[test]
fn request_should_name_conflict_when_base_model_forbids_use() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms { commercial: false, ..OPEN_TERMS });
		assert_refused(
			order(base),
			Error::<Test>::CommercialUseForbidden,
			conflict(Licensor::BaseModel, LicenceConflict::CommercialUseForbidden),
		);
		let terms = LicenceTerms { expires_at: Some(START_OF_TIME + 9), ..OPEN_TERMS };
		let ending = register_base(2, terms);
		UnixSecondsNow::set(START_OF_TIME + 9);
		assert_refused(
			order(ending),
			Error::<Test>::LicenceExpired,
			Refusal::LicenceExpired(Licensor::BaseModel),
		);
	});
}

#[test]
fn request_should_be_refused_when_revenue_shares_exceed_the_whole() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms { revenue_share: 1, ..OPEN_TERMS });
		for datanet in [1, 2] {
			Datanets::put(datanet, LicenceTerms { revenue_share: 5_000, ..OPEN_TERMS });
		}
		assert_refused(
			order(base),
			Error::<Test>::RevenueSharesExceedWhole,
			Refusal::LicenceConflict {
				licensor: None,
				conflict: LicenceConflict::RevenueSharesExceedWhole,
			},
		);
		Datanets::put(2, LicenceTerms { revenue_share: 4_999, ..OPEN_TERMS });
		assert_ok!(request(CREATOR, order(base)));
	});
}

#[test]
fn result_should_end_no_later_than_its_sources() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, OPEN_TERMS);
		let end = START_OF_TIME + 1_000;
		let until = |expires_at| LicenceTerms { expires_at, ..OPEN_TERMS };
		Datanets::put(2, until(Some(end)));
		let second = Licensor::Datanet(DatanetId(2));
		for too_long in [None, Some(end + 1)] {
			assert_refused(
				TrainingOrder { licence: until(too_long), ..order(base) },
				Error::<Test>::LicenceEndsBeforeResult,
				conflict(second, LicenceConflict::Expires),
			);
		}
		assert_ok!(request(CREATOR, TrainingOrder { licence: until(Some(end)), ..order(base) }));
	});
}

#[test]
fn model_should_fall_silent_when_its_terms_end() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, OPEN_TERMS);
		let end = START_OF_TIME + 1_000;
		let licence = LicenceTerms { expires_at: Some(end), ..OPEN_TERMS };
		for _ in 0..2 {
			assert_ok!(request(CREATOR, TrainingOrder { licence, ..order(base) }));
		}
		for job in [0, 1].map(openledger_primitives::TrainingJobId) {
			assert_ok!(start(OPERATOR, job));
			assert_ok!(deliver(OPERATOR, job, result()));
		}
		begin_block(1 + CHALLENGE + 1);
		let owner = RuntimeOrigin::signed(CREATOR);
		let [first, second] = [0, 1].map(openledger_primitives::ModelId);
		assert_ok!(ModelsPallet::publish_model(owner.clone(), first, Default::default()));

		UnixSecondsNow::set(end - 1);
		assert!(ModelsPallet::served(first).is_some());
		assert_eq!(ModelsPallet::quote(first, 10, 10), Some(0));
		UnixSecondsNow::set(end);
		assert!(ModelsPallet::served(first).is_none());
		assert_eq!(ModelsPallet::quote(first, 10, 10), None);
		// Its lineage is still there.
		assert!(ModelsPallet::lineage(first).is_some());
		assert_noop!(
			ModelsPallet::publish_model(owner.clone(), second, Default::default()),
			Error::<Test>::LicenceExpired
		);
		assert_ok!(ModelsPallet::pause_model(owner.clone(), first));
		assert_noop!(ModelsPallet::resume_model(owner, first), Error::<Test>::LicenceExpired);
	});
}

#[test]
fn why_not_should_say_what_else_is_in_the_way() {
	ExtBuilder::default().build_and_execute(|| {
		let why_not = |base, datanets: &[u32], licence| {
			ModelsPallet::why_not(CREATOR, base, sources(datanets), true, licence)
		};
		let base = BaseModelId(0);
		assert_eq!(why_not(base, &[1], OPEN_TERMS), Some(Refusal::UnknownBaseModel));
		register_base(1, OPEN_TERMS);
		assert_eq!(why_not(base, &[1], OPEN_TERMS), None);
		assert_eq!(why_not(base, &[], OPEN_TERMS), Some(Refusal::NoSources));
		assert_eq!(why_not(base, &[2, 1], OPEN_TERMS), Some(Refusal::SourcesNotSorted));
		assert_eq!(
			why_not(base, &[1, 9], OPEN_TERMS),
			Some(Refusal::SourceNotPublished(DatanetVersion { datanet: DatanetId(9), version: 0 }))
		);
		let invalid = LicenceTerms { purposes: Purposes(0), ..OPEN_TERMS };
		assert_eq!(why_not(base, &[1], invalid), Some(Refusal::InvalidLicence));
		let ended = LicenceTerms { expires_at: Some(1), ..OPEN_TERMS };
		assert_eq!(why_not(base, &[1], ended), Some(Refusal::LicenceExpired(Licensor::Result)));
		Datanets::close(2);
		assert_eq!(
			why_not(base, &[1, 2], OPEN_TERMS),
			Some(Refusal::AccessDenied { datanet: DatanetId(2), error: ACCESS_DENIED })
		);
		assert_ok!(ModelsPallet::retire_base_model(RuntimeOrigin::root(), base));
		assert_eq!(why_not(base, &[1], OPEN_TERMS), Some(Refusal::BaseModelRetired));
	});
}
