//! Benchmarks, which run as tests too.

// Set-up code may stop at the first surprise.
#![allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::unwrap_used)]

use crate::{pallet::*, Pallet};
use alloc::{vec, vec::Vec};
use frame_benchmarking::v2::*;
use frame_support::{
	traits::{
		fungible::{Inspect, Mutate},
		EnsureOrigin,
	},
	weights::WeightMeter,
};
use frame_system::RawOrigin;
use openledger_pallet_support::agenda;
use openledger_primitives::{
	claim::AttributionClaim,
	merkle,
	shares::FeeSplit,
	span::{self, MatchedSpan, MAX_CLAIM_SPANS, MIN_SPAN_WORDS},
	traits::{
		DatanetRegistry, ModelRegistry, PaidAnswer, Settlement, TrainingSources,
		MAX_TRAINING_SOURCES,
	},
	Balance, BoundedVec, ContributionId, RequestId, H256,
};

fn endow<T: Config>(who: &T::AccountId, amount: Balance) {
	T::Currency::mint_into(who, amount).expect("minting fits into the issuance");
}

/// A path of so many siblings, and the root it leads to from `leaf`.
fn path(leaf: H256, siblings: u32) -> (merkle::Proof, H256) {
	let proof = merkle::Proof {
		leaf_index: 0,
		leaf_count: 1 << siblings,
		siblings: vec![H256::repeat_byte(3); siblings as usize].try_into().expect("within depth"),
	};
	let root = proof.root(leaf).expect("the path has what it needs");
	(proof, root)
}

/// A paid answer with so many spans, each with a path of so many siblings, of as many contributions
/// as there can be in different datanets.
fn answer<T: Config>(spans: u32, siblings: u32) -> (PaidAnswer<T::AccountId>, AttributionClaim) {
	let minimum = T::Currency::minimum_balance();
	endow::<T>(&Pallet::<T>::pot_account(), minimum);
	let payer: T::AccountId = account("payer", 0, 0);
	let fee = minimum * 1_000_000;
	endow::<T>(&payer, fee * 2);
	let model_owner: T::AccountId = account("model owner", 0, 0);
	endow::<T>(&model_owner, fee * 2);

	let leaf = H256::repeat_byte(4);
	let (proof, root) = path(leaf, siblings);
	let mut sources: Vec<_> = (0..spans.min(MAX_TRAINING_SOURCES))
		.map(|index| {
			let contributor: T::AccountId = account("contributor", index, 0);
			endow::<T>(&contributor, fee);
			T::Datanets::benchmark_version(&contributor, root, 1 << siblings)
		})
		.collect();
	sources.sort();
	let spans: Vec<_> = (0..spans)
		.zip(sources.iter().cycle())
		.map(|(number, source)| MatchedSpan {
			contribution: ContributionId { datanet: source.datanet, index: 0 },
			leaf,
			proof: proof.clone(),
			answer_start: number * MIN_SPAN_WORDS,
			record_start: 0,
			words: MIN_SPAN_WORDS,
			gain_micro: number + 1,
		})
		.collect();
	let sources: TrainingSources = BoundedVec::try_from(sources).expect("as many as allowed");
	let model = T::Models::benchmark_model(&model_owner, sources).model;
	let request = RequestId(7);
	let claim = AttributionClaim {
		request,
		model,
		answer_hash: H256::repeat_byte(1),
		evidence_root: span::evidence_root(&spans),
		shares: span::shares_of(&spans),
		spans: BoundedVec::try_from(spans).expect("as many as allowed"),
	};
	let host = account("host", 0, 0);
	(PaidAnswer { request, model, model_owner, host, payer, fee }, claim)
}

/// Settles an answer and returns its host, who has a reward to claim then.
fn rewarded<T: Config>() -> T::AccountId {
	let (answer, claim) = answer::<T>(0, 0);
	let host = answer.host.clone();
	Pallet::<T>::settle(answer, &claim).expect("a fitting claim");
	host
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn claim_rewards() {
		let who = rewarded::<T>();

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()));

		assert_eq!(Rewards::<T>::get(who), None);
	}

	#[benchmark]
	fn claim_rewards_for() {
		let who = rewarded::<T>();
		let caller: T::AccountId = whitelisted_caller();

		#[extrinsic_call]
		_(RawOrigin::Signed(caller), who.clone());

		assert_eq!(Rewards::<T>::get(who), None);
	}

	#[benchmark]
	fn set_fee_split() -> Result<(), BenchmarkError> {
		let origin =
			T::AdminOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
		let split = FeeSplit { contributors: 6_000, host: 1_000, ..FeeSplit::GENESIS };

		#[extrinsic_call]
		_(origin as T::RuntimeOrigin, split);

		assert_eq!(Split::<T>::get(), split);
		Ok(())
	}

	/// With `n` spans and `s` siblings in the path of each. A set-up makes one contribution in each
	/// datanet, so there are at most as many shares as a model has sources; more shares cost what more
	/// spans cost. Longer paths cost what one more sibling costs.
	#[benchmark]
	fn settle(n: Linear<0, MAX_CLAIM_SPANS>, s: Linear<0, 6>) {
		let (answer, claim) = answer::<T>(n, s);

		#[block]
		{
			Pallet::<T>::settle(answer, &claim).expect("a fitting claim");
		}

		assert!(Settlements::<T>::contains_key(claim.request));
	}

	#[benchmark]
	fn prune_block() {
		#[block]
		{
			agenda::serve_due::<Agenda<T>, AgendaCursor<T>, _, _>(
				AgendaCursor::<T>::get(),
				&mut WeightMeter::new(),
				Default::default(),
				Default::default(),
				Pallet::<T>::prune,
			);
		}

		assert_eq!(AgendaCursor::<T>::get(), 1u32.into());
	}

	#[benchmark]
	fn prune_settlement() {
		let (answer, claim) = answer::<T>(MAX_CLAIM_SPANS, 6);
		Pallet::<T>::settle(answer, &claim).expect("a fitting claim");

		#[block]
		{
			Pallet::<T>::prune(claim.request);
		}

		assert!(!Settlements::<T>::contains_key(claim.request));
	}

	impl_benchmark_test_suite!(
		Pallet,
		crate::mock::ExtBuilder::default().without_pot().build(),
		crate::mock::Test
	);
}
