//! What the pallet stores and shows.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use openledger_primitives::{
	licence::LicenceTerms, mmr::MountainRange, traits::VersionCommitment, Balance, BoundedVec,
	ConstU32, H256,
};
use scale_info::TypeInfo;

/// The longest name of a datanet, in bytes of UTF-8.
pub const MAX_NAME: u32 = 64;

/// A datanet's name: UTF-8, not empty.
pub type DatanetName = BoundedVec<u8, ConstU32<MAX_NAME>>;

/// What kind of data a datanet collects. Fixed at creation.
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
pub enum DatanetKind {
	/// Running text.
	#[codec(index = 0)]
	Text,
	/// Questions with their answers.
	#[codec(index = 1)]
	QuestionAnswer,
	/// Source code.
	#[codec(index = 2)]
	Code,
	/// Tables.
	#[codec(index = 3)]
	Tabular,
	/// Images.
	#[codec(index = 4)]
	Image,
	/// Sound.
	#[codec(index = 5)]
	Audio,
	/// Moving images.
	#[codec(index = 6)]
	Video,
	/// What the metadata document says.
	#[codec(index = 7)]
	Other,
}

/// Who may contribute to a datanet and train on it, besides its owner.
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
pub enum AccessPolicy {
	/// Everybody contributes; everybody trains, after paying the price if there is one.
	#[codec(index = 0)]
	Open,
	/// Everybody contributes; who wants to train asks, holding the price, and the owner decides.
	#[codec(index = 1)]
	Approval,
	/// Only who was granted it contributes or trains.
	#[codec(index = 2)]
	Permissioned,
}

impl AccessPolicy {
	/// Whether contributing needs no grant.
	pub const fn lets_everybody_contribute(self) -> bool {
		matches!(self, Self::Open | Self::Approval)
	}

	/// Whether training needs no grant at this price.
	pub const fn lets_everybody_train(self, price: Balance) -> bool {
		matches!(self, Self::Open) && price == 0
	}
}

/// What becomes of a contribution that nobody answered in time.
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
pub enum Verdict {
	/// It is accepted.
	#[codec(index = 0)]
	Accept,
	/// It is rejected.
	#[codec(index = 1)]
	Reject,
}

/// The terms of a datanet that its owner can change.
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
pub struct DatanetTerms<BlockNumber> {
	/// What access for training costs, in planks; 0 is free, else at least the existential deposit.
	pub price: Balance,
	/// Who may contribute and train.
	pub access: AccessPolicy,
	/// What becomes of contributions that nobody answers.
	pub default_verdict: Verdict,
	/// Blocks that curators have to answer a contribution.
	pub review_period: BlockNumber,
	/// Hash of the Croissant metadata document.
	pub metadata: H256,
}

/// A datanet: a pool of data under one licence.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Datanet<AccountId, BlockNumber> {
	/// Who sets the terms and earns the price.
	pub owner: AccountId,
	/// What it is called. Names are not unique.
	pub name: DatanetName,
	/// What data it collects.
	pub kind: DatanetKind,
	/// The licence of all its data, for ever.
	pub licence: LicenceTerms,
	/// The terms that can change.
	pub terms: DatanetTerms<BlockNumber>,
	/// Whether it takes new contributions.
	pub takes_contributions: bool,
	/// The block it was created in.
	pub created_at: BlockNumber,
}

/// A datanet's counters. Kept apart from the datanet, because every contribution writes them, and
/// from its range, because a contribution does not touch that.
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
)]
pub struct DatanetCounters {
	/// Contributions ever made: the next contribution's index.
	pub contributions: u32,
	/// Contributions that wait for an answer.
	pub pending: u32,
	/// Published versions: the next version's number.
	pub versions: u32,
	/// The day that `today` counts for.
	pub day: u32,
	/// Contributions made on `day`.
	pub today: u32,
}

/// All that was accepted in a datanet, published or not yet.
#[derive(
	Clone,
	PartialEq,
	Eq,
	Debug,
	Default,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub struct AcceptedRange {
	/// The Merkle mountain range over the accepted contributions.
	pub range: MountainRange,
	/// Records over all of them.
	pub records: u64,
	/// Bytes of canonical records over all of them.
	pub bytes: u64,
}

/// What a contributor commits to.
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
pub struct ContributedData {
	/// Merkle root over the salted leaves of the records.
	pub root: H256,
	/// Number of records.
	pub records: u32,
	/// Bytes of canonical records.
	pub bytes: u64,
	/// [`content_hash`](openledger_primitives::content::content_hash) of the blob in the datanet store.
	pub content: H256,
	/// Commitment to the salts of the leaves
	/// ([`record::salts_root`](openledger_primitives::record::salts_root)).
	pub salts: H256,
}

/// Where a contribution stands. Rejected and withdrawn ones are not kept.
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
pub enum ContributionStatus<BlockNumber> {
	/// It waits for an answer.
	#[codec(index = 0)]
	Pending {
		/// The first block in which it is too late to answer.
		deadline: BlockNumber,
		/// What becomes of it then. The datanet's default at the time of contributing, so that nobody
		/// changes the outcome after the deadline.
		default_verdict: Verdict,
	},
	/// It belongs to the datanet.
	#[codec(index = 1)]
	Accepted {
		/// Its leaf in the datanet's range.
		leaf_index: u32,
	},
}

/// A contribution.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Contribution<AccountId, BlockNumber> {
	/// Who made it and earns from it.
	pub contributor: AccountId,
	/// What it commits to.
	pub data: ContributedData,
	/// The block it was made in.
	pub contributed_at: BlockNumber,
	/// Where it stands.
	pub status: ContributionStatus<BlockNumber>,
}

/// Why a curator rejected a contribution.
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
pub enum RejectReason {
	/// It cannot be fetched, decrypted or read, or is not what its hashes say.
	#[codec(index = 0)]
	Format,
	/// Its records are in the datanet already, or nearly.
	#[codec(index = 1)]
	Duplicate,
	/// It names or describes people who did not agree.
	#[codec(index = 2)]
	PersonalData,
	/// It is not good enough.
	#[codec(index = 3)]
	Quality,
	/// It may not be given under the datanet's licence.
	#[codec(index = 4)]
	Licence,
	/// It is about something else.
	#[codec(index = 5)]
	OffTopic,
	/// It is advertising, generated filler, or an attack.
	#[codec(index = 6)]
	Spam,
	/// None of these.
	#[codec(index = 7)]
	Other,
}

/// A published version of a datanet.
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
pub struct PublishedVersion<BlockNumber> {
	/// What it commits to.
	pub commitment: VersionCommitment,
	/// The licence of its data: the datanet's, written down with the version so that a version can be
	/// read alone.
	pub licence: LicenceTerms,
	/// The block it was published in.
	pub published_at: BlockNumber,
}

/// What somebody may do in a datanet.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	PartialOrd,
	Ord,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub enum Role {
	/// Answer contributions and publish versions.
	#[codec(index = 0)]
	Curator,
	/// Contribute where not everybody may.
	#[codec(index = 1)]
	Contributor,
	/// Train on the datanet's versions.
	#[codec(index = 2)]
	Trainer,
}

/// How somebody came by a role.
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
pub enum Grant<BlockNumber> {
	/// The owner gave it, and can take it back.
	#[codec(index = 0)]
	Given {
		/// The first block in which it no longer holds; `None` is never.
		expires_at: Option<BlockNumber>,
	},
	/// It was paid for: it does not end, and the owner cannot take it back.
	#[codec(index = 1)]
	Bought {
		/// What was paid, in planks.
		price: Balance,
	},
}

impl<BlockNumber: PartialOrd + Copy> Grant<BlockNumber> {
	/// Whether it holds in this block.
	pub fn holds_at(&self, now: BlockNumber) -> bool {
		match self {
			Self::Given { expires_at } => expires_at.is_none_or(|end| now < end),
			Self::Bought { .. } => true,
		}
	}

	/// Whether it holds for ever, unless it is taken back.
	pub fn is_unlimited(&self) -> bool {
		matches!(self, Self::Bought { .. } | Self::Given { expires_at: None })
	}

	/// Whether the owner can take it back or shorten it.
	pub const fn can_be_revoked(&self) -> bool {
		matches!(self, Self::Given { .. })
	}
}

/// Somebody asks to train on a datanet, and holds the price for it.
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
pub struct AccessRequest<BlockNumber> {
	/// The price when it was asked, held on the asking account.
	pub price: Balance,
	/// The block it was asked in.
	pub requested_at: BlockNumber,
}

/// A stored thing, with the deposit for it and who made that deposit.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Secured<Value, AccountId, Ticket> {
	/// The thing.
	pub value: Value,
	/// On whose account the deposit is held.
	pub depositor: AccountId,
	/// The deposit.
	pub ticket: Ticket,
}

/// What has to be held for what, in planks.
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
pub struct DepositQuote {
	/// By the owner, for a datanet.
	pub datanet: Balance,
	/// By the contributor, for the contribution asked about, until it is answered.
	pub contribution: Balance,
	/// For a request or a grant of access.
	pub access: Balance,
}
