//! What to do when the chain refuses.

use crate::error::Error;

/// A pallet's error, with what its documentation says.
pub fn of_pallet(pallet: &str, error: &str, docs: &str) -> Error {
	let meaning = if docs.is_empty() { "it does not say more" } else { docs };
	Error::Refused {
		name: format!("{pallet}.{error}"),
		meaning: meaning.trim_end_matches('.').into(),
		hint: advice(pallet, error).map(str::to_owned),
	}
}

/// An error of the runtime itself: balances, origins, arithmetic.
pub fn of_runtime(said: &str) -> Error {
	let lacks_funds = ["Funds", "funds", "balance"].iter().any(|word| said.contains(word));
	Error::Refused {
		name: "Runtime".into(),
		meaning: said.trim_end_matches('.').into(),
		hint: lacks_funds.then(|| NO_FUNDS.into()),
	}
}

/// A transaction that did not get into a block.
pub fn invalid(said: &str) -> Error {
	let hint = if said.contains("Inability to pay") || said.contains("Payment") {
		Some(NO_FUNDS)
	} else if said.contains("outdated") || said.contains("Stale") || said.contains("1014") {
		Some("another transaction of this account came first: look what it did, then try again")
	} else if said.contains("bad signature") || said.contains("BadProof") {
		Some("the node runs another release or another chain than it did a moment ago: try again")
	} else {
		None
	};
	Error::Refused {
		name: "InvalidTransaction".into(),
		meaning: said.trim().trim_end_matches('.').into(),
		hint: hint.map(str::to_owned),
	}
}

const NO_FUNDS: &str =
	"see what the account has with `openledger account balance`; deposits and fees are held beside it";

fn advice(pallet: &str, error: &str) -> Option<&'static str> {
	Some(match (pallet, error) {
		("Datanets", "UnknownDatanet") => "numbers of datanets are shown when they are created",
		("Datanets", "NotOwner" | "NotCurator") => {
			"sign with the owner's key, or ask the owner for the role"
		},
		("Datanets", "MayNotContribute") => {
			"ask the datanet's owner to grant you the role Contributor"
		},
		("Datanets", "MayNotTrain") => {
			"see `openledger datanet show`: access is bought, asked for, or granted by the owner"
		},
		("Datanets", "DuplicateRoot") => "this very contribution is there already",
		("Datanets", "TooManyRecords" | "TooManyBytes") => {
			"split the files into several contributions"
		},
		("Datanets", "AccountLimitReached" | "DatanetLimitReached") => "try again tomorrow",
		("Datanets", "ReviewPeriodOver") => "nothing: the datanet's default verdict decides",
		("Datanets", "NothingToPublish") => {
			"accept a contribution first: `openledger datanet review`"
		},
		("Datanets", "ContributionsClosed") => "ask the owner to reopen the datanet",
		("Datanets", "ReviewPeriodOutOfBounds") => {
			"choose --review-blocks between 20 (a minute) and 60 days"
		},
		("Models", "BudgetTooSmall") => "raise --budget to at least 1 OPEN",
		("Models", "TrainingPeriodOutOfRange") => "choose --blocks between 200 and 86400",
		("Models", "BaseModelAlreadyExists") => {
			"these weights are registered: `openledger base show` tells under which number"
		},
		("Models", "SourceNotPublished") => "publish a version first: `openledger datanet publish`",
		("Models", "TooEarly") => "wait for the end of the challenge period",
		("Models", "ModelNotCommercial") => {
			"publish at prices of 0, or train again with --commercial on data that allows it"
		},
		("Models", "WrongStatus") => "see the model's status with `openledger model show`",
		("Workers", "NoWorker") => "somebody has to register a worker for this base model",
		("Workers", "NoFreeWorker") => "all workers are busy: try again in a moment",
		("Workers", "BondBelowMinimum") => "raise --bond to at least 1000 OPEN",
		("Workers", "OperatorIsStash") => "the operator key must be another one than the stash's",
		("Workers", "OperatorInUse") => "take a new operator key: it signs for one worker only",
		("Workers", "OperatorNotProposed") => "register the worker with this operator first",
		("Inference", "FeeExceedsMaximum") => "raise --max-fee, or ask for fewer tokens",
		("Inference", "FeeNotSpendable") => NO_FUNDS,
		("Inference", "ModelNotServed") => "the model's owner has to publish it",
		("Inference", "TooManyOpenRequests") => "wait until some of your requests are answered",
		("Attribution", "NothingToClaim") => "nothing: there are no rewards for this account",
		("Attribution", "BelowExistentialDeposit") => {
			"wait for more rewards, or send the account some OPEN first"
		},
		("Balances", _) => NO_FUNDS,
		_ => return None,
	})
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::error::ExitCode;

	#[test]
	fn a_pallets_error_is_named_with_what_to_do() {
		let error = of_pallet("Datanets", "NothingToPublish", "Nothing was accepted since.");
		assert_eq!(error.exit_code(), ExitCode::Refused);
		assert_eq!(
			error.to_string(),
			"the chain refused: Datanets.NothingToPublish: Nothing was accepted since"
		);
		assert!(error.hint().unwrap().contains("datanet review"));
	}

	#[test]
	fn lacking_funds_are_recognised() {
		for error in [
			invalid(
				"Invalid Transaction \"Inability to pay some fees (e.g. account balance too low)\"",
			),
			of_runtime("Token error: Funds are unavailable."),
		] {
			assert!(error.hint().unwrap().contains("account balance"), "{error}");
		}
	}
}
