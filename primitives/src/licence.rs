//! Licence terms of data and base models, and the one function that says whether a set of them
//! allows a use.
//!
//! Terms combine by the strictest: every licence involved must allow the use on its own, and the
//! revenue shares that they ask for must fit into the whole together.

use crate::UnixSeconds;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// The whole, in basis points.
pub const BASIS_POINTS: u16 = 10_000;

/// What data or a model may be used for. A set, as bits.
#[derive(
	Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking,
	MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct Purposes(pub u8);

impl Purposes {
	/// Training a model or an adapter.
	pub const TRAINING: Self = Self(1);
	/// Measuring models, without training on it.
	pub const EVALUATION: Self = Self(1 << 1);
	/// Putting it before a model at the time of the answer.
	pub const RETRIEVAL: Self = Self(1 << 2);
	/// Answering requests with what was trained.
	pub const SERVING: Self = Self(1 << 3);
	/// Every purpose there is.
	pub const ALL: Self = Self(0b1111);

	/// Both sets together.
	pub const fn and(self, other: Self) -> Self {
		Self(self.0 | other.0)
	}

	/// Whether every purpose of `other` is in this set.
	pub const fn contains(self, other: Self) -> bool {
		self.0 & other.0 == other.0
	}

	/// Whether the bits name only purposes that exist, and at least one.
	pub const fn is_valid(self) -> bool {
		self.0 != 0 && self.0 & !Self::ALL.0 == 0
	}
}

/// The terms under which data or a base model may be used.
#[derive(
	Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen,
	TypeInfo, Serialize, Deserialize,
)]
pub struct LicenceTerms {
	/// Whether it may be used to earn money.
	pub commercial: bool,
	/// Whether something new may be made from it. Training makes something new.
	pub derivatives: bool,
	/// Whether what is made from it must carry terms at least as open as these.
	pub share_alike: bool,
	/// Share of the revenue that the licensor asks of what is made from it, in basis points.
	pub revenue_share: u16,
	/// When the licence ends, in Unix seconds; `None` is never.
	pub expires_at: Option<UnixSeconds>,
	/// What it may be used for.
	pub purposes: Purposes,
}

impl LicenceTerms {
	/// Terms that allow every use and ask for nothing.
	pub const OPEN: Self = Self {
		commercial: true,
		derivatives: true,
		share_alike: false,
		revenue_share: 0,
		expires_at: None,
		purposes: Purposes::ALL,
	};

	/// Whether the terms are possible at all: known purposes, at least one, a share within the whole.
	pub fn is_valid(&self) -> bool {
		self.purposes.is_valid() && self.revenue_share <= BASIS_POINTS
	}

	/// Whether terms of something made from this may be `other`: what this forbids, `other` forbids.
	fn is_kept_by(&self, other: &LicenceTerms) -> bool {
		// Share-alike: others must be able to do with the derivative what they could do with this.
		other.derivatives >= self.derivatives
			&& other.commercial == self.commercial
			&& other.share_alike
	}
}

/// What somebody wants to do.
#[derive(
	Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen,
	TypeInfo,
)]
pub struct Use {
	/// The purposes, all of which must be allowed.
	pub purposes: Purposes,
	/// Whether money will be earned with it.
	pub commercial: bool,
	/// Whether something new is made, and under which terms it will stand.
	pub derivative: Option<LicenceTerms>,
	/// Until when it will be used, in Unix seconds; `None` is for ever.
	pub until: Option<UnixSeconds>,
}

/// Why a set of licences does not allow a use. The first reason found, in the order of the fields.
#[derive(
	Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen,
	TypeInfo,
)]
pub enum LicenceConflict {
	/// A licence does not name the purpose.
	#[codec(index = 0)]
	PurposeNotAllowed,
	/// A licence forbids earning money.
	#[codec(index = 1)]
	CommercialUseForbidden,
	/// A licence forbids making something new.
	#[codec(index = 2)]
	DerivativesForbidden,
	/// A share-alike licence is not kept by the terms of what is made.
	#[codec(index = 3)]
	ShareAlikeNotKept,
	/// A licence ends before the use does.
	#[codec(index = 4)]
	Expires,
	/// The revenue shares asked for are more than the whole.
	#[codec(index = 5)]
	RevenueSharesExceedWhole,
}

/// Whether all of `licences` together allow `wanted`, and if not, why not.
pub fn allows<'a>(
	licences: impl IntoIterator<Item = &'a LicenceTerms>,
	wanted: &Use,
) -> Result<(), LicenceConflict> {
	let mut revenue: u32 = 0;
	for terms in licences {
		if !terms.purposes.contains(wanted.purposes) {
			return Err(LicenceConflict::PurposeNotAllowed);
		}
		if wanted.commercial && !terms.commercial {
			return Err(LicenceConflict::CommercialUseForbidden);
		}
		if let Some(made) = &wanted.derivative {
			if !terms.derivatives {
				return Err(LicenceConflict::DerivativesForbidden);
			}
			if terms.share_alike && !terms.is_kept_by(made) {
				return Err(LicenceConflict::ShareAlikeNotKept);
			}
		}
		match (terms.expires_at, wanted.until) {
			(None, _) => (),
			(Some(end), Some(until)) if until <= end => (),
			(Some(_), _) => return Err(LicenceConflict::Expires),
		}
		revenue = revenue.saturating_add(terms.revenue_share.into());
	}
	if revenue > BASIS_POINTS.into() {
		return Err(LicenceConflict::RevenueSharesExceedWhole);
	}
	Ok(())
}
