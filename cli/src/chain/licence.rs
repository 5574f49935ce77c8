//! Licence terms as the chain shows them.

use openledger_primitives::licence::{LicenceTerms, Purposes};
use serde::Serialize;
use subxt::ext::{scale_decode::DecodeAsType, scale_encode::EncodeAsType};

/// Licence terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, EncodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub struct Licence {
	/// Whether it may be used to earn money.
	pub commercial: bool,
	/// Whether something new may be made from it.
	pub derivatives: bool,
	/// Whether what is made from it must be as open.
	pub share_alike: bool,
	/// What it asks of the revenue, in basis points.
	pub revenue_share: u16,
	/// When it ends, in Unix seconds.
	pub expires_at: Option<u64>,
	/// What it may be used for, as bits: 1 training, 2 evaluation, 4 retrieval, 8 serving.
	pub purposes: u8,
}

impl Licence {
	/// The names of the purposes.
	pub fn purposes(&self) -> Vec<&'static str> {
		let named = [
			(Purposes::TRAINING, "training"),
			(Purposes::EVALUATION, "evaluation"),
			(Purposes::RETRIEVAL, "retrieval"),
			(Purposes::SERVING, "serving"),
		];
		let own = Purposes(self.purposes);
		named.into_iter().filter(|(bit, _)| own.contains(*bit)).map(|(_, name)| name).collect()
	}
}

impl From<LicenceTerms> for Licence {
	fn from(terms: LicenceTerms) -> Self {
		let LicenceTerms {
			commercial,
			derivatives,
			share_alike,
			revenue_share,
			expires_at,
			purposes,
		} = terms;
		Self {
			commercial,
			derivatives,
			share_alike,
			revenue_share,
			expires_at,
			purposes: purposes.0,
		}
	}
}
