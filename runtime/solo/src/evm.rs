//! The EVM's place in this runtime. What the constants mean is told in
//! [`openledger_runtime_common::evm`].

use crate::{
	money::ToTreasury, system, Address, Balance, Balances, Runtime, RuntimeCall, RuntimeEvent,
	RuntimeHoldReason, RuntimeOrigin, Signature, Timestamp,
};
use frame_support::traits::{ConstBool, ConstU64};
use frame_system::EnsureSigned;
use openledger_runtime_common::{evm, AccountId, Nonce};

/// How an Ethereum transaction becomes one of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EthereumTransactions;

impl evm::EthExtra for EthereumTransactions {
	type Config = Runtime;
	type ExtensionV0 = system::TransactionExtensions;
	type ExtensionOtherVersions = sp_runtime::traits::InvalidVersion;

	fn get_eth_extension(nonce: Nonce, tip: Balance) -> Self::ExtensionV0 {
		system::transaction_extensions(nonce, tip, evm::SetOrigin::new_from_eth_transaction())
	}
}

impl pallet_revive::Config for Runtime {
	type Time = Timestamp;
	type Balance = Balance;
	type Currency = Balances;
	type OnBurn = ToTreasury;
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type RuntimeOrigin = RuntimeOrigin;
	type RuntimeHoldReason = RuntimeHoldReason;
	type WeightInfo = pallet_revive::weights::SubstrateWeight<Self>;
	type Precompiles = ();
	type FindAuthor = <Runtime as pallet_authorship::Config>::FindAuthor;
	type DepositPerByte = evm::DepositPerByte;
	type DepositPerItem = evm::DepositPerItem;
	type DepositPerChildTrieItem = evm::DepositPerChildTrieItem;
	type CodeHashLockupDepositPercent = evm::CodeHashLockupDepositPercent;
	type AddressMapper = evm::AccountId32Mapper<Self>;
	type AllowEVMBytecode = evm::AllowEvmBytecode;
	type UploadOrigin = EnsureSigned<AccountId>;
	type InstantiateOrigin = EnsureSigned<AccountId>;
	type RuntimeMemory = evm::RuntimeMemory;
	type PVFMemory = evm::ValidationMemory;
	type ChainId = ConstU64<{ evm::DEVELOPMENT_CHAIN_ID }>;
	type NativeToEthRatio = evm::NativeToEthRatio;
	type FeeInfo = evm::FeeInfo<Address, Signature, EthereumTransactions>;
	type Deposit = ();
	type MaxEthExtrinsicWeight = evm::MaxEthExtrinsicWeight;
	type DebugEnabled = ConstBool<false>;
	type AutoMap = evm::AutoMap;
	type GasScale = evm::GasScale;
}
