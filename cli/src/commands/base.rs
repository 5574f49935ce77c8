//! Base models: registering and showing.

use std::fmt;

use serde::Serialize;

use super::{datanet::licence_line, missing, Session};
use crate::{
	arguments::RegisterBase,
	chain::models::{BaseModel, BaseModelDescription},
	error::{Error, Result},
	marking::one_line,
	output::{table, Plain, Report, Style},
	worker::ServedBase,
};

#[derive(Serialize)]
struct Registered {
	base: u32,
}

pub(super) async fn register(session: &Session, arguments: RegisterBase) -> Result<()> {
	let described = describe(session, &arguments).await?;
	let (chain, key) = session.signer().await?;
	if let Some(base) = chain.base_model_by_weights(described.weights).await? {
		return Err(Error::Refused {
			name: "Models.BaseModelAlreadyExists".into(),
			meaning: format!("these weights are registered as base model {base}"),
			hint: Some(format!("use it: --base {base}")),
		});
	}
	let step = session.output.step(format!("registering base model {:?}", described.name));
	let base = chain.register_base_model(&key, &described).await?;
	drop(step);
	let text = format!("base model {base}: {}, weights {:?}", described.name, described.weights);
	session.output.result(&Plain { value: Registered { base }, text })
}

/// What is registered: from the arguments, or from what the worker serves.
async fn describe(session: &Session, arguments: &RegisterBase) -> Result<BaseModelDescription> {
	let licence = arguments.licence.terms();
	let rename = arguments.name.clone();
	if let Some(wanted) = &arguments.from_worker {
		let served = session.worker()?.health().await?.base_models;
		let ServedBase { weights, tokenizer, architecture, name, parameters } =
			choose(served, wanted)?;
		let name = rename.unwrap_or(name);
		return Ok(BaseModelDescription {
			weights,
			tokenizer,
			architecture,
			name,
			parameters,
			licence,
		});
	}
	match (arguments.weights, arguments.tokenizer, &arguments.architecture, arguments.parameters) {
		(Some(weights), Some(tokenizer), Some(architecture), Some(parameters)) => {
			Ok(BaseModelDescription {
				weights,
				tokenizer,
				architecture: architecture.clone(),
				name: rename.unwrap_or_else(|| architecture.clone()),
				parameters,
				licence,
			})
		},
		_ => Err(Error::usage(
			"a base model needs --weights, --tokenizer, --architecture, --parameters and --name, or \
			 --from-worker",
		)),
	}
}

/// The base model of this name, or the only one.
fn choose(served: Vec<ServedBase>, wanted: &str) -> Result<ServedBase> {
	let names: Vec<&str> = served.iter().map(|base| base.name.as_str()).collect();
	let names = names.join(", ");
	let mut fitting = served.into_iter().filter(|base| wanted.is_empty() || base.name == wanted);
	match (fitting.next(), fitting.next()) {
		(Some(base), None) => Ok(base),
		(None, _) => Err(missing(format!("the worker does not serve {wanted:?}, but: {names}"))),
		(Some(_), Some(_)) => Err(Error::usage(format!(
			"the worker serves several base models; name one with --from-worker NAME: {names}"
		))),
	}
}

/// What there is to know about a base model.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct BaseReport {
	number: u32,
	#[serde(flatten)]
	base: BaseModel,
}

impl Report for BaseReport {
	fn human(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result {
		let base = &self.base;
		let text = |bytes: &[u8]| one_line(&String::from_utf8_lossy(bytes), 64);
		let title = format!("base model {}: {}", self.number, text(&base.name));
		writeln!(out, "{}", style.bold(&title))?;
		let mut rows = vec![
			("architecture", text(&base.architecture)),
			("parameters", base.parameters.to_string()),
			("weights", format!("{:?}", base.weights_hash)),
			("tokenizer", format!("{:?}", base.tokenizer_hash)),
			("licence", licence_line(&base.licence)),
			("registered by", base.registrar.to_string()),
		];
		if base.retired {
			rows.push(("retired", "it takes no new jobs".into()));
		}
		table(out, &rows)
	}
}

pub(super) async fn show(session: &Session, number: u32) -> Result<()> {
	let base = session.chain().await?.base_model(number).await?;
	let base = base.ok_or_else(|| missing(format!("there is no base model {number}")))?;
	session.output.result(&BaseReport { number, base })
}

#[cfg(test)]
mod tests {
	use super::*;
	use openledger_primitives::H256;

	fn served(name: &str) -> ServedBase {
		ServedBase {
			weights: H256::zero(),
			tokenizer: H256::zero(),
			architecture: "LlamaForCausalLM".into(),
			name: name.into(),
			parameters: 1,
		}
	}

	#[test]
	fn a_base_model_is_chosen_by_name_or_alone() {
		let both = || vec![served("tiny"), served("small")];
		assert_eq!(choose(vec![served("tiny")], "").unwrap().name, "tiny");
		assert_eq!(choose(both(), "small").unwrap().name, "small");
		assert!(choose(both(), "").unwrap_err().to_string().contains("tiny, small"));
		assert!(choose(both(), "large").unwrap_err().to_string().contains("tiny, small"));
	}
}
