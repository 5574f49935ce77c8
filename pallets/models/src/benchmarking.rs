//! Each call at its worst, as far as the worst is this pallet's.

#![allow(
	clippy::unwrap_used,
	clippy::expect_used,
	clippy::indexing_slicing,
	clippy::arithmetic_side_effects,
	reason = "a benchmark may stop at what it did not expect"
)]

use crate::{pallet::*, types::*, Pallet as Models};
use alloc::{vec, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::{
	pallet_prelude::TransactionSource,
	traits::{fungible, Authorize, Consideration, EnsureOrigin, Get},
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use openledger_pallet_support::offchain::Operator;
use openledger_primitives::{
	jobs::FailureReason,
	licence::LicenceTerms,
	receipt::Prices,
	training::{Metrics, TrainingResult},
	traits::{DatanetRegistry, ModelRegistry, TrainingSources, WorkerPool, MAX_TRAINING_SOURCES},
	Balance, BaseModelId, ModelId, TrainingJobId, H256,
};

const PRICES: Prices = Prices { input_per_1000: 5, output_per_1000: 7 };

fn funded<T: Config>(name: &'static str) -> T::AccountId
where
	T::Currency: fungible::Mutate<T::AccountId>,
{
	let who: T::AccountId = account(name, 0, 0);
	let enough: Balance = T::MinTrainingBudget::get()
		.max(T::DisputeBond::get())
		.saturating_mul(1_000)
		.saturating_add(1_000_000_000_000_000);
	<T::Currency as fungible::Mutate<T::AccountId>>::mint_into(&who, enough)
		.expect("can be minted");
	T::RecordDeposit::ensure_successful(&who, Models::<T>::model_footprint());
	who
}

fn sources<T: Config>(owner: &T::AccountId, count: u32) -> TrainingSources {
	let mut versions: Vec<_> = (0..count)
		.map(|_| T::Datanets::benchmark_version(owner, H256::repeat_byte(9), 1))
		.collect();
	versions.sort();
	versions.try_into().expect("as many as allowed")
}

fn set_block<T: Config>(number: BlockNumberFor<T>) {
	frame_system::Pallet::<T>::set_block_number(number);
}

/// Who takes part in a benchmark.
struct Scene<T: Config> {
	creator: T::AccountId,
	/// Its key is in the keystore of whoever runs the benchmark.
	operator: Operator<T::AccountId>,
	job: TrainingJobId,
}

const ATTEMPT: u32 = 1;
const REASON: FailureReason = FailureReason::EngineFault;

impl<T: Config> Scene<T> {
	fn sign(&self, message: H256) -> T::OperatorSignature {
		self.operator.sign(message).expect("the key is there")
	}
}

/// Asks whether a call is let in that nobody signs.
fn authorise<T: Config>(call: &Call<T>) {
	let outcome = call.authorize(TransactionSource::External);
	outcome.expect("it authorises itself").expect("it is valid");
}

/// Makes this assignment the last one a job can have: declined, the job ends and the budget goes back.
/// Returns its number.
fn last_attempt<T: Config>(job: TrainingJobId) -> u32 {
	let attempt = T::MaxAssignments::get();
	Jobs::<T>::mutate(job, |job| job.as_mut().unwrap().assignments = attempt);
	attempt
}

fn order<T: Config>(
	base: BaseModelId,
	sources: TrainingSources,
) -> TrainingOrder<BlockNumberFor<T>> {
	TrainingOrder {
		base,
		sources,
		spec_hash: H256::repeat_byte(3),
		licence: LicenceTerms::OPEN,
		commercial: true,
		budget: T::MinTrainingBudget::get(),
		training_blocks: T::MaxTrainingPeriod::get(),
	}
}

fn assigned<T: Config>() -> Scene<T>
where
	T::Currency: fungible::Mutate<T::AccountId>,
{
	let creator = funded::<T>("creator");
	let stash = funded::<T>("stash");
	let operator = Operator::benchmark::<T::OperatorSignature>();
	let base = Models::<T>::benchmark_base(&creator);
	T::Workers::benchmark_worker(&stash, &operator.account, base);
	let sources = sources::<T>(&creator, MAX_TRAINING_SOURCES);
	let job = Models::<T>::do_request_training(creator.clone(), order::<T>(base, sources))
		.expect("the order is valid");
	assert!(matches!(Jobs::<T>::get(job).unwrap().phase, Phase::Assigned { .. }));
	Scene { creator, operator, job }
}

fn running<T: Config>() -> Scene<T>
where
	T::Currency: fungible::Mutate<T::AccountId>,
{
	let scene = assigned::<T>();
	Models::<T>::do_start_training(&scene.operator.account, scene.job, ATTEMPT)
		.expect("it is assigned");
	scene
}

fn result() -> TrainingResult {
	TrainingResult {
		adapter_hash: H256::repeat_byte(4),
		span_index_root: H256::repeat_byte(5),
		influence_root: H256::repeat_byte(6),
		metrics: Metrics::default(),
	}
}

fn delivered<T: Config>() -> Scene<T>
where
	T::Currency: fungible::Mutate<T::AccountId>,
{
	let scene = running::<T>();
	Models::<T>::do_deliver_training(&scene.operator.account, scene.job, ATTEMPT, result())
		.expect("it runs");
	scene
}

fn disputed<T: Config>() -> Scene<T>
where
	T::Currency: fungible::Mutate<T::AccountId>,
{
	let scene = delivered::<T>();
	Models::<T>::do_dispute_training(
		scene.creator.clone(),
		scene.job,
		DisputeReason::MetricsFalse,
		H256::repeat_byte(8),
	)
	.expect("it is delivered");
	scene
}

fn come_to_deadline<T: Config>(job: TrainingJobId) {
	set_block::<T>(Jobs::<T>::get(job).unwrap().phase.deadline());
}

fn draft<T: Config>() -> (T::AccountId, ModelId)
where
	T::Currency: fungible::Mutate<T::AccountId>,
{
	let scene = delivered::<T>();
	let model = NextModelId::<T>::get();
	come_to_deadline::<T>(scene.job);
	Models::<T>::do_settle_training(scene.job).expect("the window is closed");
	(scene.creator, model)
}

fn published<T: Config>() -> (T::AccountId, ModelId)
where
	T::Currency: fungible::Mutate<T::AccountId>,
{
	let (owner, model) = draft::<T>();
	Models::<T>::do_publish_model(&owner, model, PRICES).expect("it is a draft");
	(owner, model)
}

fn status<T: Config>(model: ModelId) -> ModelStatus {
	Models::<T>::model(model).unwrap().status
}

#[benchmarks(where T::Currency: fungible::Mutate<T::AccountId>)]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn register_base_model() {
		let registrar = funded::<T>("registrar");
		let weights_hash = H256::repeat_byte(1);

		#[extrinsic_call]
		_(
			RawOrigin::Signed(registrar),
			weights_hash,
			H256::repeat_byte(2),
			vec![b'a'; MAX_ARCHITECTURE_BYTES as usize].try_into().unwrap(),
			LicenceTerms::OPEN,
			vec![b'n'; MAX_NAME_BYTES as usize].try_into().unwrap(),
			134_515_008,
		);

		assert!(BaseModelByWeights::<T>::contains_key(weights_hash));
	}

	#[benchmark]
	fn retire_base_model() {
		let registrar = funded::<T>("registrar");
		let base = Models::<T>::benchmark_base(&registrar);

		#[extrinsic_call]
		_(RawOrigin::Signed(registrar), base);

		assert!(BaseModels::<T>::get(base).unwrap().retired);
	}

	#[benchmark]
	fn remove_base_model() {
		let registrar = funded::<T>("registrar");
		let base = Models::<T>::benchmark_base(&registrar);
		let origin: T::RuntimeOrigin = RawOrigin::Signed(registrar.clone()).into();
		Models::<T>::do_retire_base_model(origin, base).unwrap();

		#[extrinsic_call]
		_(RawOrigin::Signed(registrar), base);

		assert!(!BaseModels::<T>::contains_key(base));
	}

	#[benchmark]
	fn request_training(s: Linear<1, MAX_TRAINING_SOURCES>) {
		let creator = funded::<T>("creator");
		let stash = funded::<T>("stash");
		let operator = funded::<T>("operator");
		let base = Models::<T>::benchmark_base(&creator);
		T::Workers::benchmark_worker(&stash, &operator, base);
		let order = order::<T>(base, sources::<T>(&creator, s));
		let job = NextTrainingJobId::<T>::get();

		#[extrinsic_call]
		_(
			RawOrigin::Signed(creator),
			order.base,
			order.sources,
			order.spec_hash,
			order.licence,
			order.commercial,
			order.budget,
			order.training_blocks,
		);

		assert!(Jobs::<T>::get(job).unwrap().phase.assigned_worker().is_some());
	}

	#[benchmark]
	fn assign_training() {
		// Ordered before there is a worker.
		let creator = funded::<T>("creator");
		let stash = funded::<T>("stash");
		let operator = funded::<T>("operator");
		let base = Models::<T>::benchmark_base(&creator);
		let sources = sources::<T>(&creator, MAX_TRAINING_SOURCES);
		let job =
			Models::<T>::do_request_training(creator.clone(), order::<T>(base, sources)).unwrap();
		assert!(matches!(Jobs::<T>::get(job).unwrap().phase, Phase::Open { .. }));
		T::Workers::benchmark_worker(&stash, &operator, base);

		#[extrinsic_call]
		_(RawOrigin::Signed(creator), job);

		assert!(matches!(Jobs::<T>::get(job).unwrap().phase, Phase::Assigned { .. }));
	}

	#[benchmark]
	fn start_training() {
		let scene = assigned::<T>();
		let signature = scene.sign(Models::<T>::start_message(scene.job, ATTEMPT));

		#[extrinsic_call]
		_(RawOrigin::Authorized, scene.job, ATTEMPT, scene.operator.account, signature);

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::Running { .. }));
	}

	#[benchmark]
	fn authorise_start() {
		let scene = assigned::<T>();
		let signature = scene.sign(Models::<T>::start_message(scene.job, ATTEMPT));
		let (job, attempt, operator) = (scene.job, ATTEMPT, scene.operator.account);
		let call = Call::<T>::start_training { job, attempt, operator, signature };

		#[block]
		{
			authorise(&call);
		}
	}

	#[benchmark]
	fn decline_training() {
		let scene = assigned::<T>();
		let attempt = last_attempt::<T>(scene.job);
		let signature = scene.sign(Models::<T>::decline_message(scene.job, attempt, REASON));

		#[extrinsic_call]
		_(RawOrigin::Authorized, scene.job, attempt, REASON, scene.operator.account, signature);

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::TimedOut { .. }));
	}

	#[benchmark]
	fn authorise_decline() {
		let scene = assigned::<T>();
		let attempt = last_attempt::<T>(scene.job);
		let signature = scene.sign(Models::<T>::decline_message(scene.job, attempt, REASON));
		let (job, reason, operator) = (scene.job, REASON, scene.operator.account);
		let call = Call::<T>::decline_training { job, attempt, reason, operator, signature };

		#[block]
		{
			authorise(&call);
		}
	}

	#[benchmark]
	fn deliver_training() {
		let scene = running::<T>();
		let signature = scene.sign(Models::<T>::delivery_message(scene.job, ATTEMPT, &result()));

		#[extrinsic_call]
		_(RawOrigin::Authorized, scene.job, ATTEMPT, result(), scene.operator.account, signature);

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::Delivered { .. }));
	}

	#[benchmark]
	fn authorise_delivery() {
		let scene = running::<T>();
		let signature = scene.sign(Models::<T>::delivery_message(scene.job, ATTEMPT, &result()));
		let (job, attempt, operator) = (scene.job, ATTEMPT, scene.operator.account);
		let result = result();
		let call = Call::<T>::deliver_training { job, attempt, result, operator, signature };

		#[block]
		{
			authorise(&call);
		}
	}

	#[benchmark]
	fn report_failure() {
		let scene = running::<T>();
		let signature = scene.sign(Models::<T>::failure_message(scene.job, ATTEMPT, REASON));

		#[extrinsic_call]
		_(RawOrigin::Authorized, scene.job, ATTEMPT, REASON, scene.operator.account, signature);

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::Failed { .. }));
	}

	#[benchmark]
	fn authorise_failure() {
		let scene = running::<T>();
		let signature = scene.sign(Models::<T>::failure_message(scene.job, ATTEMPT, REASON));
		let (job, attempt, operator) = (scene.job, ATTEMPT, scene.operator.account);
		let reason = REASON;
		let call = Call::<T>::report_failure { job, attempt, reason, operator, signature };

		#[block]
		{
			authorise(&call);
		}
	}

	#[benchmark]
	fn cancel_training() {
		let scene = assigned::<T>();

		#[extrinsic_call]
		_(RawOrigin::Signed(scene.creator), scene.job);

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::Cancelled { .. }));
	}

	#[benchmark]
	fn dispute_training() {
		let scene = delivered::<T>();

		#[extrinsic_call]
		_(
			RawOrigin::Signed(scene.creator),
			scene.job,
			DisputeReason::MetricsFalse,
			H256::repeat_byte(8),
		);

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::Disputed { .. }));
	}

	#[benchmark]
	fn resolve_dispute() -> Result<(), BenchmarkError> {
		let scene = disputed::<T>();
		let origin =
			T::DisputeOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;

		#[extrinsic_call]
		_(origin as T::RuntimeOrigin, scene.job, false);

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::Settled { .. }));
		Ok(())
	}

	#[benchmark]
	fn settle_training() {
		let scene = delivered::<T>();
		come_to_deadline::<T>(scene.job);

		#[extrinsic_call]
		_(RawOrigin::Signed(scene.creator), scene.job);

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::Settled { .. }));
	}

	#[benchmark]
	fn expire_training() {
		let scene = disputed::<T>();
		come_to_deadline::<T>(scene.job);

		#[extrinsic_call]
		_(RawOrigin::Signed(scene.creator), scene.job);

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::Settled { .. }));
	}

	#[benchmark]
	fn publish_model() {
		let (owner, model) = draft::<T>();

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model, PRICES);

		assert!(Models::<T>::served(model).is_some());
	}

	#[benchmark]
	fn set_prices() {
		let (owner, model) = published::<T>();
		let prices = Prices { input_per_1000: 1, output_per_1000: 2 };

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model, prices);

		assert_eq!(Models::<T>::served(model).unwrap().prices, prices);
	}

	#[benchmark]
	fn pause_model() {
		let (owner, model) = published::<T>();

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model);

		assert_eq!(status::<T>(model), ModelStatus::Paused);
	}

	#[benchmark]
	fn resume_model() {
		let (owner, model) = published::<T>();
		Models::<T>::do_pause_model(&owner, model).unwrap();

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model);

		assert_eq!(status::<T>(model), ModelStatus::Published);
	}

	#[benchmark]
	fn retire_model() {
		let (owner, model) = published::<T>();
		Models::<T>::do_offer_model(&owner, model, account("buyer", 0, 0)).unwrap();

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model);

		assert_eq!(status::<T>(model), ModelStatus::Retired);
	}

	#[benchmark]
	fn offer_model() {
		let (owner, model) = published::<T>();
		let buyer: T::AccountId = account("buyer", 0, 0);

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model, buyer.clone());

		assert_eq!(ModelOffers::<T>::get(model), Some(buyer));
	}

	#[benchmark]
	fn withdraw_offer() {
		let (owner, model) = published::<T>();
		Models::<T>::do_offer_model(&owner, model, account("buyer", 0, 0)).unwrap();

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model);

		assert!(!ModelOffers::<T>::contains_key(model));
	}

	#[benchmark]
	fn accept_model() {
		let (owner, model) = published::<T>();
		let buyer = funded::<T>("buyer");
		Models::<T>::do_offer_model(&owner, model, buyer.clone()).unwrap();

		#[extrinsic_call]
		_(RawOrigin::Signed(buyer.clone()), model);

		assert_eq!(Models::<T>::model(model).unwrap().owner, buyer);
	}

	#[benchmark]
	fn agenda_base() {
		let now = frame_system::Pallet::<T>::block_number();

		#[block]
		{
			// Enough for the cursor, not for one block.
			Models::<T>::serve_agenda(now, <T::WeightInfo as crate::WeightInfo>::agenda_base());
		}
	}

	#[benchmark]
	fn agenda_block() {
		let now = frame_system::Pallet::<T>::block_number();
		AgendaCursor::<T>::put(now);

		#[block]
		{
			Models::<T>::serve_agenda(now, frame_support::weights::Weight::MAX);
		}

		assert!(AgendaCursor::<T>::get() > now);
	}

	#[benchmark]
	fn agenda_entry() {
		let scene = disputed::<T>();
		come_to_deadline::<T>(scene.job);
		let now = frame_system::Pallet::<T>::block_number();
		AgendaCursor::<T>::put(now);

		#[block]
		{
			Models::<T>::serve_agenda(now, frame_support::weights::Weight::MAX);
		}

		assert!(matches!(Jobs::<T>::get(scene.job).unwrap().phase, Phase::Settled { .. }));
	}

	impl_benchmark_test_suite!(
		Models,
		crate::mock::ExtBuilder::default().without_workers().build_with_node().0,
		crate::mock::Test
	);
}
