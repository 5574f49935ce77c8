//! Models as assets: made by a settled job, published, priced, handed over, retired.

use crate::{
	escrow::{ModelOf, TrainingJobOf},
	pallet::*,
	types::{Lineage, Model, ModelStatus},
};
use frame_support::{ensure, traits::Consideration};
use openledger_primitives::{
	receipt::Prices,
	training::TrainingResult,
	traits::{ModelFiles, ModelRegistry, ServedModel, TrainingSources},
	worker_api::BaseModelHashes,
	ModelId, TrainingJobId,
};
use sp_runtime::{DispatchError, DispatchResult};

impl<T: Config> Pallet<T> {
	/// Registers the model that a settled job made.
	pub(crate) fn create_model(
		job_id: TrainingJobId,
		job: &TrainingJobOf<T>,
		result: TrainingResult,
	) -> Result<ModelId, DispatchError> {
		let order = &job.order;
		let model = Self::insert_model(Model {
			owner: job.creator.clone(),
			base: order.base,
			sources: order.sources.clone(),
			spec_hash: order.spec_hash,
			result,
			licence: order.licence,
			commercial: order.commercial,
			prices: Prices::default(),
			status: ModelStatus::Draft,
			job: job_id,
			created_at: Self::now(),
		})?;
		Self::deposit_event(Event::ModelCreated { model, owner: job.creator.clone(), job: job_id });
		Ok(model)
	}

	fn insert_model(record: ModelOf<T>) -> Result<ModelId, DispatchError> {
		let model = NextModelId::<T>::try_mutate(|next| {
			let id = *next;
			*next = id.next().ok_or(Error::<T>::IdsUsedUp)?;
			Ok::<_, DispatchError>(id)
		})?;
		Self::use_base_model(record.base);
		ModelsOf::<T>::insert(&record.owner, model, ());
		Models::<T>::insert(model, record);
		Ok(model)
	}

	pub(crate) fn do_publish_model(
		who: &T::AccountId,
		model: ModelId,
		prices: Prices,
	) -> DispatchResult {
		Self::with_own_model(who, model, |record| {
			ensure!(record.status == ModelStatus::Draft, Error::<T>::WrongStatus);
			ensure!(!Self::has_ended(&record.licence), Error::<T>::LicenceExpired);
			Self::ensure_prices(record, &prices)?;
			record.prices = prices;
			record.status = ModelStatus::Published;
			Self::deposit_event(Event::ModelPublished { model, prices });
			Ok(())
		})
	}

	pub(crate) fn do_set_prices(
		who: &T::AccountId,
		model: ModelId,
		prices: Prices,
	) -> DispatchResult {
		Self::with_own_model(who, model, |record| {
			ensure!(
				matches!(record.status, ModelStatus::Published | ModelStatus::Paused),
				Error::<T>::WrongStatus
			);
			Self::ensure_prices(record, &prices)?;
			record.prices = prices;
			Self::deposit_event(Event::PricesChanged { model, prices });
			Ok(())
		})
	}

	pub(crate) fn do_pause_model(who: &T::AccountId, model: ModelId) -> DispatchResult {
		Self::with_own_model(who, model, |record| {
			ensure!(record.status == ModelStatus::Published, Error::<T>::WrongStatus);
			record.status = ModelStatus::Paused;
			Self::deposit_event(Event::ModelPaused { model });
			Ok(())
		})
	}

	pub(crate) fn do_resume_model(who: &T::AccountId, model: ModelId) -> DispatchResult {
		Self::with_own_model(who, model, |record| {
			ensure!(record.status == ModelStatus::Paused, Error::<T>::WrongStatus);
			ensure!(!Self::has_ended(&record.licence), Error::<T>::LicenceExpired);
			record.status = ModelStatus::Published;
			Self::deposit_event(Event::ModelResumed { model });
			Ok(())
		})
	}

	pub(crate) fn do_retire_model(who: &T::AccountId, model: ModelId) -> DispatchResult {
		Self::with_own_model(who, model, |record| {
			ensure!(record.status != ModelStatus::Retired, Error::<T>::WrongStatus);
			record.status = ModelStatus::Retired;
			ModelOffers::<T>::remove(model);
			Self::deposit_event(Event::ModelRetired { model });
			Ok(())
		})
	}

	pub(crate) fn do_offer_model(
		who: &T::AccountId,
		model: ModelId,
		to: T::AccountId,
	) -> DispatchResult {
		let record = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
		ensure!(record.owner == *who, Error::<T>::NotOwner);
		ensure!(record.status != ModelStatus::Retired, Error::<T>::WrongStatus);
		ensure!(to != *who, Error::<T>::AlreadyOwner);
		ModelOffers::<T>::insert(model, &to);
		Self::deposit_event(Event::ModelOffered { model, to });
		Ok(())
	}

	pub(crate) fn do_withdraw_offer(who: &T::AccountId, model: ModelId) -> DispatchResult {
		let record = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
		ensure!(record.owner == *who, Error::<T>::NotOwner);
		ModelOffers::<T>::take(model).ok_or(Error::<T>::NotOffered)?;
		Self::deposit_event(Event::ModelOfferWithdrawn { model });
		Ok(())
	}

	pub(crate) fn do_accept_model(who: T::AccountId, model: ModelId) -> DispatchResult {
		let mut record = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
		let offered = ModelOffers::<T>::take(model).ok_or(Error::<T>::NotOffered)?;
		ensure!(offered == who, Error::<T>::NotOffered);
		let deposit = T::RecordDeposit::new(&who, Self::model_footprint())?;
		if let Some(old) = ModelDeposits::<T>::take(record.job) {
			old.drop(&record.owner)?;
		}
		ModelDeposits::<T>::insert(record.job, deposit);
		ModelsOf::<T>::remove(&record.owner, model);
		ModelsOf::<T>::insert(&who, model, ());
		let from = core::mem::replace(&mut record.owner, who.clone());
		Models::<T>::insert(model, record);
		Self::deposit_event(Event::ModelTransferred { model, from, to: who });
		Ok(())
	}

	pub(crate) fn lineage_of(model: ModelId) -> Option<Lineage> {
		let record = Models::<T>::get(model)?;
		let base = BaseModels::<T>::get(record.base)?;
		Some(Lineage {
			base: record.base,
			weights_hash: base.weights_hash,
			tokenizer_hash: base.tokenizer_hash,
			sources: record.sources,
			spec_hash: record.spec_hash,
			result: record.result,
			job: record.job,
		})
	}

	/// Prices that the model may have, and whose fee can always be computed.
	fn ensure_prices(record: &ModelOf<T>, prices: &Prices) -> DispatchResult {
		ensure!(record.commercial || *prices == Prices::default(), Error::<T>::ModelNotCommercial);
		ensure!(prices.fee(u32::MAX, u32::MAX).is_some(), Error::<T>::PriceTooHigh);
		Ok(())
	}

	fn with_own_model(
		who: &T::AccountId,
		model: ModelId,
		change: impl FnOnce(&mut ModelOf<T>) -> DispatchResult,
	) -> DispatchResult {
		Models::<T>::try_mutate(model, |record| {
			let record = record.as_mut().ok_or(Error::<T>::UnknownModel)?;
			ensure!(record.owner == *who, Error::<T>::NotOwner);
			change(record)
		})
	}
}

impl<T: Config> ModelRegistry<T::AccountId> for Pallet<T> {
	fn served(model: ModelId) -> Option<ServedModel<T::AccountId>> {
		let record = Models::<T>::get(model)?;
		if record.status != ModelStatus::Published || Self::has_ended(&record.licence) {
			return None;
		}
		Some(ServedModel { base: record.base, owner: record.owner, prices: record.prices })
	}

	fn files(model: ModelId) -> Option<ModelFiles> {
		let Lineage { weights_hash, tokenizer_hash, result, .. } = Self::lineage_of(model)?;
		Some(ModelFiles {
			base: BaseModelHashes { weights: weights_hash, tokenizer: tokenizer_hash },
			adapter: result.adapter_hash,
			span_index: result.span_index_root,
		})
	}

	fn sources(model: ModelId) -> Option<TrainingSources> {
		Models::<T>::get(model).map(|record| record.sources)
	}

	#[cfg(feature = "runtime-benchmarks")]
	#[allow(clippy::expect_used, reason = "a benchmark's set-up may stop the benchmark")]
	fn benchmark_model(
		owner: &T::AccountId,
		sources: TrainingSources,
	) -> openledger_primitives::traits::ServedModelId {
		use openledger_primitives::{hashing, licence::LicenceTerms, training::Metrics, H256};

		let base = Self::benchmark_base(owner);
		let job = NextTrainingJobId::<T>::mutate(|next| {
			let id = *next;
			*next = id.next().expect("benchmarks make few jobs");
			id
		});
		T::RecordDeposit::ensure_successful(owner, Self::model_footprint());
		let deposit = T::RecordDeposit::new(owner, Self::model_footprint())
			.expect("it was just made possible");
		ModelDeposits::<T>::insert(job, deposit);
		let hash = |part: u8| hashing::hash("openledger/benchmark", &[&[part]]);
		let model = Self::insert_model(Model {
			owner: owner.clone(),
			base,
			sources,
			spec_hash: hash(0),
			result: TrainingResult {
				adapter_hash: hash(1),
				span_index_root: hash(2),
				influence_root: H256::zero(),
				metrics: Metrics::default(),
			},
			licence: LicenceTerms::OPEN,
			commercial: true,
			prices: Prices { input_per_1000: 1_000_000, output_per_1000: 4_000_000 },
			status: ModelStatus::Published,
			job,
			created_at: Self::now(),
		})
		.expect("benchmarks make few models");
		openledger_primitives::traits::ServedModelId { model, base }
	}
}

#[cfg(feature = "runtime-benchmarks")]
#[allow(clippy::expect_used, reason = "a benchmark's set-up may stop the benchmark")]
impl<T: Config> Pallet<T> {
	/// For benchmarks: a base model with the longest names, under open terms.
	pub(crate) fn benchmark_base(registrar: &T::AccountId) -> openledger_primitives::BaseModelId {
		use crate::base_models::BaseModelDescription;
		use alloc::vec;
		use codec::Encode;
		use openledger_primitives::{hashing, licence::LicenceTerms};

		let number = NextBaseModelId::<T>::get().encode();
		T::RecordDeposit::ensure_successful(registrar, Self::base_model_footprint());
		Self::do_register_base_model(
			registrar.clone(),
			BaseModelDescription {
				weights_hash: hashing::hash("openledger/benchmark-weights", &[&number]),
				tokenizer_hash: hashing::hash("openledger/benchmark-tokenizer", &[&number]),
				architecture: vec![b'a'; 32].try_into().expect("as long as allowed"),
				licence: LicenceTerms::OPEN,
				name: vec![b'n'; 64].try_into().expect("as long as allowed"),
				parameters: 134_515_008,
			},
		)
		.expect("a new base model can be registered")
	}
}
