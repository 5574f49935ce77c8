//! A settlement in the order in which a person asks about it.

use crate::types::*;
use alloc::{vec, vec::Vec};
use openledger_primitives::RequestId;

impl<AccountId, BlockNumber> Explanation<AccountId, BlockNumber> {
	/// Explains the settlement of `request`.
	pub fn of(request: RequestId, record: SettlementRecord<AccountId, BlockNumber>) -> Self {
		Self {
			request,
			model: record.model,
			payer: record.payer,
			host: record.host,
			model_owner: record.model_owner,
			fee: record.fee,
			split: record.split,
			unattributed: record.unattributed,
			datanets: by_datanet(record.lines),
			evidence_root: record.evidence_root,
			answer_hash: record.answer_hash,
			at: record.at,
		}
	}
}

/// Groups lines by datanet. They are sorted by contribution, so those of one datanet stand together.
fn by_datanet<AccountId>(
	lines: impl IntoIterator<Item = SettlementLine<AccountId>>,
) -> Vec<DatanetPart<AccountId>> {
	let mut parts: Vec<DatanetPart<AccountId>> = Vec::new();
	for line in lines {
		match parts.last_mut() {
			Some(part) if part.datanet == line.contribution.datanet => {
				// The lines of a settlement sum to no more than its fee.
				part.amount = part.amount.saturating_add(line.amount);
				part.contributions.push(line);
			},
			_ => parts.push(DatanetPart {
				datanet: line.contribution.datanet,
				amount: line.amount,
				contributions: vec![line],
			}),
		}
	}
	parts
}
