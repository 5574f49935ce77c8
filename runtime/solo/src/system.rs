//! The system pallet, time, versions and what surrounds a transaction.

use crate::{
	AccountId, Balance, Block, BlockNumber, Hash, MultiBlockMigrations, Nonce, PalletInfo, Runtime,
	RuntimeCall, RuntimeEvent, RuntimeOrigin, RuntimeTask, SingleBlockMigrations,
	UncheckedExtrinsic,
};
use alloc::borrow::Cow;
use frame_support::{
	derive_impl,
	migrations::FreezeChainOnFailedMigration,
	parameter_types,
	traits::{ConstU16, ConstU32, ConstU64, Contains},
	weights::Weight,
};
use openledger_runtime_common::{
	block::{part_of_block, ParityDbWeight, RuntimeBlockLength, RuntimeBlockWeights},
	evm::{AutoMapper, SetOrigin},
	units::{MINUTES, SLOT_MILLIS},
};
use sp_runtime::{traits::AccountIdLookup, Perbill};
use sp_version::RuntimeVersion;

/// What this runtime is. `spec_version` rises with every release: year, month, and a count within it.
/// `transaction_version` rises whenever a call's index or encoding changes. (The networks' test of an
/// upgrade finds the number in the compiled runtime, so it must not be one that stands there anyway.)
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
	spec_name: Cow::Borrowed("openledger"),
	impl_name: Cow::Borrowed("openledger-node"),
	authoring_version: 1,
	spec_version: 20_261_103,
	impl_version: 1,
	apis: crate::apis::RUNTIME_API_VERSIONS,
	transaction_version: 2,
	system_version: 1,
};

/// The SS58 prefix of addresses. 42 is the generic one, until one is registered for OpenLedger.
pub const SS58_PREFIX: u16 = 42;

parameter_types! {
	pub const Version: RuntimeVersion = VERSION;
	/// Transactions may be mortal for at most this long.
	pub const BlockHashCount: BlockNumber = 120 * MINUTES;
	/// What a step of a multi-block migration may use of a block.
	pub MaxMigrationWeight: Weight = part_of_block(Perbill::from_percent(80));
}

/// Calls that nobody may make by a transaction.
pub struct CallFilter;
impl Contains<RuntimeCall> for CallFilter {
	fn contains(call: &RuntimeCall) -> bool {
		// A validator that purged its keys would be out of the set past the guard that keeps the set
		// from becoming too small; `validators.withdraw` purges them for those who left in order.
		!matches!(call, RuntimeCall::Session(pallet_session::Call::purge_keys {}))
	}
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
	type Block = Block;
	type AccountId = AccountId;
	type Nonce = Nonce;
	type Hash = Hash;
	type Lookup = AccountIdLookup<AccountId, ()>;
	type AccountData = pallet_balances::AccountData<Balance>;
	type BlockHashCount = BlockHashCount;
	type BaseCallFilter = CallFilter;
	type BlockWeights = RuntimeBlockWeights;
	type BlockLength = RuntimeBlockLength;
	type DbWeight = ParityDbWeight;
	type Version = Version;
	type SS58Prefix = ConstU16<SS58_PREFIX>;
	type MaxConsumers = ConstU32<128>;
	// Every account has its Ethereum address from its first to its last block.
	type OnNewAccount = AutoMapper<Runtime>;
	type OnKilledAccount = AutoMapper<Runtime>;
	type SystemWeightInfo = frame_system::weights::SubstrateWeight<Runtime>;
	type ExtensionsWeightInfo = frame_system::SubstrateExtensionsWeight<Runtime>;
	type SingleBlockMigrations = SingleBlockMigrations;
	type MultiBlockMigrator = MultiBlockMigrations;
}

impl pallet_timestamp::Config for Runtime {
	type Moment = u64;
	type OnTimestampSet = crate::Babe;
	type MinimumPeriod = ConstU64<{ SLOT_MILLIS / 2 }>;
	type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}

#[derive_impl(pallet_migrations::config_preludes::TestDefaultConfig)]
impl pallet_migrations::Config for Runtime {
	#[cfg(not(feature = "runtime-benchmarks"))]
	type Migrations = ();
	#[cfg(feature = "runtime-benchmarks")]
	type Migrations = pallet_migrations::mock_helpers::MockedMigrations;
	// A migration that fails half-way must not be built upon: the chain stops taking transactions.
	type FailedMigrationHandler = FreezeChainOnFailedMigration;
	type MaxServiceWeight = MaxMigrationWeight;
	type WeightInfo = pallet_migrations::weights::SubstrateWeight<Runtime>;
}

/// What every signed or general transaction carries beside its call. The order is the order of checking.
pub type TransactionExtensions = (
	// First, because it makes the origin of calls that authorise themselves.
	frame_system::AuthorizeCall<Runtime>,
	frame_system::CheckNonZeroSender<Runtime>,
	frame_system::CheckSpecVersion<Runtime>,
	frame_system::CheckTxVersion<Runtime>,
	frame_system::CheckGenesis<Runtime>,
	frame_system::CheckMortality<Runtime>,
	frame_system::CheckNonce<Runtime>,
	frame_system::CheckWeight<Runtime>,
	pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
	frame_metadata_hash_extension::CheckMetadataHash<Runtime>,
	// After everything that needs a signed origin: it turns that of an Ethereum transaction into its own.
	SetOrigin<Runtime>,
	// Last, to give back weight that all of the above did not use.
	frame_system::WeightReclaim<Runtime>,
);

/// The extensions of a transaction: immortal, with this nonce and tip.
pub fn transaction_extensions(
	nonce: Nonce,
	tip: Balance,
	origin: SetOrigin<Runtime>,
) -> TransactionExtensions {
	(
		frame_system::AuthorizeCall::new(),
		frame_system::CheckNonZeroSender::new(),
		frame_system::CheckSpecVersion::new(),
		frame_system::CheckTxVersion::new(),
		frame_system::CheckGenesis::new(),
		frame_system::CheckMortality::from(sp_runtime::generic::Era::Immortal),
		frame_system::CheckNonce::from(nonce),
		frame_system::CheckWeight::new(),
		pallet_transaction_payment::ChargeTransactionPayment::from(tip),
		frame_metadata_hash_extension::CheckMetadataHash::new(false),
		origin,
		frame_system::WeightReclaim::new(),
	)
}

impl<LocalCall> frame_system::offchain::CreateTransactionBase<LocalCall> for Runtime
where
	RuntimeCall: From<LocalCall>,
{
	type Extrinsic = UncheckedExtrinsic;
	type RuntimeCall = RuntimeCall;
}

impl<LocalCall> frame_system::offchain::CreateTransaction<LocalCall> for Runtime
where
	RuntimeCall: From<LocalCall>,
{
	type Extension = TransactionExtensions;

	fn create_transaction(
		call: RuntimeCall,
		extensions: TransactionExtensions,
	) -> UncheckedExtrinsic {
		sp_runtime::generic::UncheckedExtrinsic::new_transaction(call, extensions).into()
	}
}

/// Transactions that authorise themselves: nobody signs or pays them, so nonce and tip say nothing.
impl<LocalCall> frame_system::offchain::CreateAuthorizedTransaction<LocalCall> for Runtime
where
	RuntimeCall: From<LocalCall>,
{
	fn create_extension() -> TransactionExtensions {
		transaction_extensions(0, 0, SetOrigin::default())
	}
}

impl<LocalCall> frame_system::offchain::CreateBare<LocalCall> for Runtime
where
	RuntimeCall: From<LocalCall>,
{
	fn create_bare(call: RuntimeCall) -> UncheckedExtrinsic {
		sp_runtime::generic::UncheckedExtrinsic::new_bare(call).into()
	}
}
