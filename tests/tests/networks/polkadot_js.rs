//! polkadot.js, as wallets and explorers use it: nothing in it was written for this chain.

use std::{path::Path, process::Stdio, time::Duration};

use openledger_tests::Network;
use tokio::{process::Command, time::timeout};

/// For a dozen of blocks and for reading the metadata.
const LIMIT: Duration = Duration::from_secs(150);

#[tokio::test]
async fn polkadot_js_should_understand_the_chain() {
	let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("polkadot-js");
	assert!(
		directory.join("node_modules/@polkadot/api").is_dir(),
		"@polkadot/api is not installed: run `scripts/test`, or `npm ci` in tests/polkadot-js",
	);
	let network = Network::dev().await;
	let check = Command::new("node")
		.arg("check.mjs")
		.arg(network.node("alice").client().url())
		.current_dir(&directory)
		.stdin(Stdio::null())
		.kill_on_drop(true)
		.output();
	let output = timeout(LIMIT, check)
		.await
		.unwrap_or_else(|_| panic!("check.mjs did not end within {LIMIT:?}"))
		.unwrap_or_else(|error| panic!("Node.js cannot be started as `node`: {error}"));
	println!("{}", String::from_utf8_lossy(&output.stdout));
	eprintln!("{}", String::from_utf8_lossy(&output.stderr));
	assert!(output.status.success(), "check.mjs ended with {}", output.status);
}
