//! Registering, retiring and removing base models.

use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok};
use openledger_primitives::{
	licence::{LicenceTerms, Purposes},
	traits::ModelRegistry,
	BaseModelId, ModelId, H256,
};
use sp_runtime::{traits::BadOrigin, TokenError};

fn register(
	who: AccountId,
	architecture: &[u8],
	name: &[u8],
	licence: LicenceTerms,
) -> sp_runtime::DispatchResult {
	ModelsPallet::register_base_model(
		RuntimeOrigin::signed(who),
		H256::repeat_byte(1),
		H256::repeat_byte(2),
		architecture.to_vec().try_into().unwrap(),
		licence,
		name.to_vec().try_into().unwrap(),
		135_000_000,
	)
}

#[test]
fn base_model_should_be_registered_with_deposit_when_new() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		assert_eq!(base, BaseModelId(0));
		let record = ModelsPallet::base_model(base).unwrap();
		assert_eq!(record.registrar, REGISTRAR);
		assert_eq!(record.parameters, 134_515_008);
		assert!(!record.retired);
		assert_eq!(ModelsPallet::base_model_by_weights(record.weights_hash), Some(base));
		assert_eq!(held(HoldReason::RecordDeposit, REGISTRAR), DepositBase::get());
		System::assert_last_event(
			Event::BaseModelRegistered {
				base,
				registrar: REGISTRAR,
				weights_hash: record.weights_hash,
			}
			.into(),
		);
		assert_eq!(register_base(2, LicenceTerms::OPEN), BaseModelId(1));
	});
}

#[test]
fn registration_should_be_refused_when_weights_are_known() {
	ExtBuilder::default().build_and_execute(|| {
		register_base(1, LicenceTerms::OPEN);
		assert_noop!(
			register(OTHER, b"a", b"n", LicenceTerms::OPEN),
			Error::<Test>::BaseModelAlreadyExists
		);
	});
}

#[test]
fn registration_should_be_refused_when_description_is_wrong() {
	ExtBuilder::default().build_and_execute(|| {
		let open = LicenceTerms::OPEN;
		assert_noop!(register(OTHER, b"", b"n", open), Error::<Test>::EmptyName);
		assert_noop!(register(OTHER, b"a", b"", open), Error::<Test>::EmptyName);
		let no_purpose = LicenceTerms { purposes: Purposes(0), ..open };
		assert_noop!(register(OTHER, b"a", b"n", no_purpose), Error::<Test>::InvalidLicence);
		let too_much = LicenceTerms { revenue_share: 10_001, ..open };
		assert_noop!(register(OTHER, b"a", b"n", too_much), Error::<Test>::InvalidLicence);
		let ended = LicenceTerms { expires_at: Some(START_OF_TIME), ..open };
		assert_noop!(register(OTHER, b"a", b"n", ended), Error::<Test>::LicenceExpired);
		let about_to_end = LicenceTerms { expires_at: Some(START_OF_TIME + 1), ..open };
		assert_ok!(register(OTHER, b"a", b"n", about_to_end));
	});
}

#[test]
fn registration_should_be_refused_when_deposit_or_number_is_missing() {
	ExtBuilder::default().build_and_execute(|| {
		assert_noop!(register(POOR, b"a", b"n", LicenceTerms::OPEN), TokenError::FundsUnavailable);
		assert_noop!(
			ModelsPallet::register_base_model(
				RuntimeOrigin::root(),
				H256::repeat_byte(1),
				H256::repeat_byte(2),
				b"a".to_vec().try_into().unwrap(),
				LicenceTerms::OPEN,
				b"n".to_vec().try_into().unwrap(),
				1,
			),
			BadOrigin
		);
		NextBaseModelId::<Test>::put(BaseModelId(u32::MAX));
		assert_noop!(register(OTHER, b"a", b"n", LicenceTerms::OPEN), Error::<Test>::IdsUsedUp);
	});
}

#[test]
fn base_model_should_retire_when_registrar_or_admin_says_so() {
	ExtBuilder::default().build_and_execute(|| {
		for (seed, origin) in [
			(1, RuntimeOrigin::signed(REGISTRAR)),
			(2, RuntimeOrigin::signed(ADMIN)),
			(3, RuntimeOrigin::root()),
		] {
			let base = register_base(seed, LicenceTerms::OPEN);
			assert_noop!(
				ModelsPallet::retire_base_model(RuntimeOrigin::signed(OTHER), base),
				Error::<Test>::NotRegistrar
			);
			assert_ok!(ModelsPallet::retire_base_model(origin.clone(), base));
			System::assert_last_event(Event::BaseModelRetired { base }.into());
			assert!(ModelsPallet::base_model(base).unwrap().retired);
			assert_noop!(
				ModelsPallet::retire_base_model(origin, base),
				Error::<Test>::BaseModelRetired
			);
			assert_noop!(request(CREATOR, order(base)), Error::<Test>::BaseModelRetired);
		}
		assert_noop!(
			ModelsPallet::retire_base_model(RuntimeOrigin::root(), BaseModelId(9)),
			Error::<Test>::UnknownBaseModel
		);
		assert_noop!(
			ModelsPallet::retire_base_model(RuntimeOrigin::none(), BaseModelId(0)),
			BadOrigin
		);
	});
}

#[test]
fn jobs_and_models_should_go_on_when_base_model_retires() {
	ExtBuilder::default().build_and_execute(|| {
		let job = delivered_job();
		let base = BaseModelId(0);
		assert_ok!(ModelsPallet::retire_base_model(RuntimeOrigin::signed(REGISTRAR), base));
		begin_block(1 + CHALLENGE);
		assert_ok!(ModelsPallet::settle_training(RuntimeOrigin::signed(OTHER), job));
		assert_ok!(ModelsPallet::publish_model(
			RuntimeOrigin::signed(CREATOR),
			ModelId(0),
			Default::default()
		));
		assert_eq!(ModelsPallet::served(ModelId(0)).unwrap().base, base);
	});
}

#[test]
fn base_model_should_be_removed_when_retired_and_unused() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		let remove = |who| ModelsPallet::remove_base_model(RuntimeOrigin::signed(who), base);
		assert_noop!(remove(REGISTRAR), Error::<Test>::BaseModelNotRetired);

		let job = new_job();
		assert_ok!(ModelsPallet::cancel_training(RuntimeOrigin::signed(CREATOR), job));
		assert_ok!(ModelsPallet::retire_base_model(RuntimeOrigin::signed(REGISTRAR), base));
		assert_noop!(remove(OTHER), Error::<Test>::NotRegistrar);
		assert_noop!(remove(REGISTRAR), Error::<Test>::BaseModelInUse);

		// The job's record goes, and with it the last reference.
		begin_block(1 + RETENTION + 1);
		assert_eq!(ModelsPallet::job(job), None);
		assert_ok!(remove(REGISTRAR));
		System::assert_last_event(Event::BaseModelRemoved { base }.into());
		assert_eq!(held(HoldReason::RecordDeposit, REGISTRAR), 0);
		assert_noop!(remove(REGISTRAR), Error::<Test>::UnknownBaseModel);

		// The weights may be registered again, under a new number.
		assert_eq!(register_base(1, LicenceTerms::OPEN), BaseModelId(1));
	});
}

#[test]
fn base_model_should_stay_when_a_model_refers_to_it() {
	ExtBuilder::default().build_and_execute(|| {
		let model = new_model();
		assert_ok!(ModelsPallet::retire_base_model(RuntimeOrigin::signed(ADMIN), BaseModelId(0)));
		assert_ok!(ModelsPallet::retire_model(RuntimeOrigin::signed(CREATOR), model));
		begin_block(500);
		assert_noop!(
			ModelsPallet::remove_base_model(RuntimeOrigin::signed(ADMIN), BaseModelId(0)),
			Error::<Test>::BaseModelInUse
		);
	});
}

#[test]
fn admin_should_return_deposit_to_registrar_when_removing() {
	ExtBuilder::default().build_and_execute(|| {
		let base = register_base(1, LicenceTerms::OPEN);
		assert_ok!(ModelsPallet::retire_base_model(RuntimeOrigin::signed(ADMIN), base));
		assert_ok!(ModelsPallet::remove_base_model(RuntimeOrigin::signed(ADMIN), base));
		assert_eq!(Balances::free_balance(REGISTRAR), FUNDS);
	});
}
