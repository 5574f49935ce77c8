//! Ethereum transactions through real blocks: signed with a public development key, with bytecode
//! that the Solidity compiler made (`tests/contracts/build.js`).

use super::*;
use crate::{genesis::ethereum_account, Revive, RuntimeEvent};
use openledger_runtime_common::{evm, units::OPEN};
use pallet_revive::{
	evm::{Bytes, GenericTransaction, TransactionLegacyUnsigned, TransactionUnsigned, TypeLegacy},
	H160, U256,
};
use sp_core::{ecdsa, Pair};
use sp_io::hashing::keccak_256;
use sp_runtime::{traits::IdentifyAccount, MultiSigner};

/// The secret of Alith, a public development key that the development genesis endows.
const ALITH: [u8; 32] =
	hex_literal::hex!("5fb92d6e98884f76de468fa3f6278f8807c48bebc13595d45af5bdc4da702133");

/// Gas that wallets use for a plain send without asking.
const PLAIN_SEND_GAS: u64 = 21_000;

/// Wei in one plank.
const WEI: u128 = 1_000_000;

struct Wallet(ecdsa::Pair);

impl Wallet {
	fn alith() -> Self {
		Self(ecdsa::Pair::from_seed(&ALITH))
	}

	fn address(&self) -> H160 {
		H160(crate::genesis::ETHEREUM_DEVELOPMENT_ADDRESSES[0])
	}

	fn account(&self) -> AccountId {
		ethereum_account(self.address().0)
	}

	/// Signs as EIP-155 asks for and applies the transaction to the open block, unsigned natively.
	fn send(
		&self,
		to: Option<H160>,
		value: U256,
		gas: U256,
		input: Vec<u8>,
	) -> ApplyExtrinsicResult {
		let unsigned: TransactionUnsigned = TransactionLegacyUnsigned {
			chain_id: Some(evm::DEVELOPMENT_CHAIN_ID.into()),
			gas,
			gas_price: Revive::evm_base_fee(),
			input: Bytes(input),
			nonce: System::account_nonce(self.account()).into(),
			to,
			r#type: TypeLegacy,
			value,
		}
		.into();
		let signature = self.0.sign_prehashed(&keccak_256(&unsigned.unsigned_payload()));
		let payload = unsigned.with_signature(signature.0).signed_payload();
		let call = RuntimeCall::Revive(pallet_revive::Call::eth_transact { payload });
		Executive::apply_extrinsic(sp_runtime::generic::UncheckedExtrinsic::new_bare(call).into())
	}

	/// Estimates the gas, sends with it, and returns the address if a contract was made.
	fn send_ok(&self, to: Option<H160>, value: U256, input: Vec<u8>) -> Option<H160> {
		let gas = self.estimate(to, value, input.clone()).expect("the estimate succeeds");
		self.send(to, value, gas, input).expect("valid").expect("dispatched");
		assert!(!reverted(), "{:?}", System::events().last());
		System::events().iter().rev().find_map(|record| match &record.event {
			RuntimeEvent::Revive(pallet_revive::Event::Instantiated { contract, .. }) => {
				Some(*contract)
			},
			_ => None,
		})
	}

	fn estimate(&self, to: Option<H160>, value: U256, input: Vec<u8>) -> Result<U256, String> {
		let transaction = GenericTransaction {
			from: Some(self.address()),
			to,
			value: Some(value),
			input: Bytes(input).into(),
			..Default::default()
		};
		Revive::eth_estimate_gas(transaction, None, None).map_err(|error| format!("{error:?}"))
	}
}

/// Whether the last Ethereum transaction of the block reverted; natively it succeeds all the same.
fn reverted() -> bool {
	System::events().iter().any(|record| {
		matches!(
			record.event,
			RuntimeEvent::Revive(pallet_revive::Event::EthExtrinsicRevert { .. })
		)
	})
}

fn contract(name: &str) -> (Vec<u8>, usize) {
	let contracts: serde_json::Value =
		serde_json::from_str(include_str!("../../tests/contracts/contracts.json")).unwrap();
	let code = |part: &str| hex::decode(contracts[name][part].as_str().unwrap()).unwrap();
	(code("creation"), code("runtime").len())
}

fn selector(signature: &str) -> Vec<u8> {
	keccak_256(signature.as_bytes())[..4].to_vec()
}

#[test]
fn plain_send_with_fixed_gas_should_reach_an_existing_account() {
	Chain::development().tell(|| {
		let to = H160(crate::genesis::ETHEREUM_DEVELOPMENT_ADDRESSES[1]);
		let before = spendable(&ethereum_account(to.0));
		let wallet = Wallet::alith();
		wallet.send(Some(to), (OPEN * WEI).into(), PLAIN_SEND_GAS.into(), vec![]).unwrap().unwrap();
		assert!(!reverted());
		assert_eq!(spendable(&ethereum_account(to.0)), before + OPEN);
	});
}

#[test]
fn plain_send_with_fixed_gas_should_open_a_fresh_account() {
	Chain::development().tell(|| {
		let to = H160([7; 20]);
		let wallet = Wallet::alith();
		wallet.send(Some(to), (OPEN * WEI).into(), PLAIN_SEND_GAS.into(), vec![]).unwrap().unwrap();
		assert!(!reverted());
		// The existential deposit comes from the gas, not from what was sent.
		assert_eq!(Revive::evm_balance(&to), (OPEN * WEI).into());
	});
}

#[test]
fn estimate_of_a_plain_send_should_fit_the_gas_that_wallets_hard_code() {
	Chain::development().tell(|| {
		let wallet = Wallet::alith();
		for to in [H160(crate::genesis::ETHEREUM_DEVELOPMENT_ADDRESSES[1]), H160([8; 20])] {
			let gas = wallet.estimate(Some(to), WEI.into(), vec![]).unwrap();
			assert!(gas <= PLAIN_SEND_GAS.into(), "{gas} gas to {to:?}");
		}
	});
}

#[test]
fn contract_should_deploy_keep_state_and_emit_when_called() {
	Chain::development().tell(|| {
		let wallet = Wallet::alith();
		let (creation, _) = contract("Ledger");
		let ledger = wallet.send_ok(None, 0.into(), creation).expect("a contract was made");
		run_blocks(1);
		wallet.send_ok(Some(ledger), (3 * WEI).into(), selector("pay()"));

		let emitted = System::events().into_iter().find_map(|record| match record.event {
			RuntimeEvent::Revive(pallet_revive::Event::ContractEmitted {
				contract,
				topics,
				data,
			}) => Some((contract, topics, data)),
			_ => None,
		});
		let (emitter, topics, data) = emitted.expect("Paid was emitted");
		assert_eq!(emitter, ledger);
		assert_eq!(topics[0].0, keccak_256(b"Paid(address,uint256,uint256)"));
		assert_eq!(U256::from_big_endian(&data[..32]), (3 * WEI).into());
		assert_eq!(Revive::evm_balance(&ledger), (3 * WEI).into());
	});
}

#[test]
fn contract_should_revert_and_move_nothing_when_it_refuses() {
	Chain::development().tell(|| {
		let wallet = Wallet::alith();
		let (creation, _) = contract("Ledger");
		let ledger = wallet.send_ok(None, 0.into(), creation).expect("a contract was made");
		run_blocks(1);
		let refused = wallet.estimate(Some(ledger), 0.into(), selector("pay()"));
		assert!(refused.is_err(), "{refused:?}");
		wallet.send(Some(ledger), 0.into(), 1_000_000.into(), selector("pay()")).unwrap().unwrap();
		assert!(reverted());
		assert_eq!(Revive::evm_balance(&ledger), 0.into());
	});
}

#[test]
fn contract_of_the_largest_size_should_deploy() {
	Chain::development().tell(|| {
		let (creation, size) = contract("Large");
		assert!(size > 24_000, "the fixture is {size} bytes, too small to show anything");
		assert!(Wallet::alith().send_ok(None, 0.into(), creation).is_some());
	});
}

#[test]
fn transaction_of_another_chain_should_be_refused() {
	Chain::development().tell(|| {
		let wallet = Wallet::alith();
		let unsigned: TransactionUnsigned = TransactionLegacyUnsigned {
			chain_id: Some(1.into()),
			gas: PLAIN_SEND_GAS.into(),
			gas_price: Revive::evm_base_fee(),
			to: Some(H160([7; 20])),
			..Default::default()
		}
		.into();
		let signature = wallet.0.sign_prehashed(&keccak_256(&unsigned.unsigned_payload()));
		let payload = unsigned.with_signature(signature.0).signed_payload();
		let call = RuntimeCall::Revive(pallet_revive::Call::eth_transact { payload });
		let outcome = Executive::apply_extrinsic(
			sp_runtime::generic::UncheckedExtrinsic::new_bare(call).into(),
		);
		assert!(outcome.is_err(), "{outcome:?}");
	});
}

#[test]
fn ethereum_key_should_sign_native_transactions_for_an_account_of_its_own() {
	Chain::development().tell(|| {
		let pair = ecdsa::KeccakPair::from_seed(&ALITH);
		// Not the account of the key's Ethereum address: the SDK hashes the compressed public key.
		let account: AccountId = MultiSigner::Eth(pair.public()).into_account();
		assert_ne!(account, Wallet::alith().account());
		submit_ok(
			Sr25519Keyring::Alice,
			pallet_balances::Call::transfer_keep_alive {
				dest: account.clone().into(),
				value: OPEN,
			},
		);
		let call = RuntimeCall::System(frame_system::Call::remark { remark: b"hello".to_vec() });
		let extensions = system::transaction_extensions(0, 0, SetOrigin::default());
		let payload = SignedPayload::new(call.clone(), extensions.clone()).unwrap();
		let signature = MultiSignature::Eth(payload.using_encoded(|bytes| pair.sign(bytes)));
		let transaction = sp_runtime::generic::UncheckedExtrinsic::new_signed(
			call,
			account.into(),
			signature,
			extensions,
		);
		Executive::apply_extrinsic(transaction.into()).unwrap().unwrap();
	});
}
