//! OPEN: balances, fees and vesting. Nothing here creates OPEN or destroys it: fees, dust, rounding
//! and slashes all go to the treasury.

use crate::{
	AccountId, Balance, Balances, Runtime, RuntimeEvent, RuntimeFreezeReason, RuntimeHoldReason,
	System,
};
use frame_support::{
	parameter_types,
	traits::{
		fungible, tokens::imbalance::ResolveTo, ConstU32, ConstU8, VariantCountOf, WithdrawReasons,
	},
};
use openledger_runtime_common::{
	fees::{FeeMultiplierUpdate, TransactionByteFee, WeightToFee},
	supply,
	units::{EXISTENTIAL_DEPOSIT, OPEN},
};
use pallet_transaction_payment::FungibleAdapter;
use sp_runtime::traits::{AccountIdConversion, ConvertInto};
use sp_weights::ConstantMultiplier;

parameter_types! {
	pub const ExistentialDeposit: Balance = EXISTENTIAL_DEPOSIT;
	pub const MinVestedTransfer: Balance = OPEN;
	/// Vested OPEN cannot be spent, whatever for.
	pub UnvestedFundsAllowedWithdrawReasons: WithdrawReasons =
		WithdrawReasons::except(WithdrawReasons::TRANSFER | WithdrawReasons::RESERVE);
	/// The treasury: an account without a key that only Root can spend from.
	pub TreasuryAccount: AccountId = supply::COMMUNITY.pallet_id().into_account_truncating();
}

/// OPEN that was taken from somebody and belongs to nobody: to the treasury.
pub type ToTreasury = ResolveTo<TreasuryAccount, Balances>;

/// OPEN in flight.
pub type Credit = fungible::Credit<AccountId, Balances>;

impl pallet_balances::Config for Runtime {
	type Balance = Balance;
	type RuntimeEvent = RuntimeEvent;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
	type ExistentialDeposit = ExistentialDeposit;
	type AccountStore = System;
	type DustRemoval = ToTreasury;
	type ReserveIdentifier = [u8; 8];
	type FreezeIdentifier = RuntimeFreezeReason;
	type MaxLocks = ConstU32<50>;
	type MaxReserves = ConstU32<50>;
	type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
	type DoneSlashHandler = ();
	type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
}

impl pallet_transaction_payment::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type OnChargeTransaction = FungibleAdapter<Balances, ToTreasury>;
	type OperationalFeeMultiplier = ConstU8<5>;
	type WeightToFee = WeightToFee<Self>;
	type LengthToFee = ConstantMultiplier<Balance, TransactionByteFee>;
	type FeeMultiplierUpdate = FeeMultiplierUpdate<Self>;
	type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
}

impl pallet_vesting::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type Currency = Balances;
	type BlockNumberToBalance = ConvertInto;
	type MinVestedTransfer = MinVestedTransfer;
	type UnvestedFundsAllowedWithdrawReasons = UnvestedFundsAllowedWithdrawReasons;
	type BlockNumberProvider = System;
	type WeightInfo = pallet_vesting::weights::SubstrateWeight<Runtime>;
	const MAX_VESTING_SCHEDULES: u32 = 28;
}
