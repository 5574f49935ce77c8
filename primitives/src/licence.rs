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
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Default,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
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
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
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

	/// Whether `made`, the terms of something made from this, keep these share-alike terms: others
	/// can do with it what they could do with this (derivatives, commercial use, purposes), cannot
	/// earn money with it where this forbids it, and have to share alike themselves.
	fn is_kept_by(&self, made: &LicenceTerms) -> bool {
		made.share_alike
			&& made.derivatives >= self.derivatives
			&& made.commercial == self.commercial
			&& made.purposes.contains(self.purposes)
	}
}

/// What somebody wants to do.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub struct Use {
	/// The purposes, at least one, all of which must be allowed.
	pub purposes: Purposes,
	/// Whether money will be earned with it.
	pub commercial: bool,
	/// The terms of what is made, if something new is. Training makes something new whether or not
	/// its terms are named; unnamed terms keep no share-alike licence.
	pub derivative: Option<LicenceTerms>,
	/// Until when it will be used, in Unix seconds; `None` is for ever.
	pub until: Option<UnixSeconds>,
}

/// Why a set of licences does not allow a use: the first reason found, licence by licence, within
/// one licence in the order of this list.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub enum LicenceConflict {
	/// A licence does not name the purpose, or the use names none that exists.
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

/// Whether all of `licences` together allow `wanted`, and if not, why not. One licence more never
/// allows more.
pub fn allows<'a>(
	licences: impl IntoIterator<Item = &'a LicenceTerms>,
	wanted: &Use,
) -> Result<(), LicenceConflict> {
	if !wanted.purposes.is_valid() {
		return Err(LicenceConflict::PurposeNotAllowed);
	}
	let makes_new = wanted.derivative.is_some() || wanted.purposes.contains(Purposes::TRAINING);
	let mut revenue: u32 = 0;
	for terms in licences {
		if !terms.purposes.contains(wanted.purposes) {
			return Err(LicenceConflict::PurposeNotAllowed);
		}
		// Nobody can grant with what they made more than they were granted themselves.
		let grants_commercial = wanted.derivative.is_some_and(|made| made.commercial);
		if (wanted.commercial || grants_commercial) && !terms.commercial {
			return Err(LicenceConflict::CommercialUseForbidden);
		}
		if makes_new {
			if !terms.derivatives {
				return Err(LicenceConflict::DerivativesForbidden);
			}
			let is_kept = wanted.derivative.as_ref().is_some_and(|made| terms.is_kept_by(made));
			if terms.share_alike && !is_kept {
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
