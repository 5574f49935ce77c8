//! Names of the things the chain knows. Every id is its own type, so that a model's number can
//! never stand where a datanet's is meant; in SCALE they are the bare integers.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

macro_rules! id {
	($(#[$doc:meta])* $name:ident($int:ty)) => {
		$(#[$doc])*
		#[derive(
			Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash, Encode, Decode,
			DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
		)]
		pub struct $name(pub $int);

		impl $name {
			/// The id that follows, or `None` when the numbers are used up.
			pub fn next(self) -> Option<Self> {
				self.0.checked_add(1).map(Self)
			}
		}
	};
}

id!(
	/// A datanet: a community's pool of data under one licence.
	DatanetId(u32)
);
id!(
	/// A base model that adapters are trained on.
	BaseModelId(u32)
);
id!(
	/// A published model: one adapter on one base model.
	ModelId(u32)
);
id!(
	/// A training job, from request to settlement.
	TrainingJobId(u64)
);
id!(
	/// One paid inference request.
	RequestId(u64)
);

/// One contribution to a datanet.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	PartialOrd,
	Ord,
	Debug,
	Default,
	Hash,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
)]
pub struct ContributionId {
	/// The datanet it was made to.
	pub datanet: DatanetId,
	/// Its place in that datanet, counted from 0 in order of submission.
	pub index: u32,
}

/// One published version of a datanet.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	PartialOrd,
	Ord,
	Debug,
	Default,
	Hash,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
	Serialize,
	Deserialize,
)]
pub struct DatanetVersion {
	/// The datanet.
	pub datanet: DatanetId,
	/// The version's number, counted from 0.
	pub version: u32,
}
