//! Whatever happens in whatever order: no plank appears, disappears or is owed twice.

use super::*;
use crate::{Rewards, TotalUnpaid};
use frame_support::assert_ok;
use openledger_primitives::{
	shares::{divide, FeeSplit},
	traits::Settlement,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
enum Op {
	/// Settles the next request with shares by these weights, or tries one again that came so many
	/// before.
	Settle {
		back: u64,
		fee: Balance,
		weights: [u64; 4],
	},
	Claim {
		who: AccountId,
	},
	Donate {
		amount: Balance,
	},
	SetSplit {
		weights: [u64; 5],
	},
	Pass {
		blocks: u64,
	},
}

fn account() -> impl Strategy<Value = AccountId> {
	prop::sample::select(vec![HOST, MODEL_OWNER, ALICE, BOB, CAROL, TREASURY, VALIDATORS, PAYER])
}

fn back() -> impl Strategy<Value = u64> {
	prop_oneof![3 => Just(0), 1 => 1..10u64]
}

fn fee() -> impl Strategy<Value = Balance> {
	prop_oneof![Just(0), 1..50u128, 50..100_000u128, 0..ENDOWMENT]
}

/// Of the model's four contributions; all zero names nobody.
fn weights() -> impl Strategy<Value = [u8; 4]> {
	prop_oneof![1 => Just([0; 4]), 4 => any::<[u8; 4]>(), 1 => Just([1; 4])]
}

fn op() -> impl Strategy<Value = Op> {
	prop_oneof![
		5 => (back(), fee(), weights()).prop_map(
			|(back, fee, weights)| Op::Settle { back, fee, weights: weights.map(u64::from) }
		),
		3 => account().prop_map(|who| Op::Claim { who }),
		1 => (EXISTENTIAL_DEPOSIT..1_000).prop_map(|amount| Op::Donate { amount }),
		1 => any::<[u8; 5]>()
			.prop_map(|weights| Op::SetSplit { weights: weights.map(u64::from) }),
		2 => (1..RETENTION).prop_map(|blocks| Op::Pass { blocks }),
	]
}

/// A claim over the model's contributions in proportion to `weights`; those of no parts are left out.
fn claim_by(request: u64, weights: &[u64; 4]) -> AttributionClaim {
	let parts = divide(1_000_000, weights).unwrap_or_default();
	let shares: Vec<_> = [ALICES, BOBS, ALICES_SECOND, CAROLS]
		.into_iter()
		.zip(parts)
		.filter(|(_, parts)| *parts > 0)
		.map(|(contribution, parts)| (contribution, parts as u32))
		.collect();
	claim(request, &shares)
}

fn split_by(weights: &[u64; 5]) -> Option<FeeSplit> {
	let parts = divide(10_000, weights)?;
	let part = |index: usize| parts[index] as u16;
	Some(FeeSplit {
		contributors: part(0),
		host: part(1),
		model_owner: part(2),
		validators: part(3),
		treasury: part(4),
	})
}

/// What the test itself remembers, longer than the pallet does.
#[derive(Default)]
struct History {
	next: u64,
	settled: BTreeSet<u64>,
}

fn apply(op: Op, history: &mut History) {
	match op {
		Op::Settle { back, fee, weights } => {
			let request = history.next.saturating_sub(back);
			history.next += u64::from(back == 0);
			let total = TotalUnpaid::<Test>::get();
			let payer = Balances::free_balance(PAYER);
			let result = Attribution::settle(answer(request, fee), &claim_by(request, &weights));
			let taken = if result.is_ok() { fee } else { 0 };
			assert!(result.is_err() || history.settled.insert(request), "settled twice");
			assert_eq!(TotalUnpaid::<Test>::get(), total + taken);
			assert_eq!(Balances::free_balance(PAYER), payer - taken);
		},
		Op::Claim { who } => {
			let owed = Attribution::unpaid(who);
			let before = Balances::free_balance(who);
			let result = Attribution::claim_rewards_for(RuntimeOrigin::signed(HOST), who);
			let paid = if result.is_ok() { owed } else { 0 };
			assert_eq!(Balances::free_balance(who), before + paid);
			assert_eq!(result.is_ok(), owed > 0 && before + owed >= EXISTENTIAL_DEPOSIT);
		},
		Op::Donate { amount } => {
			// Fails when the payer has spent everything.
			let _ = Balances::transfer_keep_alive(
				RuntimeOrigin::signed(PAYER),
				Attribution::pot_account(),
				amount,
			);
		},
		Op::SetSplit { weights } => {
			if let Some(split) = split_by(&weights) {
				assert_ok!(Attribution::set_fee_split(RuntimeOrigin::root(), split));
			}
		},
		Op::Pass { blocks } => run_to(System::block_number() + blocks),
	}
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(64))]

	#[test]
	fn money_should_be_conserved_when_anything_happens(
		ops in prop::collection::vec(op(), 1..60),
	) {
		ExtBuilder::default().build_and_execute(|| {
			let issued = Balances::total_issuance();
			let mut history = History::default();
			for op in ops {
				apply(op, &mut history);
				assert_eq!(Balances::total_issuance(), issued);
				Attribution::do_try_state().unwrap();
			}
			// Everything that is owed can be paid.
			for who in Rewards::<Test>::iter_keys().collect::<Vec<_>>() {
				let _ = Attribution::claim_rewards_for(RuntimeOrigin::signed(HOST), who);
			}
			let left: Balance = Rewards::<Test>::iter_values().sum();
			assert_eq!(left, TotalUnpaid::<Test>::get());
			assert!(Rewards::<Test>::iter_values().all(|owed| owed < EXISTENTIAL_DEPOSIT));
		});
	}
}
