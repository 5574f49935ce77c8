//! The frozen layout of everything that is stored on the chain or sent to it: SCALE bytes of a
//! sample, the greatest length, and the type as the metadata describe it. A difference here is a
//! change of format: it needs a storage migration and new versions of the tools that read it.

use crate::vectors::check;
use codec::{DecodeAll, Encode, MaxEncodedLen};
use openledger_primitives::{
	claim::{AttributionClaim, ContributionShare},
	content::Content,
	jobs::{FailureReason, JobKind, JobOutcome},
	licence::{LicenceConflict, LicenceTerms, Purposes, Use},
	merkle::{MultiProof, Proof, Tree},
	mmr::{MountainRange, RangeBuilder, RangeProof, RecordProof},
	receipt::{ExecutionMode, InferenceReceipt, Prices},
	shares::FeeSplit,
	span::MatchedSpan,
	training::{Metrics, TrainingResult},
	traits::{AcceptedContribution, Assignment, ServedModel, TrainingSources, VersionCommitment},
	BaseModelId, BoundedVec, ContributionId, DatanetId, DatanetVersion, ModelId, RequestId,
	TrainingJobId, H256,
};
use scale_info::{
	form::PortableForm, Field, MetaType, PortableRegistry, Registry, TypeDef, TypeInfo,
};
use serde_json::{json, Value};
use std::fmt::Debug;

type Account = [u8; 32];

/// Freezes a type by samples of it, which must also survive a round trip.
fn freeze<T>(name: &str, samples: &[T]) -> (String, Value)
where
	T: Encode + DecodeAll + MaxEncodedLen + TypeInfo + PartialEq + Debug + 'static,
{
	let bytes: Vec<String> = samples
		.iter()
		.map(|sample| {
			let bytes = sample.encode();
			assert_eq!(T::decode_all(&mut &bytes[..]).as_ref(), Ok(sample));
			assert!(bytes.len() <= T::max_encoded_len());
			hex::encode(bytes)
		})
		.collect();
	let mut registry = Registry::new();
	let id = registry.register_type(&MetaType::new::<T>()).id;
	let registry = PortableRegistry::from(registry);
	let layout = describe(&registry, id);
	(name.into(), json!({ "samples": bytes, "max_bytes": T::max_encoded_len(), "layout": layout }))
}

/// A type with everything in it, in one line.
fn describe(types: &PortableRegistry, id: u32) -> String {
	let ty = types.resolve(id).unwrap();
	let name = ty.path.segments.last().cloned().unwrap_or_default();
	let body = match &ty.type_def {
		TypeDef::Composite(composite) => fields(types, &composite.fields),
		TypeDef::Variant(variants) => {
			let variants: Vec<String> = variants
				.variants
				.iter()
				.map(|v| format!("{} = {}{}", v.name, v.index, fields(types, &v.fields)))
				.collect();
			format!("[{}]", variants.join(" | "))
		},
		TypeDef::Sequence(sequence) => format!("Vec<{}>", describe(types, sequence.type_param.id)),
		TypeDef::Array(array) => {
			format!("[{}; {}]", describe(types, array.type_param.id), array.len)
		},
		TypeDef::Primitive(primitive) => format!("{primitive:?}").to_lowercase(),
		other => panic!("nothing of ours has the form {other:?}"),
	};
	format!("{name}{body}")
}

fn fields(types: &PortableRegistry, fields: &[Field<PortableForm>]) -> String {
	if fields.is_empty() {
		return String::new();
	}
	let fields: Vec<String> = fields
		.iter()
		.map(|field| match &field.name {
			Some(name) => format!("{name}: {}", describe(types, field.ty.id)),
			None => describe(types, field.ty.id),
		})
		.collect();
	format!("({})", fields.join(", "))
}

#[test]
fn layouts_should_be_frozen() {
	let contribution = ContributionId { datanet: DatanetId(1), index: 2 };
	let version = DatanetVersion { datanet: DatanetId(3), version: 4 };
	let prices = Prices { input_per_1000: 5, output_per_1000: u128::MAX };
	let terms = LicenceTerms {
		commercial: true,
		derivatives: false,
		share_alike: true,
		revenue_share: 250,
		expires_at: Some(1_800_000_000),
		purposes: Purposes::ALL,
	};
	let share = ContributionShare { contribution, parts: 1_000_000 };
	let leaves = crate::leaves(5);
	let tree = Tree::new(&leaves).unwrap();
	let span = MatchedSpan {
		contribution,
		leaf: leaves[1],
		proof: tree.prove(1).unwrap(),
		answer_start: 1,
		record_start: 2,
		words: 3,
		gain_micro: 4,
	};
	let builder = RangeBuilder::from_leaves(leaves.clone()).unwrap();
	let mut range = MountainRange::default();
	for leaf in leaves {
		range.push(leaf).unwrap();
	}
	let frozen = [
		freeze("DatanetId", &[DatanetId(0x0102_0304)]),
		freeze("BaseModelId", &[BaseModelId(0x0102_0304)]),
		freeze("ModelId", &[ModelId(0x0102_0304)]),
		freeze("TrainingJobId", &[TrainingJobId(0x0102_0304_0506_0708)]),
		freeze("RequestId", &[RequestId(0x0102_0304_0506_0708)]),
		freeze("ContributionId", &[contribution]),
		freeze("DatanetVersion", &[version]),
		freeze("JobKind", &[JobKind::Inference, JobKind::Training, JobKind::Attribution]),
		freeze(
			"JobOutcome",
			&[
				JobOutcome::Delivered,
				JobOutcome::Released,
				JobOutcome::TimedOut,
				JobOutcome::Faulty,
			],
		),
		freeze(
			"Purposes",
			&[
				Purposes::TRAINING,
				Purposes::EVALUATION,
				Purposes::RETRIEVAL,
				Purposes::SERVING,
				Purposes::ALL,
			],
		),
		freeze("LicenceTerms", &[LicenceTerms::OPEN, terms]),
		freeze(
			"Use",
			&[Use {
				purposes: Purposes::TRAINING,
				commercial: true,
				derivative: Some(terms),
				until: None,
			}],
		),
		freeze(
			"LicenceConflict",
			&[
				LicenceConflict::PurposeNotAllowed,
				LicenceConflict::CommercialUseForbidden,
				LicenceConflict::DerivativesForbidden,
				LicenceConflict::ShareAlikeNotKept,
				LicenceConflict::Expires,
				LicenceConflict::RevenueSharesExceedWhole,
			],
		),
		freeze("Prices", &[prices]),
		freeze(
			"ExecutionMode",
			&[ExecutionMode::Fast, ExecutionMode::Deterministic, ExecutionMode::DeterministicBf16],
		),
		freeze(
			"InferenceReceipt",
			&[InferenceReceipt {
				request: RequestId(1),
				model: ModelId(2),
				prompt_hash: H256::repeat_byte(3),
				answer_hash: H256::repeat_byte(4),
				input_tokens: 5,
				output_tokens: 6,
				mode: ExecutionMode::Deterministic,
			}],
		),
		freeze("ContributionShare", &[share]),
		freeze(
			"AttributionClaim",
			&[AttributionClaim {
				request: RequestId(1),
				model: ModelId(2),
				answer_hash: H256::repeat_byte(3),
				evidence_root: H256::repeat_byte(4),
				spans: BoundedVec::try_from(vec![span.clone()]).unwrap(),
				shares: BoundedVec::try_from(vec![share]).unwrap(),
			}],
		),
		freeze("MatchedSpan", &[span]),
		freeze(
			"Content",
			&[
				Content::Hash(H256::repeat_byte(5)),
				Content::Bytes(BoundedVec::try_from(b"yes".to_vec()).unwrap()),
			],
		),
		freeze(
			"TrainingResult",
			&[TrainingResult {
				adapter_hash: H256::repeat_byte(1),
				span_index_root: H256::repeat_byte(2),
				influence_root: H256::repeat_byte(3),
				metrics: Metrics {
					heldout_loss_before_micro: 4,
					heldout_loss_after_micro: 5,
					trained_tokens: 6,
					steps: 7,
				},
			}],
		),
		freeze(
			"FailureReason",
			&[
				FailureReason::ModelUnavailable,
				FailureReason::PromptUnavailable,
				FailureReason::PromptTooLong,
				FailureReason::EngineFault,
				FailureReason::DataUnavailable,
				FailureReason::SpecificationUnusable,
			],
		),
		freeze("FeeSplit", &[FeeSplit::GENESIS]),
		freeze("FeeParts", &[FeeSplit::GENESIS.divide(1_000_003).unwrap()]),
		freeze::<Proof>("Proof", &[tree.prove(1).unwrap(), tree.prove(4).unwrap()]),
		freeze::<MultiProof>("MultiProof", &[tree.prove_many(&[0, 3, 4]).unwrap()]),
		freeze("MountainRange", &[MountainRange::default(), range]),
		freeze::<RangeProof>("RangeProof", &[builder.prove(2, 5).unwrap()]),
		freeze(
			"RecordProof",
			&[RecordProof {
				contribution: 7,
				record: tree.prove(4).unwrap(),
				range: builder.prove(4, 5).unwrap(),
			}],
		),
		freeze::<TrainingSources>(
			"TrainingSources",
			&[BoundedVec::try_from(vec![version, version]).unwrap()],
		),
		freeze(
			"VersionCommitment",
			&[VersionCommitment {
				root: H256::repeat_byte(1),
				contributions: 2,
				records: 3,
				bytes: 4,
			}],
		),
		freeze(
			"AcceptedContribution",
			&[AcceptedContribution::<Account> {
				contributor: [1; 32],
				leaf_index: 2,
				root: H256::repeat_byte(3),
				records: 4,
				content: H256::repeat_byte(5),
				contributed_at: 6,
			}],
		),
		freeze("Assignment", &[Assignment::<Account> { worker: [1; 32], operator: [2; 32] }]),
		freeze(
			"ServedModel",
			&[ServedModel::<Account> { base: BaseModelId(1), owner: [2; 32], prices }],
		),
	];
	check("layouts", Value::Object(frozen.into_iter().collect()));
}
