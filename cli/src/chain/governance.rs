//! Governed parameters, as whoever has the sudo key of a development chain sets them.

use subxt::{dynamic::Value, ext::scale_decode::DecodeAsType};
use subxt_signer::sr25519::Keypair;

use crate::{
	chain::{Chain, Receipt},
	error::{Error, Result},
};

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Sudid {
	sudo_result: std::result::Result<(), Value>,
}

impl Chain {
	/// Sets a governed parameter, such as `ChallengePeriod` of `Models`, by sudo.
	pub async fn set_parameter(
		&self,
		key: &Keypair,
		pallet: &str,
		name: &str,
		value: u128,
	) -> Result<Receipt> {
		let some = Value::unnamed_variant("Some", [Value::u128(value)]);
		let parameter = Value::unnamed_variant(name, [Value::unnamed_composite([]), some]);
		let parameter = Value::unnamed_variant(pallet, [parameter]);
		let set = Value::unnamed_variant("set_parameter", [parameter]);
		let call = Value::unnamed_variant("Parameters", [set]);
		let receipt = self.submit(key, "Sudo", "sudo", vec![call]).await?;
		let Sudid { sudo_result } = receipt.event("Sudo", "Sudid")?;
		match sudo_result {
			Ok(()) => Ok(receipt),
			Err(reason) => Err(Error::Refused {
				name: "Sudo".into(),
				meaning: format!("the parameter cannot be set: {reason}"),
				hint: None,
			}),
		}
	}
}
