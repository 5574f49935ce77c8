//! Operator keys for chains whose accounts are numbers, and what becomes of reports on such a chain.

// Tests may stop at the first surprise.
#![allow(clippy::expect_used)]

use codec::{Decode, DecodeWithMemTracking, Encode};
use frame_support::{
	dispatch::{DispatchInfo, GetDispatchInfo},
	traits::Authorize,
};
use frame_system::{AuthorizeCall, RawOrigin};
use openledger_primitives::H256;
use scale_info::TypeInfo;
use sp_core::{sr25519, Pair};
use sp_runtime::{
	traits::{
		AsTransactionAuthorizedOrigin, DispatchTransaction, Dispatchable, IdentifyAccount, Lazy,
		Verify,
	},
	transaction_validity::{
		InvalidTransaction, TransactionSource, TransactionValidityError, ValidTransaction,
	},
	DispatchResult, StateVersion,
};
use std::{collections::BTreeMap, sync::OnceLock};

/// A transaction of a chain whose accounts are numbers and that takes reports.
pub type Extrinsic<T> =
	frame_system::mocking::MockUncheckedExtrinsic<T, NumberedSignature, AuthorizeCall<T>>;

/// A block of such transactions.
pub type Block<T> = frame_system::mocking::MockBlock<T, NumberedSignature, AuthorizeCall<T>>;

/// Lets a mock's offchain workers make [`Extrinsic`]s of their reports.
#[macro_export]
macro_rules! make_reports {
	($runtime:ty) => {
		impl<LocalCall> frame_system::offchain::CreateTransactionBase<LocalCall> for $runtime
		where
			<$runtime as frame_system::Config>::RuntimeCall: From<LocalCall>,
		{
			type Extrinsic = $crate::operator::testing::Extrinsic<$runtime>;
			type RuntimeCall = <$runtime as frame_system::Config>::RuntimeCall;
		}

		impl<LocalCall> frame_system::offchain::CreateTransaction<LocalCall> for $runtime
		where
			<$runtime as frame_system::Config>::RuntimeCall: From<LocalCall>,
		{
			type Extension = frame_system::AuthorizeCall<$runtime>;

			fn create_transaction(
				call: <$runtime as frame_system::Config>::RuntimeCall,
				extension: Self::Extension,
			) -> $crate::operator::testing::Extrinsic<$runtime> {
				$crate::operator::testing::Extrinsic::new_transaction(call, extension)
			}
		}

		impl<LocalCall> frame_system::offchain::CreateAuthorizedTransaction<LocalCall> for $runtime
		where
			<$runtime as frame_system::Config>::RuntimeCall: From<LocalCall>,
		{
			fn create_extension() -> Self::Extension {
				frame_system::AuthorizeCall::new()
			}
		}
	};
}

/// Whether a node lets a call in that nobody signs.
pub fn authorise(call: &impl Authorize) -> Result<ValidTransaction, TransactionValidityError> {
	let outcome = call.authorize(TransactionSource::External).expect("it authorises itself");
	outcome.map(|(valid, _)| valid)
}

/// Applies a call as a general transaction in a block.
pub fn apply<T>(call: impl Into<T::RuntimeCall>) -> Result<DispatchResult, TransactionValidityError>
where
	T: frame_system::Config + Send + Sync,
	T::RuntimeCall: Dispatchable<Info = DispatchInfo>,
	T::RuntimeOrigin: AsTransactionAuthorizedOrigin,
{
	let extrinsic = Extrinsic::<T>::new_transaction(call.into(), AuthorizeCall::new());
	let (length, info) = (extrinsic.encoded_size(), extrinsic.get_dispatch_info());
	let nobody = RawOrigin::None.into();
	let call = extrinsic.function;
	let outcome = AuthorizeCall::<T>::new().dispatch_transaction(nobody, call, &info, length, 0)?;
	Ok(outcome.map(|_| ()).map_err(|failed| failed.error))
}

/// The call is let in nowhere, for this reason, and nothing changes.
pub fn refused<T>(call: impl Authorize + Into<T::RuntimeCall>, why: InvalidTransaction)
where
	T: frame_system::Config + Send + Sync,
	T::RuntimeCall: Dispatchable<Info = DispatchInfo>,
	T::RuntimeOrigin: AsTransactionAuthorizedOrigin,
{
	let why = TransactionValidityError::Invalid(why);
	let root = sp_io::storage::root(StateVersion::V1);
	assert_eq!(authorise(&call), Err(why));
	assert_eq!(apply::<T>(call), Err(why));
	assert_eq!(sp_io::storage::root(StateVersion::V1), root);
}

/// A refusal with one of the codes in [`refusal`](super::refusal).
pub fn code(code: u8) -> InvalidTransaction {
	InvalidTransaction::Custom(code)
}

/// The call is let into a block and does what it says.
pub fn include<T: frame_system::Config>(call: impl Into<T::RuntimeCall>) {
	let call = call.into();
	authorise(&call).expect("it is valid");
	call.dispatch(RawOrigin::Authorized.into())
		.map_err(|failed| failed.error)
		.expect("it succeeds");
}

/// The secret of a numbered account.
pub fn secret(account: u64) -> String {
	format!("//operator/{account}")
}

fn pair(account: u64) -> sr25519::Pair {
	sr25519::Pair::from_string(&secret(account), None).expect("the secret is one")
}

/// Numbered accounts that have keys: those below.
const NUMBERED: u64 = 256;

/// The public key of a numbered account, on chains whose accounts are numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NumberedSigner(sr25519::Public);

impl From<sr25519::Public> for NumberedSigner {
	fn from(public: sr25519::Public) -> Self {
		Self(public)
	}
}

impl IdentifyAccount for NumberedSigner {
	type AccountId = u64;

	/// The number whose key this is; for any other key, a number that has none.
	fn into_account(self) -> u64 {
		static ACCOUNTS: OnceLock<BTreeMap<sr25519::Public, u64>> = OnceLock::new();
		let accounts =
			ACCOUNTS.get_or_init(|| (0..NUMBERED).map(|n| (pair(n).public(), n)).collect());
		accounts.get(&self.0).copied().unwrap_or(u64::MAX)
	}
}

/// A real sr25519 signature, on chains whose accounts are numbers.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct NumberedSignature(sr25519::Signature);

impl NumberedSignature {
	/// The signature of a numbered account.
	pub fn by(account: u64, message: H256) -> Self {
		Self(pair(account).sign(message.as_bytes()))
	}
}

impl From<sr25519::Signature> for NumberedSignature {
	fn from(signature: sr25519::Signature) -> Self {
		Self(signature)
	}
}

impl Verify for NumberedSignature {
	type Signer = NumberedSigner;

	fn verify<L: Lazy<[u8]>>(&self, mut message: L, signer: &u64) -> bool {
		*signer < NUMBERED && sr25519::Pair::verify(&self.0, message.get(), &pair(*signer).public())
	}
}

/// The signature in calls whose authorisation is not what is tested.
pub fn no_signature() -> NumberedSignature {
	sr25519::Signature::default().into()
}
