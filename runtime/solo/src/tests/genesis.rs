//! The presets hold the whole supply, vest what vests, and start with a working validator set.

use super::*;
use crate::{genesis, Session, Validators, Vesting};
use frame_support::traits::{fungible::InspectHold, VestingSchedule};
use openledger_runtime_common::supply;
use sp_runtime::traits::AccountIdConversion;

fn bucket(bucket: &supply::Bucket) -> AccountId {
	bucket.pallet_id().into_account_truncating()
}

#[test]
fn every_preset_should_hold_exactly_the_supply() {
	for name in genesis::preset_names() {
		// `tell` asserts the total issuance before it returns.
		Chain::from_preset(name.as_str()).tell(|| {
			let accounts: Balance = frame_system::Account::<Runtime>::iter()
				.map(|(_, info)| info.data.free + info.data.reserved)
				.sum();
			assert_eq!(accounts, supply::TOTAL_SUPPLY, "{name}");
		});
	}
}

#[test]
fn investors_and_team_should_have_nothing_to_spend_before_the_cliff() {
	Chain::development().tell(|| {
		for vesting in [supply::INVESTORS, supply::TEAM] {
			let account = bucket(&vesting);
			assert_eq!(Balances::total_balance(&account), vesting.amount());
			assert_eq!(spendable(&account), 0);
			assert_eq!(Vesting::vesting_balance(&account), Some(vesting.amount()));
		}
		assert_eq!(spendable(&bucket(&supply::LIQUIDITY)), supply::LIQUIDITY.amount());
	});
}

#[test]
fn vesting_should_be_linear_over_three_years_after_the_cliff() {
	let mut chain = Chain::development();
	chain.externalities.execute_with(|| {
		let account = bucket(&supply::TEAM);
		let locked_at = |block| {
			System::set_block_number(block);
			Vesting::vesting_balance(&account).unwrap()
		};
		let whole = supply::TEAM.amount();
		assert_eq!(locked_at(supply::VESTING_CLIFF), whole);
		let half = locked_at(supply::VESTING_CLIFF + supply::VESTING_LINEAR / 2);
		// Vesting counts in whole planks per block, rounded down: up to one plank a block early.
		assert!(half.abs_diff(whole / 2) <= Balance::from(supply::VESTING_LINEAR), "{half}");
		assert_eq!(locked_at(supply::VESTING_CLIFF + supply::VESTING_LINEAR + 1), 0);
	});
}

#[test]
fn the_local_network_should_start_with_four_bonded_validators() {
	Chain::from_preset(sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET).tell(|| {
		let mut expected = [
			Sr25519Keyring::Alice,
			Sr25519Keyring::Bob,
			Sr25519Keyring::Charlie,
			Sr25519Keyring::Dave,
		]
		.map(|key| key.to_account_id());
		expected.sort();
		let mut active = Session::validators();
		active.sort();
		assert_eq!(active, expected);
		for account in expected {
			assert!(Validators::is_active(account.clone()));
			assert_eq!(Balances::total_balance_on_hold(&account), genesis::GENESIS_BOND);
		}
	});
}

#[test]
fn sudo_should_be_removable() {
	Chain::development().tell(|| {
		submit_ok(Sr25519Keyring::Alice, pallet_sudo::Call::remove_key {});
		let remark = Box::new(RuntimeCall::System(frame_system::Call::remark { remark: vec![] }));
		let outcome = submit(Sr25519Keyring::Alice, pallet_sudo::Call::sudo { call: remark });
		assert_eq!(
			outcome.unwrap().unwrap_err(),
			pallet_sudo::Error::<Runtime>::RequireSudo.into()
		);
	});
}
