//! A validator that votes for two blocks in one round of GRANDPA: from its two votes, through the
//! runtime API that nodes call and the transaction they submit, to its bond.

use super::*;
use crate::{genesis::GENESIS_BOND, money::TreasuryAccount, Validators};
use codec::Decode;
use openledger_pallet_support::offchain::testing::Node;
use openledger_runtime_common::units::OPEN;
use pallet_validators::Status;
use sp_consensus_grandpa::{
	localized_payload, runtime_decl_for_grandpa_api::GrandpaApiV3 as GrandpaApi, Equivocation,
	EquivocationProof, Message, OpaqueKeyOwnershipProof, Prevote,
};
use sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET;
use sp_keyring::Ed25519Keyring;
use sp_runtime::{
	transaction_validity::{InvalidTransaction, TransactionValidityError},
	DispatchError, Perbill,
};
use Sr25519Keyring::{Bob, Ferdie};

type Proof = EquivocationProof<Hash, crate::BlockNumber>;

/// What the offence says for one of four validators: (3 · 1 / 4)².
const FRACTION: Perbill = Perbill::from_parts(562_500_000);
/// That part of the bond.
const SLASHED: Balance = 56_250 * OPEN;

/// The set of authorities that is in office from the first block on.
const SET: u64 = 0;
const ROUND: u64 = 7;

/// A story on a network of four validators whose node has an offchain transaction pool.
fn tell(story: impl FnOnce(Node)) {
	let mut chain = Chain::from_preset(LOCAL_TESTNET_RUNTIME_PRESET);
	let node = Node::around(&mut chain.externalities);
	chain.tell(|| story(node));
}

fn vote(seed: u8) -> Prevote<Header> {
	Prevote::<Header> { target_hash: Hash::repeat_byte(seed), target_number: 1 }
}

/// Bob's two votes of one round, each under the signature of a key.
fn votes(first: (u8, Ed25519Keyring), second: (u8, Ed25519Keyring)) -> Proof {
	let signed = |(seed, key): (u8, Ed25519Keyring)| {
		let message = Message::<Header>::Prevote(vote(seed));
		let signature = key.sign(&localized_payload(ROUND, SET, &message));
		(vote(seed), signature.into())
	};
	let equivocation = finality_grandpa::Equivocation {
		round_number: ROUND,
		identity: Ed25519Keyring::Bob.public().into(),
		first: signed(first),
		second: signed(second),
	};
	EquivocationProof::new(SET, Equivocation::Prevote(equivocation))
}

fn equivocation() -> Proof {
	votes((1, Ed25519Keyring::Bob), (2, Ed25519Keyring::Bob))
}

/// That a key is that of a validator of this session, as nodes ask for it.
fn ownership(key: Ed25519Keyring) -> OpaqueKeyOwnershipProof {
	<Runtime as GrandpaApi<crate::Block>>::generate_key_ownership_proof(SET, key.public().into())
		.expect("the key is a validator's")
}

/// The transaction that a node submits when it has seen an equivocation.
fn reported(node: &Node, proof: Proof, owner: OpaqueKeyOwnershipProof) -> UncheckedExtrinsic {
	<Runtime as GrandpaApi<crate::Block>>::submit_report_equivocation_unsigned_extrinsic(
		proof, owner,
	)
	.expect("it is submitted");
	let transactions = node.take_transactions();
	let [transaction] = transactions.as_slice() else { panic!("one transaction is submitted") };
	UncheckedExtrinsic::decode(&mut transaction.as_slice()).expect("it is whole")
}

fn treasury() -> Balance {
	Balances::total_balance(&TreasuryAccount::get())
}

fn assert_bob_is_unharmed() {
	let bob = Validators::validator(Bob.to_account_id()).expect("Bob is a validator");
	assert_eq!((bob.bond, bob.status), (GENESIS_BOND, Status::Candidate));
	assert_eq!(pallet_session::DisabledValidators::<Runtime>::get(), vec![]);
	assert_eq!(pallet_offences::Reports::<Runtime>::iter().count(), 0);
}

/// Lets blocks pass until another session has begun, and the block that did it, which has no room left.
fn pass_session() {
	let session = crate::Session::current_index();
	while crate::Session::current_index() == session {
		run_blocks(1);
	}
	run_blocks(1);
}

#[test]
fn validator_should_be_slashed_when_it_votes_twice() {
	tell(|node| {
		// Proven in the session of the votes, reported in a later one: out of the history.
		let owner = ownership(Ed25519Keyring::Bob);
		let (before, treasury_before) = (Balances::total_balance(&Bob.to_account_id()), treasury());
		pass_session();
		pass_session();

		let report = reported(&node, equivocation(), owner.clone());
		let valid = validate(TransactionSource::Local, report.clone()).expect("a pool takes it");
		assert!(!valid.propagate, "only who makes the next block can include it");
		assert_bob_is_unharmed();
		Executive::apply_extrinsic(report.clone()).expect("it is valid").expect("it succeeds");

		let bob = Validators::validator(Bob.to_account_id()).expect("Bob stays one");
		assert_eq!(SLASHED, FRACTION * GENESIS_BOND);
		assert_eq!(bob.bond, GENESIS_BOND - SLASHED);
		assert!(matches!(bob.status, Status::Jailed { .. }));
		assert_eq!(Balances::total_balance(&Bob.to_account_id()), before - SLASHED);
		assert_eq!(treasury(), treasury_before + SLASHED);
		System::assert_has_event(
			pallet_validators::Event::ValidatorSlashed {
				who: Bob.to_account_id(),
				session: 0,
				fraction: FRACTION,
				amount: SLASHED,
			}
			.into(),
		);

		// Once: neither the same report nor another pair of votes of that round takes more.
		let stale = TransactionValidityError::Invalid(InvalidTransaction::Stale);
		assert_eq!(Executive::apply_extrinsic(report), Err(stale));
		let again = votes((3, Ed25519Keyring::Bob), (4, Ed25519Keyring::Bob));
		assert_eq!(Executive::apply_extrinsic(reported(&node, again, owner)), Err(stale));
		assert_eq!(Balances::total_balance(&Bob.to_account_id()), before - SLASHED);
	});
}

#[test]
fn anybody_should_be_able_to_report_a_validator_that_votes_twice() {
	tell(|_| {
		let owner = ownership(Ed25519Keyring::Bob).decode().expect("it is whole");
		submit_ok(
			Ferdie,
			pallet_grandpa::Call::report_equivocation {
				equivocation_proof: Box::new(equivocation()),
				key_owner_proof: owner,
			},
		);
		let bob = Validators::validator(Bob.to_account_id()).expect("Bob stays one");
		assert_eq!(bob.bond, GENESIS_BOND - SLASHED);
	});
}

#[test]
fn validator_should_be_unharmed_when_a_vote_is_forged() {
	tell(|node| {
		let owner = ownership(Ed25519Keyring::Bob);
		let refused =
			DispatchError::from(pallet_grandpa::Error::<Runtime>::InvalidEquivocationProof);
		for proof in [
			// The second vote under somebody else's signature, and both.
			votes((1, Ed25519Keyring::Bob), (2, Ed25519Keyring::Alice)),
			votes((1, Ed25519Keyring::Alice), (2, Ed25519Keyring::Alice)),
			// One vote, twice: no equivocation at all.
			votes((1, Ed25519Keyring::Bob), (1, Ed25519Keyring::Bob)),
		] {
			let report = reported(&node, proof.clone(), owner.clone());
			assert_eq!(Executive::apply_extrinsic(report), Ok(Err(refused)));
			let signed = pallet_grandpa::Call::report_equivocation {
				equivocation_proof: Box::new(proof),
				key_owner_proof: owner.clone().decode().expect("it is whole"),
			};
			assert_eq!(submit(Ferdie, signed), Ok(Err(refused)));
			assert_bob_is_unharmed();
		}
		// True votes, and the proof that another key is a validator's.
		let report = reported(&node, equivocation(), ownership(Ed25519Keyring::Alice));
		let why = TransactionValidityError::Invalid(InvalidTransaction::BadProof);
		assert_eq!(Executive::apply_extrinsic(report), Err(why));
		assert_bob_is_unharmed();
	});
}
