//! Datanets as the chain shows them, and what people do with them.

use clap::ValueEnum;
use openledger_primitives::{contribution::ContributionCommitment, H256};
use serde::{Serialize, Serializer};
use subxt::{
	dynamic::Value,
	ext::{scale_decode::DecodeAsType, scale_encode::EncodeAsType},
	utils::AccountId32,
};
use subxt_signer::sr25519::Keypair;

use crate::{
	amount::as_open,
	chain::{licence::Licence, Chain, Receipt},
	error::Result,
};

/// How many numbers a page of a list has, as the pallets have it.
const PAGE: u32 = 128;

/// What kind of data a datanet collects.
#[derive(
	Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, EncodeAsType, Serialize, ValueEnum, Default,
)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
#[serde(rename_all = "kebab-case")]
pub enum DatanetKind {
	/// Running text
	Text,
	/// Questions with their answers
	#[default]
	QuestionAnswer,
	/// Source code
	Code,
	/// Tables
	Tabular,
	/// Images
	Image,
	/// Sound
	Audio,
	/// Moving images
	Video,
	/// What the metadata document says
	Other,
}

/// Who may contribute and train.
#[derive(
	Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, EncodeAsType, Serialize, ValueEnum, Default,
)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
#[serde(rename_all = "kebab-case")]
pub enum AccessPolicy {
	/// Everybody contributes; everybody trains, after paying the price if there is one
	#[default]
	Open,
	/// Everybody contributes; the owner decides who trains
	Approval,
	/// Only who was granted it contributes or trains
	Permissioned,
}

/// What becomes of a contribution that nobody answers.
#[derive(
	Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, EncodeAsType, Serialize, ValueEnum, Default,
)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
#[serde(rename_all = "kebab-case")]
pub enum DefaultVerdict {
	/// It is accepted
	Accept,
	/// It is rejected
	#[default]
	Reject,
}

/// Why a curator rejects a contribution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, EncodeAsType, Serialize, ValueEnum)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
#[serde(rename_all = "kebab-case")]
pub enum RejectReason {
	/// It cannot be fetched or read, or is not what its hashes say
	Format,
	/// Its records are in the datanet already, or nearly
	Duplicate,
	/// It names or describes people who did not agree
	PersonalData,
	/// It is not good enough
	Quality,
	/// It may not be given under the datanet's licence
	Licence,
	/// It is about something else
	OffTopic,
	/// It is advertising, generated filler, or an attack
	Spam,
	/// None of these
	Other,
}

impl RejectReason {
	/// The reason's name on the chain.
	fn on_chain(self) -> &'static str {
		match self {
			Self::Format => "Format",
			Self::Duplicate => "Duplicate",
			Self::PersonalData => "PersonalData",
			Self::Quality => "Quality",
			Self::Licence => "Licence",
			Self::OffTopic => "OffTopic",
			Self::Spam => "Spam",
			Self::Other => "Other",
		}
	}
}

/// The terms of a datanet that its owner can change.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, EncodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub struct DatanetTerms {
	/// What access for training costs.
	#[serde(serialize_with = "as_open::serialize")]
	pub price: u128,
	/// Who may contribute and train.
	pub access: AccessPolicy,
	/// What becomes of contributions that nobody answers.
	pub default_verdict: DefaultVerdict,
	/// Blocks that curators have to answer a contribution.
	pub review_period: u32,
	/// Hash of the metadata document; zero without one.
	pub metadata: H256,
}

/// A datanet.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Datanet {
	/// Who sets the terms.
	pub owner: AccountId32,
	/// What it is called.
	#[serde(serialize_with = "text")]
	pub name: Vec<u8>,
	/// What data it collects.
	pub kind: DatanetKind,
	/// The licence of all its data.
	pub licence: Licence,
	/// The terms that can change.
	pub terms: DatanetTerms,
	/// Whether it takes new contributions.
	pub takes_contributions: bool,
	/// The block it was created in.
	pub created_at: u32,
}

/// For serde: bytes as the text that they are.
pub(crate) fn text<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
	serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

/// A datanet's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct DatanetCounters {
	/// Contributions ever made.
	pub contributions: u32,
	/// Contributions that wait for an answer.
	pub pending: u32,
	/// Published versions.
	pub versions: u32,
}

/// What a contributor committed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct ContributedData {
	/// Merkle root over the salted leaves of the records.
	pub root: H256,
	/// Number of records.
	pub records: u32,
	/// Bytes of canonical records.
	pub bytes: u64,
	/// Hash of the blob.
	pub content: H256,
	/// Commitment to the salts.
	pub salts: H256,
}

impl ContributedData {
	/// Whether content has exactly these commitments.
	pub fn agrees_with(&self, commitment: &ContributionCommitment) -> bool {
		let ContributionCommitment { root, salts, records, bytes } = *commitment;
		(self.root, self.salts, self.records, self.bytes) == (root, salts, records, bytes)
	}
}

/// Where a contribution stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum ContributionStatus {
	/// It waits for an answer.
	Pending {
		/// The first block in which it is too late.
		deadline: u32,
		/// What becomes of it then.
		default_verdict: DefaultVerdict,
	},
	/// It belongs to the datanet.
	Accepted {
		/// Its leaf in the datanet's range.
		leaf_index: u32,
	},
}

/// A contribution.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Contribution {
	/// Who made it.
	pub contributor: AccountId32,
	/// What it commits to.
	pub data: ContributedData,
	/// The block it was made in.
	pub contributed_at: u32,
	/// Where it stands.
	#[serde(flatten)]
	pub status: ContributionStatus,
}

/// A contribution's place: which datanet, and which in it.
#[derive(
	Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, DecodeAsType, EncodeAsType, Serialize,
)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub struct ContributionNumber {
	/// The datanet.
	pub datanet: u32,
	/// The index in it.
	pub index: u32,
}

/// A version of a datanet by its numbers.
#[derive(
	Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, DecodeAsType, EncodeAsType, Serialize,
)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub struct DatanetVersion {
	/// The datanet.
	pub datanet: u32,
	/// The version.
	pub version: u32,
}

/// What a published version commits to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct VersionCommitment {
	/// Root of the range over the accepted contributions.
	pub root: H256,
	/// Accepted contributions.
	pub contributions: u32,
	/// Records over all of them.
	pub records: u64,
	/// Bytes over all of them.
	pub bytes: u64,
}

/// A published version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct PublishedVersion {
	/// What it commits to.
	pub commitment: VersionCommitment,
	/// The block it was published in.
	pub published_at: u32,
}

/// What has to be held for what, in planks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct DepositQuote {
	/// By the owner, for a datanet.
	#[serde(serialize_with = "as_open::serialize")]
	pub datanet: u128,
	/// By the contributor, until the contribution is answered.
	#[serde(serialize_with = "as_open::serialize")]
	pub contribution: u128,
}

/// A datanet was created.
#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct DatanetCreated {
	datanet: u32,
}

/// A contribution was made.
#[derive(Clone, PartialEq, Eq, Debug, DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Contributed {
	/// Its index in the datanet.
	pub index: u32,
	/// The first block in which it is too late to answer.
	pub deadline: u32,
}

/// A version was published.
#[derive(Clone, Copy, PartialEq, Eq, Debug, DecodeAsType, Serialize)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct VersionPublished {
	/// The version.
	pub version: DatanetVersion,
	/// Root of the range.
	pub root: H256,
	/// Accepted contributions in it.
	pub contributions: u32,
	/// Records over all of them.
	pub records: u64,
	/// Bytes over all of them.
	pub bytes: u64,
}

impl Chain {
	/// A datanet.
	pub async fn datanet(&self, datanet: u32) -> Result<Option<Datanet>> {
		self.view("Datanets", "datanet", (datanet,)).await
	}

	/// A datanet's counters.
	pub async fn datanet_counters(&self, datanet: u32) -> Result<DatanetCounters> {
		self.view("Datanets", "counters", (datanet,)).await
	}

	/// A contribution that is pending or accepted.
	pub async fn contribution(&self, datanet: u32, index: u32) -> Result<Option<Contribution>> {
		self.view("Datanets", "contribution", (ContributionNumber { datanet, index },)).await
	}

	/// The contributions that wait for an answer, in order.
	pub async fn pending_contributions(&self, datanet: u32) -> Result<Vec<u32>> {
		let mut all = Vec::new();
		let mut after: Option<u32> = None;
		loop {
			let page: Vec<u32> =
				self.view("Datanets", "pending_contributions", (datanet, after, PAGE)).await?;
			after = page.last().copied();
			all.extend(page);
			if after.is_none() {
				break;
			}
		}
		all.sort_unstable();
		Ok(all)
	}

	/// A published version.
	pub async fn datanet_version(
		&self,
		version: DatanetVersion,
	) -> Result<Option<PublishedVersion>> {
		self.view("Datanets", "version", (version,)).await
	}

	/// The latest published version.
	pub async fn latest_version(&self, datanet: u32) -> Result<Option<DatanetVersion>> {
		self.view("Datanets", "latest_version", (datanet,)).await
	}

	/// What has to be held for a contribution of this size, and for a datanet.
	pub async fn deposit_quote(&self, records: u32, bytes: u64) -> Result<DepositQuote> {
		self.view("Datanets", "deposit_quote", (records, bytes)).await
	}

	/// Creates a datanet, and says its number.
	pub async fn create_datanet(
		&self,
		key: &Keypair,
		name: &str,
		kind: DatanetKind,
		licence: Licence,
		terms: DatanetTerms,
	) -> Result<u32> {
		let data = (name.as_bytes().to_vec(), kind, licence, terms);
		let receipt = self.submit(key, "Datanets", "create_datanet", data).await?;
		let created: DatanetCreated = receipt.event("Datanets", "DatanetCreated")?;
		Ok(created.datanet)
	}

	/// Commits to records. `content` is the hash of the blob that holds them with their salts.
	pub async fn contribute(
		&self,
		key: &Keypair,
		datanet: u32,
		commitment: &ContributionCommitment,
		content: H256,
	) -> Result<Contributed> {
		let ContributionCommitment { root, salts, records, bytes } = *commitment;
		let data = (datanet, root, records, bytes, content, salts);
		let receipt = self.submit(key, "Datanets", "contribute", data).await?;
		receipt.event("Datanets", "Contributed")
	}

	/// Accepts contributions: all of them, or none.
	pub async fn accept_contributions(
		&self,
		key: &Keypair,
		datanet: u32,
		indices: &[u32],
	) -> Result<Receipt> {
		if let [index] = indices {
			return self.submit(key, "Datanets", "accept_contribution", (datanet, *index)).await;
		}
		let number = |number: u32| Value::u128(number.into());
		let calls = indices
			.iter()
			.map(|index| ("accept_contribution", vec![number(datanet), number(*index)]));
		self.submit_all(key, "Datanets", calls.collect()).await
	}

	/// Rejects contributions: all of them, or none.
	pub async fn reject_contributions(
		&self,
		key: &Keypair,
		datanet: u32,
		indices: &[u32],
		reason: RejectReason,
	) -> Result<Receipt> {
		if let [index] = indices {
			let data = (datanet, *index, reason);
			return self.submit(key, "Datanets", "reject_contribution", data).await;
		}
		let number = |number: u32| Value::u128(number.into());
		let reason = || Value::unnamed_variant(reason.on_chain(), []);
		let calls = indices
			.iter()
			.map(|index| ("reject_contribution", vec![number(datanet), number(*index), reason()]));
		self.submit_all(key, "Datanets", calls.collect()).await
	}

	/// Publishes everything that is accepted as the next version.
	pub async fn publish_version(&self, key: &Keypair, datanet: u32) -> Result<VersionPublished> {
		let receipt = self.submit(key, "Datanets", "publish_version", (datanet,)).await?;
		receipt.event("Datanets", "VersionPublished")
	}
}
