//! Licences: each conflict, and that more licences never allow more.

use openledger_primitives::licence::{
	allows, LicenceConflict, LicenceTerms, Purposes, Use, BASIS_POINTS,
};
use proptest::{collection::vec, prelude::*};

const OPEN: LicenceTerms = LicenceTerms::OPEN;

/// Training a model that will be served for money, for ever, under open terms.
const TRAINING: Use =
	Use { purposes: Purposes(0b1001), commercial: true, derivative: Some(OPEN), until: None };

/// Answering with the data in the prompt.
const RETRIEVAL: Use =
	Use { purposes: Purposes::RETRIEVAL, commercial: true, derivative: None, until: None };

#[test]
fn allows_should_name_each_conflict() {
	use LicenceConflict::*;
	let share_alike = LicenceTerms { share_alike: true, ..OPEN };
	let non_commercial = LicenceTerms { commercial: false, ..OPEN };
	let no_derivatives = LicenceTerms { derivatives: false, ..OPEN };
	let only = |purposes| LicenceTerms { purposes, ..OPEN };
	let ends = |at| LicenceTerms { expires_at: Some(at), ..OPEN };
	let asks = |revenue_share| LicenceTerms { revenue_share, ..OPEN };
	let making = |made| Use { derivative: Some(made), ..TRAINING };
	let until = |until| Use { until: Some(until), ..TRAINING };

	let table: &[(&[LicenceTerms], Use, Result<(), LicenceConflict>)] = &[
		(&[], TRAINING, Ok(())),
		(&[OPEN], TRAINING, Ok(())),
		(&[OPEN, OPEN], RETRIEVAL, Ok(())),
		// Purposes: all that are wanted, and at least one that exists.
		(&[only(Purposes::TRAINING)], TRAINING, Err(PurposeNotAllowed)),
		(&[only(Purposes::TRAINING.and(Purposes::SERVING))], TRAINING, Ok(())),
		(&[OPEN, only(Purposes::EVALUATION)], RETRIEVAL, Err(PurposeNotAllowed)),
		(&[OPEN], Use { purposes: Purposes(0), ..RETRIEVAL }, Err(PurposeNotAllowed)),
		(&[OPEN], Use { purposes: Purposes(16), ..RETRIEVAL }, Err(PurposeNotAllowed)),
		(&[], Use { purposes: Purposes(0), ..RETRIEVAL }, Err(PurposeNotAllowed)),
		// Money.
		(&[non_commercial], RETRIEVAL, Err(CommercialUseForbidden)),
		(&[non_commercial], Use { commercial: false, ..RETRIEVAL }, Ok(())),
		// Nor can what is made grant what its source does not.
		(&[non_commercial], Use { commercial: false, ..TRAINING }, Err(CommercialUseForbidden)),
		(
			&[non_commercial],
			Use { commercial: false, derivative: Some(non_commercial), ..TRAINING },
			Ok(()),
		),
		// Derivatives: training makes one even when nobody says under which terms.
		(&[no_derivatives], TRAINING, Err(DerivativesForbidden)),
		(&[no_derivatives], Use { derivative: None, ..TRAINING }, Err(DerivativesForbidden)),
		(&[no_derivatives], RETRIEVAL, Ok(())),
		(&[OPEN], Use { derivative: None, ..TRAINING }, Ok(())),
		// Share-alike.
		(&[share_alike], TRAINING, Err(ShareAlikeNotKept)),
		(&[share_alike], making(share_alike), Ok(())),
		(&[share_alike], Use { derivative: None, ..TRAINING }, Err(ShareAlikeNotKept)),
		(
			&[share_alike],
			making(LicenceTerms { derivatives: false, ..share_alike }),
			Err(ShareAlikeNotKept),
		),
		(
			&[share_alike],
			making(LicenceTerms { commercial: false, ..share_alike }),
			Err(ShareAlikeNotKept),
		),
		(
			&[share_alike],
			making(LicenceTerms { purposes: Purposes::SERVING, ..share_alike }),
			Err(ShareAlikeNotKept),
		),
		(&[share_alike], RETRIEVAL, Ok(())),
		(
			&[LicenceTerms { commercial: false, ..share_alike }],
			Use { commercial: false, ..making(share_alike) },
			Err(CommercialUseForbidden),
		),
		// Two share-alike licences that cannot both be kept.
		(
			&[share_alike, LicenceTerms { commercial: false, ..share_alike }],
			Use { commercial: false, ..making(LicenceTerms { commercial: false, ..share_alike }) },
			Err(ShareAlikeNotKept),
		),
		// Ends: the use may last as long as the licence, to the second.
		(&[ends(100)], TRAINING, Err(Expires)),
		(&[ends(100)], until(101), Err(Expires)),
		(&[ends(100)], until(100), Ok(())),
		(&[ends(100)], until(99), Ok(())),
		(&[ends(0)], until(0), Ok(())),
		(&[ends(u64::MAX)], TRAINING, Err(Expires)),
		(&[ends(u64::MAX)], until(u64::MAX), Ok(())),
		(&[OPEN], until(u64::MAX), Ok(())),
		// Revenue shares: together at most the whole.
		(&[asks(5_000), asks(5_000)], TRAINING, Ok(())),
		(&[asks(5_000), asks(5_001)], TRAINING, Err(RevenueSharesExceedWhole)),
		(&[asks(u16::MAX), asks(1)], TRAINING, Err(RevenueSharesExceedWhole)),
		// Within one licence the first in the list is named, over several the first licence's.
		(
			&[LicenceTerms { commercial: false, derivatives: false, ..ends(1) }],
			TRAINING,
			Err(CommercialUseForbidden),
		),
		(&[ends(1), non_commercial], TRAINING, Err(Expires)),
	];
	for (licences, wanted, expected) in table {
		assert_eq!(allows(*licences, wanted), *expected, "{licences:?} {wanted:?}");
	}
}

#[test]
fn terms_should_be_valid_only_within_the_whole_and_for_known_purposes() {
	assert!(OPEN.is_valid());
	assert!(LicenceTerms { revenue_share: BASIS_POINTS, ..OPEN }.is_valid());
	assert!(!LicenceTerms { revenue_share: BASIS_POINTS + 1, ..OPEN }.is_valid());
	for bits in 0..=u8::MAX {
		let terms = LicenceTerms { purposes: Purposes(bits), ..OPEN };
		assert_eq!(terms.is_valid(), (1..=15).contains(&bits));
	}
}

#[test]
fn purposes_should_be_sets() {
	let both = Purposes::TRAINING.and(Purposes::SERVING);
	assert!(both.contains(Purposes::SERVING) && both.contains(both));
	assert!(!both.contains(Purposes::RETRIEVAL) && !Purposes::SERVING.contains(both));
	assert!(Purposes::ALL.contains(both));
}

prop_compose! {
	fn terms()(
		flags in any::<[bool; 3]>(),
		revenue_share in prop_oneof![Just(0u16), 0..4_000u16, any::<u16>()],
		expires_at in prop::option::weighted(0.3, 0..10u64),
		purposes in prop_oneof![Just(15u8), any::<u8>()],
	) -> LicenceTerms {
		let [commercial, derivatives, share_alike] = flags;
		let purposes = Purposes(purposes);
		LicenceTerms { commercial, derivatives, share_alike, revenue_share, expires_at, purposes }
	}
}

prop_compose! {
	fn wanted()(
		purposes in prop_oneof![Just(1u8), Just(4u8), 0..16u8],
		commercial: bool,
		derivative in prop::option::of(terms()),
		until in prop::option::of(0..10u64),
	) -> Use {
		Use { purposes: Purposes(purposes), commercial, derivative, until }
	}
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(2_000))]

	#[test]
	fn adding_a_licence_should_never_allow_more(
		licences in vec(terms(), 0..4),
		more in terms(),
		at in any::<prop::sample::Index>(),
		wanted in wanted(),
	) {
		let mut with = licences.clone();
		with.insert(at.index(licences.len() + 1), more);
		if allows(&with, &wanted).is_ok() {
			prop_assert_eq!(allows(&licences, &wanted), Ok(()));
			prop_assert_eq!(allows([&more], &wanted), Ok(()));
		}
	}

	#[test]
	fn order_of_licences_should_not_decide(
		licences in vec(terms(), 0..5),
		wanted in wanted(),
	) {
		let back = allows(licences.iter().rev(), &wanted);
		prop_assert_eq!(allows(&licences, &wanted).is_ok(), back.is_ok());
	}

	#[test]
	fn wanting_less_should_never_be_refused(licences in vec(terms(), 0..4), wanted in wanted()) {
		if allows(&licences, &wanted).is_ok() {
			let unpaid = Use { commercial: false, ..wanted };
			prop_assert_eq!(allows(&licences, &unpaid), Ok(()));
			let shorter = Use { until: Some(0), ..wanted };
			prop_assert_eq!(allows(&licences, &shorter), Ok(()));
		}
	}
}
