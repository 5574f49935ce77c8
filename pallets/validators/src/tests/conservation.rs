//! Random lives of validators. After every step the invariants hold, no plank is lost, the set is
//! never smaller than the minimum, and nobody withdraws while it can still be slashed.

use super::*;
use frame_support::traits::fungible::Inspect;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
	Register { who: AccountId, bond: Balance },
	BondExtra { who: AccountId, amount: Balance },
	Leave { who: AccountId },
	Withdraw { who: AccountId },
	Rejoin { who: AccountId },
	Remove { who: AccountId },
	Resize { max: u32 },
	Offend { pick: usize, slot: u64, percent: u32 },
	ReportLate { pick: usize, percent: u32 },
	PassSession,
}

fn step() -> impl Strategy<Value = Step> {
	let who = || 1..=ACCOUNTS;
	prop_oneof![
		3 => (who(), 50..4_000u128).prop_map(|(who, bond)| Step::Register { who, bond }),
		2 => (who(), 0..2_000u128).prop_map(|(who, amount)| Step::BondExtra { who, amount }),
		2 => who().prop_map(|who| Step::Leave { who }),
		3 => who().prop_map(|who| Step::Withdraw { who }),
		3 => who().prop_map(|who| Step::Rejoin { who }),
		1 => who().prop_map(|who| Step::Remove { who }),
		1 => (2..12u32).prop_map(|max| Step::Resize { max }),
		3 => (any::<usize>(), 0..4u64, 0..=40u32)
			.prop_map(|(pick, slot, percent)| Step::Offend { pick, slot, percent }),
		1 => (any::<usize>(), 0..=60u32).prop_map(|(pick, percent)| Step::ReportLate { pick, percent }),
		6 => Just(Step::PassSession),
	]
}

/// Proofs that nodes made in past sessions.
type Proofs = Vec<(AccountId, u32, Proof)>;

fn apply(step: Step, proofs: &mut Proofs) {
	match step {
		Step::Register { who, bond } => {
			set_keys(who);
			let _ = Validators::register(signed(who), bond);
		},
		Step::BondExtra { who, amount } => {
			let _ = Validators::bond_extra(signed(who), amount);
		},
		Step::Leave { who } => {
			let _ = Validators::leave(signed(who));
		},
		Step::Withdraw { who } => {
			if Validators::withdraw(signed(who)).is_ok() {
				assert_eq!(held(who), 0);
				let provable = proofs.iter().any(|(owner, _, proof)| {
					*owner == who && check_proof(who, proof.clone()).is_some()
				});
				assert!(!provable, "{who} withdrew while an offence could be proven");
			}
		},
		Step::Rejoin { who } => {
			let _ = Validators::rejoin(signed(who));
		},
		Step::Remove { who } => {
			let _ = Validators::force_remove(RuntimeOrigin::root(), who);
		},
		Step::Resize { max } => {
			let _ = Validators::set_max_validators(RuntimeOrigin::root(), max);
		},
		Step::Offend { pick, slot, percent } => {
			let set = active();
			let who = set[pick % set.len()];
			let session = Session::current_index();
			// Slots are of a session; at most two offenders share one, so that 100 % is the most.
			let slot = u64::from(session) * 4 + slot;
			let percent = percent / set.len() as u32;
			let before = (held(who), Balances::balance(&who));
			let _ = report_identified(identify(who), session, slot, percent);
			assert!(held(who) <= before.0);
			assert_eq!(Balances::balance(&who), before.1);
		},
		Step::ReportLate { pick, percent } => {
			if proofs.is_empty() {
				return;
			}
			let (who, session, proof) = proofs[pick % proofs.len()].clone();
			if let Some(offender) = check_proof(who, proof) {
				let before = held(who);
				let bond = offender.1.bond;
				let _ =
					report_identified(offender, session, 1_000_000 + u64::from(session), percent);
				assert!(before - held(who) <= bond);
			}
		},
		Step::PassSession => {
			let session = Session::current_index();
			proofs.extend(active().into_iter().map(|who| (who, session, key_proof(who))));
			pass_sessions(1);
		},
	}
}

proptest! {
	#![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

	#[test]
	fn money_and_the_minimum_set_should_last_when_validators_come_go_and_offend(
		steps in prop::collection::vec(step(), 1..80),
	) {
		ExtBuilder::build().execute_with(|| {
			let mut proofs = Proofs::new();
			for step in steps {
				apply(step, &mut proofs);
				check_state();
				assert!(active().len() >= 3, "the set shrank below the minimum");
			}
		});
	}
}
