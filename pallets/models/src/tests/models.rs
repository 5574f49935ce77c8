//! Models: publishing, prices, pausing, retiring, handing over, reading.

use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::{
	licence::LicenceTerms,
	receipt::Prices,
	traits::{ModelRegistry, ServedModel},
	BaseModelId, ModelId, TrainingJobId, H256,
};
use sp_runtime::{traits::BadOrigin, DispatchResult, TokenError};

const PRICES: Prices = Prices { input_per_1000: 100, output_per_1000: 300 };

fn by(who: AccountId) -> RuntimeOrigin {
	RuntimeOrigin::signed(who)
}

fn published_model() -> ModelId {
	let model = new_model();
	assert_ok!(ModelsPallet::publish_model(by(CREATOR), model, PRICES));
	model
}

#[test]
fn model_should_answer_when_published() {
	ExtBuilder::default().build_and_execute(|| {
		let model = new_model();
		assert_eq!(ModelsPallet::served(model), None);
		assert_eq!(ModelsPallet::quote(model, 1, 1), None);
		assert_ok!(ModelsPallet::publish_model(by(CREATOR), model, PRICES));
		System::assert_last_event(Event::ModelPublished { model, prices: PRICES }.into());
		assert_eq!(
			ModelsPallet::served(model),
			Some(ServedModel { base: BaseModelId(0), owner: CREATOR, prices: PRICES })
		);
		assert_eq!(ModelsPallet::quote(model, 1_000, 1_000), Some(400));
		assert_eq!(ModelsPallet::quote(model, 1, 0), Some(1), "rounded up");
		assert_eq!(ModelsPallet::sources(model), Some(sources(&[1, 2])));
	});
}

#[test]
fn model_should_not_be_found_when_unknown() {
	ExtBuilder::default().build_and_execute(|| {
		let model = ModelId(3);
		assert_eq!(ModelsPallet::served(model), None);
		assert_eq!(ModelsPallet::sources(model), None);
		assert_eq!(ModelsPallet::model(model), None);
		assert_eq!(ModelsPallet::lineage(model), None);
		assert_eq!(ModelsPallet::quote(model, 1, 1), None);
		let calls: [DispatchResult; 8] = [
			ModelsPallet::publish_model(by(CREATOR), model, PRICES),
			ModelsPallet::set_prices(by(CREATOR), model, PRICES),
			ModelsPallet::pause_model(by(CREATOR), model),
			ModelsPallet::resume_model(by(CREATOR), model),
			ModelsPallet::retire_model(by(CREATOR), model),
			ModelsPallet::offer_model(by(CREATOR), model, OTHER),
			ModelsPallet::withdraw_offer(by(CREATOR), model),
			ModelsPallet::accept_model(by(CREATOR), model),
		];
		for outcome in calls {
			assert_eq!(outcome, Err(Error::<Test>::UnknownModel.into()));
		}
	});
}

#[test]
fn model_should_obey_only_its_owner() {
	ExtBuilder::default().build_and_execute(|| {
		let model = published_model();
		assert_noop!(
			ModelsPallet::publish_model(by(OTHER), model, PRICES),
			Error::<Test>::NotOwner
		);
		assert_noop!(ModelsPallet::set_prices(by(OTHER), model, PRICES), Error::<Test>::NotOwner);
		assert_noop!(ModelsPallet::pause_model(by(OTHER), model), Error::<Test>::NotOwner);
		assert_noop!(ModelsPallet::resume_model(by(OTHER), model), Error::<Test>::NotOwner);
		assert_noop!(ModelsPallet::retire_model(by(OTHER), model), Error::<Test>::NotOwner);
		assert_noop!(ModelsPallet::offer_model(by(OTHER), model, OTHER), Error::<Test>::NotOwner);
		assert_noop!(ModelsPallet::withdraw_offer(by(OTHER), model), Error::<Test>::NotOwner);
		assert_noop!(ModelsPallet::retire_model(RuntimeOrigin::root(), model), BadOrigin);
	});
}

#[test]
fn status_should_follow_its_table() {
	use ModelStatus::*;
	type Call = fn(ModelId) -> DispatchResult;
	let publish: Call = |model| ModelsPallet::publish_model(by(CREATOR), model, PRICES);
	let price: Call = |model| ModelsPallet::set_prices(by(CREATOR), model, PRICES);
	let pause: Call = |model| ModelsPallet::pause_model(by(CREATOR), model);
	let resume: Call = |model| ModelsPallet::resume_model(by(CREATOR), model);
	let retire: Call = |model| ModelsPallet::retire_model(by(CREATOR), model);
	let to = |status: ModelStatus| -> Vec<Call> {
		match status {
			Draft => vec![],
			Published => vec![publish],
			Paused => vec![publish, pause],
			Retired => vec![retire],
		}
	};
	// Rows: status. Columns: publish, set prices, pause, resume, retire.
	let table = [
		(Draft, [Some(Published), None, None, None, Some(Retired)]),
		(Published, [None, Some(Published), Some(Paused), None, Some(Retired)]),
		(Paused, [None, Some(Paused), None, Some(Published), Some(Retired)]),
		(Retired, [None, None, None, None, None]),
	];
	for (status, row) in table {
		for (call, next) in [publish, price, pause, resume, retire].into_iter().zip(row) {
			ExtBuilder::default().build_and_execute(|| {
				let model = new_model();
				for step in to(status) {
					assert_ok!(step(model));
				}
				assert_eq!(ModelsPallet::model(model).unwrap().status, status);
				match next {
					Some(next) => {
						assert_ok!(call(model));
						assert_eq!(ModelsPallet::model(model).unwrap().status, next);
						assert_eq!(ModelsPallet::served(model).is_some(), next == Published);
					},
					None => {
						assert_noop!(call(model), Error::<Test>::WrongStatus);
					},
				}
			});
		}
	}
}

#[test]
fn changes_should_be_told_when_they_happen() {
	ExtBuilder::default().build_and_execute(|| {
		let model = published_model();
		let prices = Prices { input_per_1000: 1, output_per_1000: 2 };
		assert_ok!(ModelsPallet::set_prices(by(CREATOR), model, prices));
		System::assert_last_event(Event::PricesChanged { model, prices }.into());
		assert_ok!(ModelsPallet::pause_model(by(CREATOR), model));
		System::assert_last_event(Event::ModelPaused { model }.into());
		assert_ok!(ModelsPallet::resume_model(by(CREATOR), model));
		System::assert_last_event(Event::ModelResumed { model }.into());
		assert_eq!(ModelsPallet::served(model).unwrap().prices, prices);
		assert_ok!(ModelsPallet::retire_model(by(CREATOR), model));
		System::assert_last_event(Event::ModelRetired { model }.into());
		// Payments under way still find the lineage, and the deposit pays for it.
		assert_eq!(ModelsPallet::sources(model), Some(sources(&[1, 2])));
		assert_eq!(held(HoldReason::RecordDeposit, CREATOR), DepositBase::get());
	});
}

#[test]
fn price_should_be_refused_when_fees_cannot_be_computed() {
	ExtBuilder::default().build_and_execute(|| {
		let model = new_model();
		let largest = u128::MAX / u128::from(u32::MAX);
		let too_high = Prices { input_per_1000: largest + 1, output_per_1000: 0 };
		assert_noop!(
			ModelsPallet::publish_model(by(CREATOR), model, too_high),
			Error::<Test>::PriceTooHigh
		);
		let high = Prices { input_per_1000: largest, output_per_1000: 0 };
		assert_ok!(ModelsPallet::publish_model(by(CREATOR), model, high));
		assert!(ModelsPallet::quote(model, u32::MAX, u32::MAX).is_some());
		let sum = Prices { input_per_1000: largest, output_per_1000: largest };
		assert_noop!(
			ModelsPallet::set_prices(by(CREATOR), model, sum),
			Error::<Test>::PriceTooHigh
		);
	});
}

#[test]
fn price_should_be_zero_when_model_is_not_commercial() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		let licence = LicenceTerms { commercial: false, ..LicenceTerms::OPEN };
		Datanets::put(2, licence);
		assert_ok!(request(CREATOR, TrainingOrder { commercial: false, licence, ..order(base) }));
		let job = TrainingJobId(0);
		assert_ok!(start(OPERATOR, job));
		assert_ok!(deliver(OPERATOR, job, result()));
		begin_block(1 + CHALLENGE + 1);
		let model = ModelId(0);
		assert_noop!(
			ModelsPallet::publish_model(by(CREATOR), model, PRICES),
			Error::<Test>::ModelNotCommercial
		);
		assert_ok!(ModelsPallet::publish_model(by(CREATOR), model, Prices::default()));
		assert_noop!(
			ModelsPallet::set_prices(by(CREATOR), model, PRICES),
			Error::<Test>::ModelNotCommercial
		);
		assert_eq!(ModelsPallet::quote(model, 1_000, 1_000), Some(0));
	});
}

#[test]
fn model_should_change_hands_when_offered_and_accepted() {
	ExtBuilder::default().build_and_execute(|| {
		let model = published_model();
		assert_noop!(ModelsPallet::accept_model(by(OTHER), model), Error::<Test>::NotOffered);
		assert_noop!(
			ModelsPallet::offer_model(by(CREATOR), model, CREATOR),
			Error::<Test>::AlreadyOwner
		);
		assert_ok!(ModelsPallet::offer_model(by(CREATOR), model, OTHER));
		System::assert_last_event(Event::ModelOffered { model, to: OTHER }.into());
		assert_noop!(ModelsPallet::accept_model(by(REGISTRAR), model), Error::<Test>::NotOffered);
		assert_eq!(
			ModelsPallet::served(model).unwrap().owner,
			CREATOR,
			"not before it is accepted"
		);

		assert_ok!(ModelsPallet::accept_model(by(OTHER), model));
		System::assert_last_event(
			Event::ModelTransferred { model, from: CREATOR, to: OTHER }.into(),
		);
		let served = ModelsPallet::served(model).unwrap();
		assert_eq!((served.owner, served.prices), (OTHER, PRICES));
		assert_eq!(held(HoldReason::RecordDeposit, CREATOR), 0);
		assert_eq!(held(HoldReason::RecordDeposit, OTHER), DepositBase::get());
		assert_eq!(ModelsPallet::models_of(OTHER, None, 10), vec![model]);
		assert!(ModelsPallet::models_of(CREATOR, None, 10).is_empty());
		assert_noop!(ModelsPallet::accept_model(by(OTHER), model), Error::<Test>::NotOffered);
		assert_noop!(ModelsPallet::pause_model(by(CREATOR), model), Error::<Test>::NotOwner);
		assert_ok!(ModelsPallet::pause_model(by(OTHER), model));
	});
}

#[test]
fn offer_should_end_when_withdrawn_replaced_or_retired() {
	ExtBuilder::default().build_and_execute(|| {
		let model = new_model();
		assert_noop!(ModelsPallet::withdraw_offer(by(CREATOR), model), Error::<Test>::NotOffered);
		assert_ok!(ModelsPallet::offer_model(by(CREATOR), model, OTHER));
		assert_ok!(ModelsPallet::withdraw_offer(by(CREATOR), model));
		System::assert_last_event(Event::ModelOfferWithdrawn { model }.into());
		assert_noop!(ModelsPallet::accept_model(by(OTHER), model), Error::<Test>::NotOffered);

		assert_ok!(ModelsPallet::offer_model(by(CREATOR), model, OTHER));
		assert_ok!(ModelsPallet::offer_model(by(CREATOR), model, REGISTRAR));
		assert_noop!(ModelsPallet::accept_model(by(OTHER), model), Error::<Test>::NotOffered);

		assert_ok!(ModelsPallet::retire_model(by(CREATOR), model));
		assert_noop!(ModelsPallet::accept_model(by(REGISTRAR), model), Error::<Test>::NotOffered);
		assert_noop!(
			ModelsPallet::offer_model(by(CREATOR), model, OTHER),
			Error::<Test>::WrongStatus
		);
	});
}

#[test]
fn acceptance_should_be_refused_when_deposit_cannot_be_held() {
	ExtBuilder::default().build_and_execute(|| {
		let model = new_model();
		assert_ok!(ModelsPallet::offer_model(by(CREATOR), model, POOR));
		assert_noop!(ModelsPallet::accept_model(by(POOR), model), TokenError::FundsUnavailable);
		assert_eq!(ModelsPallet::model(model).unwrap().owner, CREATOR);
	});
}

#[test]
fn lineage_should_tell_what_a_model_was_made_from() {
	ExtBuilder::default().build_and_execute(|| {
		let model = new_model();
		assert_eq!(
			ModelsPallet::lineage(model),
			Some(Lineage {
				base: BaseModelId(0),
				weights_hash: H256::repeat_byte(1),
				tokenizer_hash: H256::repeat_byte(200),
				sources: sources(&[1, 2]),
				spec_hash: H256::repeat_byte(7),
				result: result(),
				job: TrainingJobId(0),
			})
		);
	});
}

#[test]
fn model_should_not_be_made_when_numbers_are_used_up() {
	ExtBuilder::default().build_and_execute(|| {
		let job = delivered_job();
		let before = NextModelId::<Test>::get();
		NextModelId::<Test>::put(ModelId(u32::MAX));
		begin_block_without_idle(1 + CHALLENGE);
		assert_noop!(ModelsPallet::settle_training(by(OTHER), job), Error::<Test>::IdsUsedUp);
		NextModelId::<Test>::put(before);
	});
}

#[test]
fn models_should_be_listed_by_owner_page_by_page() {
	ExtBuilder::default().build_and_execute(|| {
		let models: Vec<_> = (0..3).map(|_| new_model()).collect();
		let first = ModelsPallet::models_of(CREATOR, None, 1);
		let rest = ModelsPallet::models_of(CREATOR, first.last().copied(), 10);
		let mut listed = [first, rest].concat();
		listed.sort_unstable();
		assert_eq!(listed, models);
	});
}

#[cfg(feature = "runtime-benchmarks")]
#[test]
fn benchmark_models_should_keep_every_invariant() {
	ExtBuilder::default().build_and_execute(|| {
		for _ in 0..2 {
			let made =
				<ModelsPallet as ModelRegistry<AccountId>>::benchmark_model(&OTHER, sources(&[1]));
			let served = ModelsPallet::served(made.model).unwrap();
			assert_eq!((served.owner, served.base), (OTHER, made.base));
		}
	});
}
