//! What is true of the pallet's storage between any two blocks.

use crate::{pallet::*, types::SettlementRecord};
use alloc::collections::BTreeSet;
use frame_support::{ensure, traits::fungible::InspectHold};
use frame_system::pallet_prelude::BlockNumberFor;
use openledger_primitives::{Balance, RequestId};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Checks every invariant.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		ensure!(Self::pot_exists(), "the rewards pot lacks its existential deposit");
		ensure!(Split::<T>::get().is_whole(), "the fee split is not whole");
		Self::try_ledger()?;
		Self::try_settlements()
	}

	/// What is on hold on the pot is what the ledger owes, to the plank.
	fn try_ledger() -> Result<(), TryRuntimeError> {
		let mut sum: Balance = 0;
		for amount in Rewards::<T>::iter_values() {
			ensure!(amount > 0, "an empty reward is kept");
			sum = sum.checked_add(amount).ok_or("the ledger overflows")?;
		}
		let held = T::Currency::balance_on_hold(&HoldReason::Rewards.into(), &Self::pot_account());
		ensure!(sum == TotalUnpaid::<T>::get(), "the total is not the sum of the ledger");
		ensure!(sum == held, "the pot does not hold what the ledger owes");
		Ok(())
	}

	/// Every settlement sums to its fee, and has one entry in the agenda.
	fn try_settlements() -> Result<(), TryRuntimeError> {
		let mut settled = BTreeSet::<RequestId>::new();
		for (request, record) in Settlements::<T>::iter() {
			settled.insert(request);
			Self::try_settlement(&record)?;
		}
		let mut entries = BTreeSet::<RequestId>::new();
		for (block, request, ()) in Agenda::<T>::iter() {
			ensure!(entries.insert(request), "a settlement has two entries in the agenda");
			ensure!(block >= AgendaCursor::<T>::get(), "the agenda has passed over an entry");
		}
		ensure!(settled == entries, "agenda and settlements differ");
		Ok(())
	}

	fn try_settlement(
		record: &SettlementRecord<T::AccountId, BlockNumberFor<T>>,
	) -> Result<(), TryRuntimeError> {
		ensure!(record.unattributed == record.lines.is_empty(), "unattributed, but with lines");
		let split = &record.split;
		let lines: Balance =
			record.lines.iter().fold(0, |sum, line| line.amount.saturating_add(sum));
		ensure!(
			record.unattributed || lines == split.contributors,
			"the lines do not sum to the contributors' part"
		);
		let parts =
			[split.contributors, split.host, split.model_owner, split.validators, split.treasury];
		let parts = parts.into_iter().fold(0, Balance::saturating_add);
		ensure!(parts == record.fee, "the split does not sum to the fee");
		Ok(())
	}
}
