use super::*;
use clap::{error::ErrorKind, CommandFactory};

const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
	Arguments::try_parse_from([&["openledger"], arguments].concat())
}

#[test]
fn the_definition_is_sound() {
	Arguments::command().debug_assert();
}

#[test]
fn a_key_cannot_be_an_argument() {
	for option in ["--key", "--secret", "--seed", "--suri", "--phrase", "--mnemonic"] {
		for arguments in [vec!["rewards", option, PHRASE], vec![option, PHRASE, "rewards"]] {
			let error = parse(&arguments).unwrap_err();
			assert_eq!(error.kind(), ErrorKind::UnknownArgument, "{arguments:?}");
		}
	}
	// Nor may any option that there is take one from the environment, where help would show it.
	let mut command = Arguments::command();
	command.build();
	let from_environment: Vec<_> =
		command.get_arguments().filter_map(|argument| argument.get_env()).collect();
	assert_eq!(from_environment, ["OPENLEDGER_NODE", "OPENLEDGER_WORKER", "OPENLEDGER_AS_OF"]);
}

#[test]
fn global_options_stand_anywhere() {
	let arguments =
		parse(&["account", "balance", "--dev", "Bob", "--format", "json", "--node", "ws://x"]);
	let global = arguments.unwrap().global;
	assert_eq!(global.dev, Some(DevelopmentKey::Bob));
	assert_eq!((global.format, global.node.as_str()), (Format::Json, "ws://x"));
}

#[test]
fn only_final_blocks_count_unless_the_best_are_asked_for() {
	let blocks = |arguments: &[&str]| parse(arguments).unwrap().global.as_of;
	assert_eq!(blocks(&["rewards"]), Blocks::Final);
	assert_eq!(blocks(&["rewards", "--as-of", "best"]), Blocks::Best);
}

#[test]
fn sources_name_a_version_or_mean_the_latest() {
	assert_eq!(parse_source("3"), Ok(Source { datanet: 3, version: None }));
	assert_eq!(parse_source("3@1"), Ok(Source { datanet: 3, version: Some(1) }));
	for text in ["", "@1", "3@", "a", "3@x", "-1"] {
		assert!(parse_source(text).is_err(), "{text}");
	}
}

#[test]
fn accounts_are_read_in_their_three_forms() {
	let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
	let account = parse_account(alice).unwrap();
	assert_eq!(parse_account(&format!("0x{}", hex::encode(account.0))), Ok(account));
	let ethereum = parse_account(&format!("0x{}", "ab".repeat(20))).unwrap();
	assert_eq!(ethereum.0[..20], [0xAB; 20]);
	assert_eq!(ethereum.0[20..], [0xEE; 12]);
	for text in ["", "alice", "0x", "0x12", &alice[1..]] {
		assert!(parse_account(text).is_err(), "{text}");
	}
}

#[test]
fn licences_are_open_unless_something_is_named() {
	let licence = |arguments: &[&str]| {
		let arguments = [&["datanet", "create", "x"], arguments].concat();
		match parse(&arguments).unwrap().command {
			Command::Datanet(DatanetCommand::Create(create)) => create.licence.terms(),
			other => panic!("{other:?}"),
		}
	};
	assert_eq!(licence(&[]), LicenceTerms::OPEN.into());
	let strict = licence(&["--non-commercial", "--share-alike", "--purposes", "training,serving"]);
	assert_eq!((strict.commercial, strict.share_alike, strict.purposes), (false, true, 0b1001));
}

#[test]
fn a_base_model_comes_from_the_worker_or_with_all_its_hashes() {
	assert!(parse(&["base", "register"]).is_err());
	assert!(parse(&["base", "register", "--weights", &"00".repeat(32)]).is_err());
	assert!(parse(&["base", "register", "--from-worker"]).is_ok());
	assert!(parse(&["base", "register", "--from-worker", "tiny", "--name", "Tiny"]).is_ok());
}

#[test]
fn rejecting_needs_a_reason() {
	assert!(parse(&["datanet", "review", "0", "--reject", "1"]).is_err());
	assert!(parse(&["datanet", "review", "0", "--reject", "1", "--reason", "spam"]).is_ok());
	assert!(parse(&["datanet", "review", "0", "--accept", "1", "--reject", "2"]).is_err());
}
