//! Benchmarks, which run as tests too.

// Set-up code may stop at the first surprise.
#![allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::unwrap_used)]

use crate::{pallet::*, types::*, Pallet};
use alloc::vec;
use frame_benchmarking::v2::*;
use frame_support::{
	pallet_prelude::TransactionSource,
	traits::{
		fungible::{Inspect, Mutate},
		Authorize, Get,
	},
	weights::WeightMeter,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use openledger_pallet_support::{agenda, offchain::Operator};
use openledger_primitives::{
	claim::AttributionClaim,
	content::{Content, MAX_CONTENT_BYTES},
	jobs::FailureReason,
	receipt::{ExecutionMode, InferenceReceipt},
	traits::{ModelRegistry, TrainingSources, WorkerPool},
	Balance, ModelId, RequestId, H256,
};
use sp_runtime::traits::{One, Saturating};

const MAX_TOKENS: u32 = 1_000;

fn content(bytes: u32) -> Content {
	Content::Bytes(vec![b'a'; bytes as usize].try_into().expect("within the bound"))
}

/// Somebody who can pay for every request.
fn requester<T: Config>() -> T::AccountId {
	let requester: T::AccountId = whitelisted_caller();
	T::Currency::mint_into(&requester, Balance::MAX / 1_000).expect("fits into the issuance");
	requester
}

/// A model that can be asked, and a worker that can answer.
fn model<T: Config>() -> ModelId {
	let account = |name| {
		let who: T::AccountId = account(name, 0, 0);
		let amount = T::Currency::minimum_balance() * 1_000_000_000;
		T::Currency::mint_into(&who, amount).expect("fits into the issuance");
		who
	};
	let made = T::Models::benchmark_model(&account("owner"), TrainingSources::default());
	T::Workers::benchmark_worker(&account("stash"), &operator::<T>().account, made.base);
	made.model
}

/// The operator key, which is in the keystore of whoever runs the benchmark.
fn operator<T: Config>() -> Operator<T::AccountId> {
	Operator::benchmark::<T::OperatorSignature>()
}

fn ask<T: Config>(requester: &T::AccountId, model: ModelId, prompt: Content) -> RequestId {
	let id = NextRequestId::<T>::get();
	let origin = RawOrigin::Signed(requester.clone()).into();
	Pallet::<T>::request_inference(origin, model, prompt, MAX_TOKENS, MAX_TOKENS, Balance::MAX)
		.expect("a worker is free");
	id
}

/// A request with the longest prompt, and the operator that can answer it.
fn open_request<T: Config>() -> (RequestId, Operator<T::AccountId>) {
	let requester = requester::<T>();
	let id = ask::<T>(&requester, model::<T>(), content(MAX_CONTENT_BYTES));
	(id, operator::<T>())
}

/// An answer of so many bytes that names nobody.
fn result<T: Config>(id: RequestId, bytes: u32) -> (InferenceReceipt, Content, AttributionClaim) {
	let request = Requests::<T>::get(id).expect("just asked");
	let answer = content(bytes);
	let receipt = InferenceReceipt {
		request: id,
		model: request.model,
		prompt_hash: request.prompt_hash,
		answer_hash: answer.hash(),
		input_tokens: MAX_TOKENS,
		output_tokens: if bytes == 0 { 0 } else { MAX_TOKENS },
		mode: ExecutionMode::Fast,
	};
	let claim = AttributionClaim {
		request: id,
		model: request.model,
		answer_hash: answer.hash(),
		evidence_root: H256::zero(),
		spans: Default::default(),
		shares: Default::default(),
	};
	(receipt, answer, claim)
}

/// Lets the last block for an answer pass.
fn pass_deadline<T: Config>() {
	let now = frame_system::Pallet::<T>::block_number();
	let late = T::AnswerTimeout::get().saturating_add(One::one());
	frame_system::Pallet::<T>::set_block_number(now.saturating_add(late));
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn request_inference(b: Linear<0, MAX_CONTENT_BYTES>) {
		let requester = requester::<T>();
		let model = model::<T>();
		// A second request asks in a rolled back transaction what can be spent.
		ask::<T>(&requester, model, content(0));
		let id = NextRequestId::<T>::get();

		#[extrinsic_call]
		_(RawOrigin::Signed(requester), model, content(b), MAX_TOKENS, MAX_TOKENS, Balance::MAX);

		assert!(Requests::<T>::contains_key(id));
	}

	/// The settlement of a claim that names nobody is in this; its own pallet measures the others.
	#[benchmark]
	fn submit_result(b: Linear<0, MAX_CONTENT_BYTES>) {
		let (id, operator) = open_request::<T>();
		let (receipt, answer, claim) = result::<T>(id, b);
		let message = Pallet::<T>::result_message(id, &receipt, &answer, &claim);
		let signature = operator.sign(message).expect("the key is there");

		#[extrinsic_call]
		_(RawOrigin::Authorized, id, receipt, answer, claim, operator.account, signature);

		let request = Requests::<T>::get(id).expect("kept for a while");
		assert!(matches!(request.phase, Phase::Answered(_)));
	}

	#[benchmark]
	fn authorise_result(b: Linear<0, MAX_CONTENT_BYTES>) {
		let (request, operator) = open_request::<T>();
		let (receipt, answer, claim) = result::<T>(request, b);
		let message = Pallet::<T>::result_message(request, &receipt, &answer, &claim);
		let signature = operator.sign(message).expect("the key is there");
		let operator = operator.account;
		let call =
			Call::<T>::submit_result { request, receipt, answer, claim, operator, signature };

		#[block]
		{
			let outcome = call.authorize(TransactionSource::External);
			outcome.expect("it authorises itself").expect("it is valid");
		}
	}

	#[benchmark]
	fn report_failure() {
		let (id, operator) = open_request::<T>();
		let reason = FailureReason::EngineFault;
		let message = Pallet::<T>::failure_message(id, reason);
		let signature = operator.sign(message).expect("the key is there");

		#[extrinsic_call]
		_(RawOrigin::Authorized, id, reason, operator.account, signature);

		let request = Requests::<T>::get(id).expect("kept for a while");
		assert!(matches!(request.phase, Phase::Failed { .. }));
	}

	#[benchmark]
	fn authorise_failure() {
		let (request, operator) = open_request::<T>();
		let reason = FailureReason::EngineFault;
		let message = Pallet::<T>::failure_message(request, reason);
		let signature = operator.sign(message).expect("the key is there");
		let operator = operator.account;
		let call = Call::<T>::report_failure { request, reason, operator, signature };

		#[block]
		{
			let outcome = call.authorize(TransactionSource::External);
			outcome.expect("it authorises itself").expect("it is valid");
		}
	}

	#[benchmark]
	fn expire_request() {
		let (id, _) = open_request::<T>();
		pass_deadline::<T>();
		let caller: T::AccountId = whitelisted_caller();

		#[extrinsic_call]
		_(RawOrigin::Signed(caller), id);

		let request = Requests::<T>::get(id).expect("kept for a while");
		assert!(matches!(request.phase, Phase::TimedOut { .. }));
	}

	#[benchmark]
	fn serve_block() {
		#[block]
		{
			agenda::serve_due::<Agenda<T>, AgendaCursor<T>, _, _>(
				AgendaCursor::<T>::get(),
				&mut WeightMeter::new(),
				Default::default(),
				Default::default(),
				Pallet::<T>::serve,
			);
		}

		assert_eq!(AgendaCursor::<T>::get(), BlockNumberFor::<T>::one());
	}

	#[benchmark]
	fn serve_request() {
		let (id, _) = open_request::<T>();
		pass_deadline::<T>();

		#[block]
		{
			Pallet::<T>::serve(id);
		}

		let request = Requests::<T>::get(id).expect("kept for a while");
		assert!(matches!(request.phase, Phase::TimedOut { .. }));
	}

	impl_benchmark_test_suite!(
		Pallet,
		crate::mock::ExtBuilder.build_with_node().0,
		crate::mock::Test
	);
}
