//! What answers: a service for each base model, and the names by which models are asked for.

use super::{
	catalogue::{Entry, Hash},
	error::OpenAiError,
	json_mode::Grammars,
	Gateway,
};
use crate::{base_model::BaseModel, compute::Context, hexadecimal, models::ServedBase};
use openledger_engine::serving::{AdapterKey, AdapterStatus, Service, ServingModel};
use openledger_primitives::{receipt::Prices, H256};
use std::{fmt, sync::Arc};

/// A base model that is served.
pub struct Served {
	/// The base model.
	pub base: BaseModel,
	/// What answers with it.
	pub service: Service,
	/// What holds its answers to JSON.
	pub grammars: Grammars,
}

impl fmt::Debug for Served {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Served").field("base", &self.base).finish_non_exhaustive()
	}
}

impl Served {
	/// The model, for its tokenizer and its dimensions.
	pub fn model(&self) -> &ServingModel {
		self.service.model()
	}

	/// How an adapter stands in memory, if it is there or on its way.
	pub fn adapter(&self, key: AdapterKey) -> Option<AdapterStatus> {
		self.service.adapters().into_iter().find(|status| status.key == key)
	}
}

/// The base models that the worker serves, with what a gateway needs beside their services.
pub fn served(context: &Context) -> Vec<Arc<Served>> {
	let with_grammars = |served: &ServedBase| {
		Arc::new(Served {
			base: served.base.clone(),
			service: served.service.clone(),
			grammars: Grammars::default(),
		})
	};
	context.models.served().into_iter().map(with_grammars).collect()
}

/// A model that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
	/// Its name, as the list of models has it.
	pub name: String,
	/// Its base model.
	pub served: Arc<Served>,
	/// Its entry in the catalogue, unless it is a base model that has none.
	pub entry: Option<Arc<Entry>>,
}

impl Asked {
	/// Content hash of its adapter.
	pub fn adapter(&self) -> Option<H256> {
		self.entry.as_ref()?.adapter.map(|hash| hash.0)
	}

	/// Its adapter, as the engine knows it.
	pub fn adapter_key(&self) -> Option<AdapterKey> {
		self.adapter().map(|hash| AdapterKey(hash.0))
	}

	/// Root of the index over what its adapter was trained on.
	pub fn span_index(&self) -> Option<H256> {
		self.entry.as_ref()?.span_index.map(|hash| hash.0)
	}

	/// What it costs.
	pub fn prices(&self) -> Prices {
		self.entry.as_ref().map_or_else(Prices::default, |entry| entry.prices.into())
	}

	/// What computes, for clients that want to know when it changes.
	pub fn fingerprint(&self) -> String {
		let weights = format!("{:x}", self.served.base.hashes.weights);
		format!("ol_{}", weights.get(..12).unwrap_or_default())
	}
}

impl Gateway {
	/// The model of a name: an entry's, a number on chain, a base model's name or hash of weights,
	/// or `base:adapter` with any of these on the left and an entry's name or adapter's hash on the
	/// right.
	pub fn model(&self, name: &str) -> Result<Asked, OpenAiError> {
		let entry = self.context.catalogue.find(name);
		let known = entry
			.and_then(|entry| self.asked(entry))
			.or_else(|| self.bare(name))
			.or_else(|| name.split_once(':').and_then(|(base, adapter)| self.on(base, adapter)));
		known.ok_or_else(|| OpenAiError::unknown_model(name))
	}

	/// An entry, if its base model is served here.
	pub fn asked(&self, entry: Arc<Entry>) -> Option<Asked> {
		let served = self.served_by(entry.base.0)?;
		Some(Asked { name: entry.name.clone(), served: served.clone(), entry: Some(entry) })
	}

	/// The base model with these weights.
	pub fn served_by(&self, weights: H256) -> Option<&Arc<Served>> {
		self.served.iter().find(|served| served.base.hashes.weights == weights)
	}

	/// A base model without an adapter, with the prices that are entered under its name.
	fn bare(&self, name: &str) -> Option<Asked> {
		let named = |served: &&Arc<Served>| served.base.name == name;
		let served = self
			.served
			.iter()
			.find(named)
			.or_else(|| hexadecimal::parse(name).and_then(|weights| self.served_by(weights)))?;
		let name = served.base.name.clone();
		let entry =
			self.context.catalogue.find(&name).filter(|entry| {
				entry.base.0 == served.base.hashes.weights && entry.adapter.is_none()
			});
		Some(Asked { name, served: served.clone(), entry })
	}

	fn on(&self, base: &str, adapter: &str) -> Option<Asked> {
		let weights = self.bare(base)?.served.base.hashes.weights;
		let entry = self.context.catalogue.find(adapter).or_else(|| {
			let hash = hexadecimal::parse(adapter).map(Hash)?;
			let entries = self.context.catalogue.entries();
			entries.into_iter().find(|it| it.base.0 == weights && it.adapter == Some(hash))
		});
		self.asked(entry.filter(|entry| entry.base.0 == weights)?)
	}

	/// All models that may be asked for.
	pub fn models(&self) -> Vec<Asked> {
		let entries = self.context.catalogue.entries();
		let mut models: Vec<Asked> =
			entries.into_iter().filter_map(|entry| self.asked(entry)).collect();
		let bare = self.served.iter().filter_map(|served| self.bare(&served.base.name));
		let unnamed = bare.filter(|bare| models.iter().all(|model| model.name != bare.name));
		let mut all: Vec<Asked> = unnamed.collect();
		all.append(&mut models);
		all
	}
}
