//! What the sudo key of a development chain may do.

use serde::Serialize;

use super::Session;
use crate::{error::Result, output::Plain};

#[derive(Serialize)]
struct ParameterSet {
	pallet: String,
	name: String,
	value: u128,
}

pub(super) async fn set_parameter(
	session: &Session,
	pallet: &str,
	name: &str,
	value: u128,
) -> Result<()> {
	let (chain, key) = session.signer().await?;
	let step = session.output.step(format!("setting {pallet}.{name} to {value}"));
	chain.set_parameter(&key, pallet, name, value).await?;
	drop(step);
	let text = format!("{pallet}.{name} is {value} from now on");
	let value = ParameterSet { pallet: pallet.into(), name: name.into(), value };
	session.output.result(&Plain { value, text })
}
