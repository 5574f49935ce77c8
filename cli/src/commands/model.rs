//! Models: publishing and showing.

use std::fmt;

use openledger_primitives::H256;
use serde::Serialize;

use super::{datanet::licence_line, missing, Session};
use crate::{
	amount::Amount,
	chain::models::{Metrics, Model, ModelStatus, Prices},
	error::Result,
	marking::one_line,
	output::{from_micro, table, Plain, Report, Style},
};

#[derive(Serialize)]
struct Published {
	model: u32,
	prices: Prices,
}

pub(super) async fn publish(
	session: &Session,
	number: u32,
	input_price: Amount,
	output_price: Amount,
) -> Result<()> {
	let (chain, key) = session.signer().await?;
	let model = chain.model(number).await?;
	let model = model.ok_or_else(|| missing(format!("there is no model {number}")))?;
	let prices =
		Prices { input_per_1000: input_price.planks, output_per_1000: output_price.planks };
	let step = session.output.step(format!("publishing model {number}"));
	match model.status {
		ModelStatus::Published | ModelStatus::Paused => {
			chain.set_prices(&key, number, prices).await?;
		},
		ModelStatus::Draft | ModelStatus::Retired => {
			chain.publish_model(&key, number, prices).await?;
		},
	}
	drop(step);
	let text = format!(
		"model {number} costs {input_price} for 1,000 tokens of prompt and {output_price} for 1,000 tokens \
		 of answer\n  ask it with `openledger ask {number} \"…\"`"
	);
	session.output.result(&Plain { value: Published { model: number, prices }, text })
}

/// What there is to know about a model, with what it was made from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ModelReport {
	/// Its number.
	pub number: u32,
	/// What it is.
	#[serde(flatten)]
	pub model: Model,
	/// The base model's name.
	pub base_name: Option<String>,
	/// Hash of the base model's weights.
	pub weights_hash: Option<H256>,
	/// The versions it was trained on, with their roots.
	pub lineage: Vec<SourceReport>,
}

/// A version that a model was trained on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SourceReport {
	/// The datanet.
	pub datanet: u32,
	/// The version.
	pub version: u32,
	/// The datanet's name.
	pub name: Option<String>,
	/// The version's root.
	pub root: Option<H256>,
	/// Records in it.
	pub records: Option<u64>,
}

impl Report for ModelReport {
	fn human(&self, out: &mut dyn fmt::Write, style: Style) -> fmt::Result {
		let model = &self.model;
		writeln!(out, "{}", style.bold(&format!("model {}", self.number)))?;
		let price = |planks| Amount::from_planks(planks);
		let base_name = self.base_name.as_deref().unwrap_or("?");
		table(
			out,
			&[
				("status", model.status.to_string()),
				("owner", model.owner.to_string()),
				(
					"prices",
					format!(
						"{} for 1,000 tokens of prompt, {} for 1,000 of answer",
						price(model.prices.input_per_1000),
						price(model.prices.output_per_1000)
					),
				),
				("licence", licence_line(&model.licence)),
				("may earn", if model.commercial { "yes" } else { "no: its prices are 0" }.into()),
				("held-out loss", losses(&model.result.metrics)),
				(
					"trained",
					format!(
						"{} tokens in {} steps, job {}",
						model.result.metrics.trained_tokens, model.result.metrics.steps, model.job
					),
				),
				("base", format!("{} ({})", model.base, one_line(base_name, 64))),
				("adapter", format!("{:?}", model.result.adapter_hash)),
				("span index", format!("{:?}", model.result.span_index_root)),
				("specification", format!("{:?}", model.spec_hash)),
			],
		)?;
		for source in &self.lineage {
			let name = source
				.name
				.as_deref()
				.map_or(String::new(), |name| format!(" ({})", one_line(name, 64)));
			let root = source.root.map_or("?".into(), |root| format!("{root:?}"));
			writeln!(
				out,
				"  trained on datanet {}{name}, version {}: {} records, root {root}",
				source.datanet,
				source.version,
				source.records.unwrap_or_default()
			)?;
		}
		Ok(())
	}
}

/// The losses before and after training, in nats per token.
pub(super) fn losses(metrics: &Metrics) -> String {
	format!(
		"{} before, {} after (nats per token)",
		from_micro(metrics.heldout_loss_before_micro.into()),
		from_micro(metrics.heldout_loss_after_micro.into())
	)
}

pub(super) async fn show(session: &Session, number: u32) -> Result<()> {
	let chain = session.chain().await?;
	let model = chain.model(number).await?;
	let model = model.ok_or_else(|| missing(format!("there is no model {number}")))?;
	let base = chain.base_model(model.base).await?;
	let mut lineage = Vec::with_capacity(model.sources.len());
	for source in &model.sources {
		let datanet = chain.datanet(source.datanet).await?;
		let version = chain.datanet_version(*source).await?;
		lineage.push(SourceReport {
			datanet: source.datanet,
			version: source.version,
			name: datanet.map(|datanet| String::from_utf8_lossy(&datanet.name).into_owned()),
			root: version.map(|version| version.commitment.root),
			records: version.map(|version| version.commitment.records),
		});
	}
	session.output.result(&ModelReport {
		number,
		model,
		base_name: base.as_ref().map(|base| String::from_utf8_lossy(&base.name).into_owned()),
		weights_hash: base.map(|base| base.weights_hash),
		lineage,
	})
}
