//! The operator keys in the node's keystore.

use super::{client::Objection, MAX_OPERATOR_KEYS};
use crate::operator::OperatorSignature;
use alloc::vec::Vec;
use openledger_primitives::{jobs::OPERATOR_KEY_TYPE, H256};
use sp_core::{crypto::KeyTypeId, sr25519};
use sp_runtime::traits::IdentifyAccount;

const KEY_TYPE: KeyTypeId = KeyTypeId(OPERATOR_KEY_TYPE);

/// An operator key of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operator<AccountId> {
	/// The account that signs for a worker.
	pub account: AccountId,
	public: sr25519::Public,
}

impl<AccountId> Operator<AccountId> {
	/// The operators that this node can sign for, at most [`MAX_OPERATOR_KEYS`].
	pub(super) fn all<S: OperatorSignature<AccountId>>() -> Vec<Self> {
		let mut keys = sp_io::crypto::sr25519_public_keys(KEY_TYPE);
		// The keystore has no order, and the same keys shall be served in every run.
		keys.sort_unstable();
		keys.into_iter()
			.take(MAX_OPERATOR_KEYS)
			.map(|public| Self { account: S::Signer::from(public).into_account(), public })
			.collect()
	}

	/// Signs a message, unless the key has left the keystore.
	pub fn sign<S: OperatorSignature<AccountId>>(&self, message: H256) -> Result<S, Objection> {
		sp_io::crypto::sr25519_sign(KEY_TYPE, &self.public, message.as_bytes())
			.map(S::from)
			.ok_or(Objection::NotSigned)
	}

	/// For benchmarks: an operator whose key is put into the keystore of whoever runs them.
	#[cfg(feature = "runtime-benchmarks")]
	pub fn benchmark<S: OperatorSignature<AccountId>>() -> Self {
		// Any secret will do; this one is an account of the chains whose accounts are numbers, too.
		let public = sp_io::crypto::sr25519_generate(KEY_TYPE, Some(b"//operator/200".to_vec()));
		Self { account: S::Signer::from(public).into_account(), public }
	}
}
