//! Benchmarks of every call, of planning a session and of punishing offenders.

#![allow(
	clippy::arithmetic_side_effects,
	clippy::unwrap_used,
	reason = "a benchmark that fails should stop at once"
)]

use crate::{
	Call, CandidateCount, Config, HoldReason, Identification, MaxValidators, Pallet, SessionBonds,
	SlashedFractions, Status, Validator, Validators,
};
use alloc::vec::Vec;
use codec::Decode;
use frame_benchmarking::v2::*;
use frame_support::traits::{
	fungible::{Balanced, Inspect, MutateHold},
	EnsureOrigin, Get, ValidatorRegistration,
};
use frame_system::RawOrigin;
use openledger_primitives::Balance;
use pallet_session::SessionInterface;
use sp_runtime::{
	traits::{BlakeTwo256, Hash},
	Perbill,
};
use sp_staking::offence::{OffenceDetails, OnOffenceHandler};

/// An account with session keys and funds for some bonds.
fn funded<T: Config>(index: u32) -> T::AccountId {
	let who: T::AccountId = account("validator", index, 0);
	let funds: Balance = T::MinBond::get() * 10 + T::Currency::minimum_balance();
	assert!(T::Currency::resolve(&who, T::Currency::issue(funds)).is_ok());
	// Any bytes are public keys; every key of the account is another one.
	let seed =
		(0u8..16).flat_map(|part| BlakeTwo256::hash_of(&(part, &who)).0).collect::<Vec<u8>>();
	let keys = <T::Session as SessionInterface>::Keys::decode(&mut &seed[..]).unwrap();
	<T::Session as SessionInterface>::set_keys(&who, keys).unwrap();
	who
}

/// A validator with this status, whether or not the list has room for it.
fn validator<T: Config>(index: u32, status: Status) -> T::AccountId {
	let who = funded::<T>(index);
	let bond = T::MinBond::get() * 2;
	T::Currency::hold(&HoldReason::Bond.into(), &who, bond).unwrap();
	Validators::<T>::insert(&who, Validator { bond, status });
	if status == Status::Candidate {
		CandidateCount::<T>::mutate(|count| *count += 1);
	}
	who
}

fn status<T: Config>(who: &T::AccountId) -> Option<Status> {
	Validators::<T>::get(who).map(|validator| validator.status)
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn register() {
		let who = funded::<T>(0);
		let bond = T::MinBond::get();

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), bond);

		assert_eq!(Validators::<T>::get(&who), Some(Validator { bond, status: Status::Candidate }));
	}

	#[benchmark]
	fn bond_extra() {
		let who = validator::<T>(0, Status::Candidate);
		let amount = T::MinBond::get();

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), amount);

		assert_eq!(Validators::<T>::get(&who).unwrap().bond, amount * 3);
	}

	#[benchmark]
	fn leave() {
		let who = validator::<T>(0, Status::Candidate);
		for index in 1..=T::MinValidators::get() {
			validator::<T>(index, Status::Candidate);
		}

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()));

		assert!(matches!(status::<T>(&who), Some(Status::Leaving { .. })));
	}

	#[benchmark]
	fn withdraw() {
		let who = validator::<T>(0, Status::Leaving { unlock_at: 0 });

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()));

		assert_eq!(status::<T>(&who), None);
		assert!(!T::Session::is_registered(&who));
	}

	#[benchmark]
	fn rejoin() {
		let who = validator::<T>(0, Status::Jailed { until: 0 });

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()));

		assert_eq!(status::<T>(&who), Some(Status::Candidate));
	}

	#[benchmark]
	fn force_remove() -> Result<(), BenchmarkError> {
		let origin =
			T::AdminOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
		let who = validator::<T>(0, Status::Candidate);

		#[extrinsic_call]
		_(origin as T::RuntimeOrigin, who.clone());

		assert!(matches!(status::<T>(&who), Some(Status::Leaving { .. })));
		Ok(())
	}

	#[benchmark]
	fn pardon() -> Result<(), BenchmarkError> {
		let origin =
			T::AdminOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
		let who = validator::<T>(0, Status::Jailed { until: u32::MAX });

		#[extrinsic_call]
		_(origin as T::RuntimeOrigin, who.clone());

		assert_eq!(status::<T>(&who), Some(Status::Jailed { until: Pallet::<T>::session_index() }));
		Ok(())
	}

	#[benchmark]
	fn set_max_validators() -> Result<(), BenchmarkError> {
		let origin =
			T::AdminOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
		let max = T::MinValidators::get();

		#[extrinsic_call]
		_(origin as T::RuntimeOrigin, max);

		assert_eq!(MaxValidators::<T>::get(), max);
		Ok(())
	}

	#[benchmark]
	fn on_offence(n: Linear<1, { T::MaxAuthorities::get() }>) {
		let session = Pallet::<T>::session_index();
		let bond = T::MinBond::get() * 2;
		let offenders = (0..n)
			.map(|index| OffenceDetails {
				offender: (validator::<T>(index, Status::Candidate), Identification { bond }),
				reporters: Vec::<T::AccountId>::new(),
			})
			.collect::<Vec<_>>();
		let fractions = offenders.iter().map(|_| Perbill::from_percent(10)).collect::<Vec<_>>();

		#[block]
		{
			Pallet::<T>::on_offence(&offenders, &fractions, session);
		}

		assert_eq!(SlashedFractions::<T>::iter_prefix(session).count(), offenders.len());
	}

	// The session pallet accounts a whole block for this; the measure says whether it fits.
	#[benchmark(extra)]
	fn new_session(n: Linear<1, { T::MaxCandidates::get() }>) {
		for index in 0..n.max(T::MinValidators::get()) {
			validator::<T>(index, Status::Candidate);
		}
		let planned = Pallet::<T>::session_index() + 2;

		#[block]
		{
			let set = <Pallet<T> as pallet_session::historical::SessionManager<_, _>>::new_session(
				planned,
			);
			assert!(set.is_some());
		}

		assert!(
			SessionBonds::<T>::iter_prefix(planned).count() >= T::MinValidators::get() as usize
		);
	}

	impl_benchmark_test_suite!(Pallet, crate::mock::ExtBuilder::build(), crate::mock::Test);
}
