//! What a person reads about a payment.

use super::*;
use crate::types::*;
use frame_support::assert_ok;
use openledger_primitives::{traits::Settlement, DatanetId};

#[test]
fn explain_should_group_amounts_by_datanet_when_several_are_named() {
	ExtBuilder::default().build_and_execute(|| {
		run_to(4);
		assert_ok!(Attribution::settle(answer(9, 2_000), &three_shares(9)));

		let explanation = Attribution::explain(RequestId(9)).unwrap();
		assert_eq!(explanation.request, RequestId(9));
		assert_eq!(explanation.model, MODEL);
		assert_eq!(
			(explanation.payer, explanation.host, explanation.model_owner),
			(PAYER, HOST, MODEL_OWNER)
		);
		assert_eq!(explanation.fee, 2_000);
		assert_eq!(explanation.split.contributors, 1_000);
		assert!(!explanation.unattributed);
		assert_eq!(explanation.evidence_root, three_shares(9).evidence_root);
		assert_eq!(explanation.answer_hash, H256::repeat_byte(1));
		assert_eq!(explanation.at, 4);
		let line = |contribution, owner, parts, amount| SettlementLine {
			contribution,
			owner,
			parts,
			amount,
		};
		assert_eq!(
			explanation.datanets,
			vec![
				DatanetPart {
					datanet: DatanetId(1),
					amount: 900,
					contributions: vec![
						line(ALICES, ALICE, 600_000, 600),
						line(BOBS, BOB, 300_000, 300),
					],
				},
				DatanetPart {
					datanet: DatanetId(2),
					amount: 100,
					contributions: vec![line(CAROLS, CAROL, 100_000, 100)],
				},
			]
		);
	});
}

#[test]
fn explain_should_say_unattributed_when_nobody_is_named() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Attribution::settle(answer(9, 2_000), &claim(9, &[])));
		let explanation = Attribution::explain(RequestId(9)).unwrap();
		assert!(explanation.unattributed);
		assert!(explanation.datanets.is_empty());
	});
}

#[test]
fn explain_should_say_nothing_when_the_request_is_unknown() {
	ExtBuilder::default()
		.build_and_execute(|| assert_eq!(Attribution::explain(RequestId(9)), None));
}
