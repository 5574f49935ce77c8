//! The money of training jobs: budgets, dispute bonds, and deposits for the records.
//!
//! Held money is moved with `Fortitude::Force`: a freeze on the creator's account (a vote, a vesting
//! schedule) overlaps with holds and would otherwise let a creator keep a worker from its pay.

use crate::{
	pallet::*,
	types::{Model, TrainingJob},
};
use frame_support::traits::{
	fungible::MutateHold,
	tokens::{Fortitude, Precision, Restriction},
	Consideration, Footprint,
};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::{Balance, TrainingJobId};
use sp_runtime::DispatchResult;

/// A job of this runtime.
pub type TrainingJobOf<T> = TrainingJob<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;
/// A model of this runtime.
pub type ModelOf<T> = Model<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;

impl<T: Config> Pallet<T> {
	/// What the record of a model occupies, for its deposit.
	pub(crate) fn model_footprint() -> Footprint {
		Footprint::from_mel::<ModelOf<T>>()
	}

	/// Puts a job's budget into escrow and takes the deposit for the model that will come of it.
	pub(crate) fn open_escrow(
		id: TrainingJobId,
		creator: &T::AccountId,
		budget: Balance,
	) -> DispatchResult {
		T::Currency::hold(&HoldReason::TrainingBudget.into(), creator, budget)?;
		let deposit = T::RecordDeposit::new(creator, Self::model_footprint())?;
		ModelDeposits::<T>::insert(id, deposit);
		Ok(())
	}

	/// Gives budget and deposit back: the job ends without a model.
	pub(crate) fn refund_escrow(id: TrainingJobId, job: &TrainingJobOf<T>) -> DispatchResult {
		T::Currency::release(
			&HoldReason::TrainingBudget.into(),
			&job.creator,
			job.order.budget,
			Precision::Exact,
		)?;
		if let Some(deposit) = ModelDeposits::<T>::take(id) {
			deposit.drop(&job.creator)?;
		}
		Ok(())
	}

	/// Pays the budget to the worker; the deposit stays with the model.
	pub(crate) fn pay_worker(job: &TrainingJobOf<T>, worker: &T::AccountId) -> DispatchResult {
		Self::move_held(HoldReason::TrainingBudget, &job.creator, worker, job.order.budget)
	}

	/// Holds a creator's bond behind a dispute.
	pub(crate) fn hold_bond(creator: &T::AccountId, bond: Balance) -> DispatchResult {
		T::Currency::hold(&HoldReason::DisputeBond.into(), creator, bond)
	}

	/// Gives a dispute's bond back.
	pub(crate) fn return_bond(creator: &T::AccountId, bond: Balance) -> DispatchResult {
		T::Currency::release(&HoldReason::DisputeBond.into(), creator, bond, Precision::Exact)?;
		Ok(())
	}

	/// Pays a dispute's bond to the worker that was disputed without reason.
	pub(crate) fn forfeit_bond(
		creator: &T::AccountId,
		worker: &T::AccountId,
		bond: Balance,
	) -> DispatchResult {
		Self::move_held(HoldReason::DisputeBond, creator, worker, bond)
	}

	fn move_held(
		reason: HoldReason,
		from: &T::AccountId,
		to: &T::AccountId,
		amount: Balance,
	) -> DispatchResult {
		T::Currency::transfer_on_hold(
			&reason.into(),
			from,
			to,
			amount,
			Precision::Exact,
			Restriction::Free,
			Fortitude::Force,
		)?;
		Ok(())
	}
}
