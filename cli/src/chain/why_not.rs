//! Why the chain would refuse a training request, in words.

use std::fmt;

use subxt::ext::scale_decode::DecodeAsType;

use crate::chain::datanets::DatanetVersion;

/// Whose terms are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub enum Licensor {
	/// The base model's.
	BaseModel,
	/// A datanet's.
	Datanet(u32),
	/// Those of the model that would be made.
	Result,
}

impl fmt::Display for Licensor {
	fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
		match self {
			Self::BaseModel => write!(out, "the base model's licence"),
			Self::Datanet(datanet) => write!(out, "the licence of datanet {datanet}"),
			Self::Result => write!(out, "the licence of the model to be made"),
		}
	}
}

/// Why licences do not allow a use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs, reason = "they are explained where they are shown")]
pub enum LicenceConflict {
	PurposeNotAllowed,
	CommercialUseForbidden,
	DerivativesForbidden,
	ShareAlikeNotKept,
	Expires,
	RevenueSharesExceedWhole,
}

impl LicenceConflict {
	fn meaning(self) -> &'static str {
		match self {
			Self::PurposeNotAllowed => "does not allow training and serving",
			Self::CommercialUseForbidden => "forbids earning money",
			Self::DerivativesForbidden => "forbids making something new",
			Self::ShareAlikeNotKept => "asks that the model be licensed alike",
			Self::Expires => "ends before the model's would",
			Self::RevenueSharesExceedWhole => {
				"asks, with the others, for more than the whole revenue"
			},
		}
	}

	fn advice(self) -> &'static str {
		match self {
			Self::PurposeNotAllowed | Self::DerivativesForbidden => "train without it",
			Self::CommercialUseForbidden => "train without --commercial, or without it",
			Self::ShareAlikeNotKept => {
				"give the model the same terms: --share-alike, and --non-commercial if it says so"
			},
			Self::Expires => "let the model's licence end no later, with --licence-expires",
			Self::RevenueSharesExceedWhole => "train on fewer datanets",
		}
	}
}

/// Why a training request would be refused.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs, reason = "they are explained where they are shown")]
pub enum Refusal {
	UnknownBaseModel,
	BaseModelRetired,
	InvalidLicence,
	NoSources,
	SourcesNotSorted,
	SourceNotPublished(DatanetVersion),
	AccessDenied { datanet: u32 },
	LicenceExpired(Licensor),
	LicenceConflict { licensor: Option<Licensor>, conflict: LicenceConflict },
}

impl Refusal {
	/// The error that the request would fail with, what it means here, and what to do.
	pub fn explain(&self) -> (&'static str, String, Option<String>) {
		let advice = |text: &str| Some(text.to_owned());
		match self {
			Self::UnknownBaseModel => (
				"Models.UnknownBaseModel",
				"there is no such base model".into(),
				advice("register it with `openledger base register`"),
			),
			Self::BaseModelRetired => {
				("Models.BaseModelRetired", "the base model takes no new jobs".into(), None)
			},
			Self::InvalidLicence => (
				"Models.InvalidLicence",
				"the terms for the model are not possible".into(),
				advice("name at least one purpose and ask for at most the whole revenue"),
			),
			Self::NoSources => {
				("Models.NoSources", "no datanet is named".into(), advice("add --datanet ID"))
			},
			Self::SourcesNotSorted => (
				"Models.SourcesNotSorted",
				"a datanet is named twice".into(),
				advice("name each datanet once"),
			),
			Self::SourceNotPublished(version) => (
				"Models.SourceNotPublished",
				format!("datanet {} has no version {}", version.datanet, version.version),
				advice("see its versions with `openledger datanet show`"),
			),
			Self::AccessDenied { datanet } => (
				"Datanets.MayNotTrain",
				format!("datanet {datanet} does not let this account train on it"),
				advice("see `openledger datanet show`: access is bought, asked for, or granted"),
			),
			Self::LicenceExpired(licensor) => {
				("Models.LicenceExpired", format!("{licensor} has ended"), None)
			},
			Self::LicenceConflict { licensor, conflict } => {
				let whose =
					licensor.map_or("one of the licences".into(), |whose| whose.to_string());
				let name = match conflict {
					LicenceConflict::PurposeNotAllowed => "Models.PurposeNotAllowed",
					LicenceConflict::CommercialUseForbidden => "Models.CommercialUseForbidden",
					LicenceConflict::DerivativesForbidden => "Models.DerivativesForbidden",
					LicenceConflict::ShareAlikeNotKept => "Models.ShareAlikeNotKept",
					LicenceConflict::Expires => "Models.LicenceEndsBeforeResult",
					LicenceConflict::RevenueSharesExceedWhole => "Models.RevenueSharesExceedWhole",
				};
				(name, format!("{whose} {}", conflict.meaning()), advice(conflict.advice()))
			},
		}
	}
}
