//! Tests of the whole runtime, natively: real blocks from the development genesis, real signed
//! transactions, all pallets together. Every test ends with `try_state` of all pallets and with the
//! active supply still at 1,000,000,000 OPEN.

mod evm;
mod finality;
mod genesis;
mod journeys;
mod market;
mod offchain;
mod worker_pool;

use crate::{
	genesis::preset, system, Balances, Executive, Hash, Header, Runtime, RuntimeCall,
	RuntimeGenesisConfig, System, Timestamp, UncheckedExtrinsic,
};
use codec::Encode;
use frame_support::{
	genesis_builder_helper::build_state,
	storage::{transactional::with_transaction_unchecked, TransactionOutcome},
	traits::fungible::Inspect,
};
use frame_system::offchain::CreateAuthorizedTransaction;
use openledger_runtime_common::{
	evm::SetOrigin, supply::TOTAL_SUPPLY, units::SLOT_MILLIS, AccountId, Balance,
};
use sp_consensus_babe::{
	digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest},
	Slot,
};
use sp_keyring::Sr25519Keyring;
use sp_runtime::{
	generic::{Digest, DigestItem, SignedPayload},
	traits::Header as _,
	transaction_validity::{TransactionSource, TransactionValidity},
	ApplyExtrinsicResult, MultiSignature,
};

/// The slot of block 1; any will do.
const FIRST_SLOT: u64 = 500_000_000;

/// A chain from a genesis preset, inside test externalities.
struct Chain {
	externalities: sp_io::TestExternalities,
}

impl Chain {
	/// The development network.
	fn development() -> Self {
		Self::from_preset(sp_genesis_builder::DEV_RUNTIME_PRESET)
	}

	fn from_preset(name: &str) -> Self {
		let mut externalities = sp_io::TestExternalities::new_empty();
		externalities.execute_with(|| {
			let patch: serde_json::Value =
				serde_json::from_slice(&preset(&name.into()).expect("the preset exists")).unwrap();
			let mut genesis = serde_json::to_value(RuntimeGenesisConfig::default()).unwrap();
			merge(&mut genesis, patch);
			build_state::<RuntimeGenesisConfig>(serde_json::to_vec(&genesis).unwrap()).unwrap();
		});
		Self { externalities }
	}

	/// Runs a story inside an open block and checks the whole state when it ends.
	fn tell(mut self, story: impl FnOnce()) {
		self.externalities.execute_with(|| {
			open_block(Hash::default());
			story();
			close_block();
			check_state();
		});
	}
}

/// JSON merge patch (RFC 7396), which is what genesis presets are.
fn merge(to: &mut serde_json::Value, patch: serde_json::Value) {
	match (to, patch) {
		(serde_json::Value::Object(to), serde_json::Value::Object(patch)) => {
			for (key, value) in patch {
				merge(to.entry(key).or_insert(serde_json::Value::Null), value);
			}
		},
		(to, patch) => *to = patch,
	}
}

/// What must hold after any block: nothing created or lost, and every pallet's invariants.
fn check_state() {
	// Active, because the EVM mints what opens a contract's account, marks it inactive, and never
	// lets anybody move it.
	assert_eq!(Balances::active_issuance(), TOTAL_SUPPLY, "OPEN was created or lost");
	#[cfg(feature = "try-runtime")]
	<crate::AllPalletsWithSystem as frame_support::traits::TryState<crate::BlockNumber>>::try_state(
		System::block_number(),
		frame_support::traits::TryStateSelect::All,
	)
	.unwrap();
}

fn open_block(parent: Hash) {
	let number = System::block_number() + 1;
	let slot = Slot::from(FIRST_SLOT + u64::from(number));
	let pre_digest =
		PreDigest::SecondaryPlain(SecondaryPlainPreDigest { authority_index: 0, slot });
	Executive::initialize_block(&Header::new(
		number,
		Default::default(),
		Default::default(),
		parent,
		Digest { logs: vec![DigestItem::babe_pre_digest(pre_digest)] },
	));
	let now = (FIRST_SLOT + u64::from(number)) * SLOT_MILLIS;
	let inherent = sp_runtime::generic::UncheckedExtrinsic::new_bare(RuntimeCall::Timestamp(
		pallet_timestamp::Call::set { now },
	));
	Executive::apply_extrinsic(inherent.into()).unwrap().unwrap();
	assert_eq!(Timestamp::get(), now);
}

/// Ends the open block as a node does and returns its hash.
fn close_block() -> Hash {
	Executive::finalize_block().hash()
}

/// Closes the open block and opens the next, `blocks` times.
fn run_blocks(blocks: u32) {
	for _ in 0..blocks {
		let parent = close_block();
		open_block(parent);
	}
}

/// Signs a call with a development key, as a wallet does, and applies it to the open block.
fn submit(who: Sr25519Keyring, call: impl Into<RuntimeCall>) -> ApplyExtrinsicResult {
	Executive::apply_extrinsic(signed(who, call.into()))
}

/// As [`submit`], for a call that must succeed.
fn submit_ok(who: Sr25519Keyring, call: impl Into<RuntimeCall>) {
	let call = call.into();
	let shown = format!("{call:?}");
	if let Err(error) = submit(who, call).expect("the transaction is valid") {
		panic!("{shown} failed: {error:?}");
	}
}

fn signed(who: Sr25519Keyring, call: RuntimeCall) -> UncheckedExtrinsic {
	let account = who.to_account_id();
	let extensions =
		system::transaction_extensions(System::account_nonce(&account), 0, SetOrigin::default());
	let payload = SignedPayload::new(call.clone(), extensions.clone()).unwrap();
	let signature = MultiSignature::Sr25519(payload.using_encoded(|bytes| who.sign(bytes)));
	sp_runtime::generic::UncheckedExtrinsic::new_signed(call, account.into(), signature, extensions)
		.into()
}

/// Applies a call that authorises itself to the open block, as a transaction that nobody signs.
fn report(call: impl Into<RuntimeCall>) -> ApplyExtrinsicResult {
	Executive::apply_extrinsic(general(call.into()))
}

/// As [`report`], for a call that must succeed.
fn report_ok(call: impl Into<RuntimeCall>) {
	let call = call.into();
	let shown = format!("{call:?}");
	if let Err(error) = report(call).expect("the report is let in") {
		panic!("{shown} failed: {error:?}");
	}
}

/// What a node's pool asks about a transaction. It begins a block for it, which is taken back.
fn validate(source: TransactionSource, transaction: UncheckedExtrinsic) -> TransactionValidity {
	let parent = System::parent_hash();
	with_transaction_unchecked(|| {
		TransactionOutcome::Rollback(Executive::validate_transaction(source, transaction, parent))
	})
}

fn general(call: RuntimeCall) -> UncheckedExtrinsic {
	<Runtime as CreateAuthorizedTransaction<RuntimeCall>>::create_authorized_transaction(call)
}

/// The signature of a development key under a report.
fn sign(who: Sr25519Keyring, message: Hash) -> MultiSignature {
	MultiSignature::Sr25519(who.sign(message.as_bytes()))
}

/// What an account can spend.
fn spendable(who: &AccountId) -> Balance {
	use frame_support::traits::tokens::{Fortitude, Preservation};
	Balances::reducible_balance(who, Preservation::Expendable, Fortitude::Polite)
}
