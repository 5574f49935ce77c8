//! What the operator may do, on the loopback listener: load and unload adapters by hash, keep them in
//! memory, see how they are used. The paths have the names that vLLM gave them.

use super::{
	amounts::PricesInPlanks,
	catalogue::{CatalogueError, Entry, Hash},
	serving::Asked,
	Gateway,
};
use crate::{
	hexadecimal::show,
	http::{read_body, ApiError, BodyFault},
	time,
};
use axum::{
	body::Body,
	extract::State,
	http::StatusCode,
	routing::{get, post},
	Json, Router,
};
use openledger_engine::serving::Residency;
use openledger_primitives::ModelId;
use serde::{de::DeserializeOwned, Deserialize};
use serde_json::{json, Value};
use std::{sync::Arc, time::Duration};

/// Bytes of a body.
const MAX_BODY: usize = 64 * 1_024;
/// The longest time for one to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The operator's routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
	Router::new()
		.route("/v1/load_lora_adapter", post(load))
		.route("/v1/unload_lora_adapter", post(unload))
		.route("/v1/pin_lora_adapter", post(pin))
		.route("/v1/unpin_lora_adapter", post(unpin))
		.route("/v1/adapters", get(list))
		.with_state(gateway)
}

/// What is to be loaded. There is no path: an adapter comes from the store, by its hash.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
	/// What it will be called.
	lora_name: String,
	/// Content hash of the adapter; without one a name and prices are given to the base model.
	adapter: Option<Hash>,
	/// Hash of the base model's weights; needed when several are served.
	base: Option<Hash>,
	/// Its number on chain.
	model: Option<ModelId>,
	/// Its owner's account.
	owner: Option<String>,
	/// What it costs; nothing unless said.
	#[serde(default)]
	prices: PricesInPlanks,
	/// Root of the index over what it was trained on, to attribute its answers.
	span_index: Option<Hash>,
	/// Keep it in memory.
	#[serde(default)]
	pinned: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
	lora_name: String,
}

async fn load(State(gateway): State<Arc<Gateway>>, body: Body) -> Result<Json<Value>, ApiError> {
	let load: Load = json_in(body).await?;
	blocking(move || {
		let base = base_of(&gateway, load.base)?;
		let served = gateway.served_by(base.0).ok_or_else(|| unknown_base(base))?;
		if load.adapter.is_none() && load.span_index.is_some() {
			return Err(bad("a bare base model has no span index"));
		}
		if let Some(Hash(adapter)) = load.adapter {
			let found = gateway.context.models.check_adapter(served.base.hashes, adapter);
			found.map_err(|stopped| {
				ApiError::new(
					StatusCode::UNPROCESSABLE_ENTITY,
					stopped.to_string(),
					"PUT /v1/blobs/{hash} with an adapter that a worker trained on this base model",
				)
			})?;
		}
		let Load { lora_name, adapter, model, owner, prices, span_index, pinned, .. } = load;
		let is_anothers_name = |name: &str| {
			gateway.served.iter().any(|other| {
				other.base.name == name
					&& (adapter.is_some() || other.base.hashes.weights != base.0)
			})
		};
		if is_anothers_name(&lora_name) {
			return Err(bad("this is a base model's name"));
		}
		let entry = Entry {
			name: lora_name,
			base,
			adapter,
			model_id: model,
			owner,
			prices,
			span_index,
			pinned,
			created: time::now(),
		};
		gateway.context.catalogue.enter(entry.clone())?;
		if pinned {
			gateway.keep_pins();
		}
		tracing::info!(name = entry.name, adapter = ?adapter.map(|it| show(it.0)), "model loaded");
		let asked = gateway.asked(Arc::new(entry)).ok_or_else(|| unknown_base(base))?;
		Ok(Json(adapter_json(&gateway, &asked)))
	})
	.await
}

async fn unload(State(gateway): State<Arc<Gateway>>, body: Body) -> Result<StatusCode, ApiError> {
	let Named { lora_name } = json_in(body).await?;
	blocking(move || {
		let entry = gateway.context.catalogue.find(&lora_name).ok_or_else(unknown)?;
		if !gateway.context.catalogue.remove(&lora_name)? {
			return Err(unknown());
		}
		if let Some(asked) = gateway.asked(entry) {
			release(&gateway, &asked, true);
		}
		tracing::info!(name = lora_name, "model unloaded");
		Ok(StatusCode::NO_CONTENT)
	})
	.await
}

async fn pin(state: State<Arc<Gateway>>, body: Body) -> Result<Json<Value>, ApiError> {
	set_pinned(state, body, true).await
}

async fn unpin(state: State<Arc<Gateway>>, body: Body) -> Result<Json<Value>, ApiError> {
	set_pinned(state, body, false).await
}

async fn set_pinned(
	State(gateway): State<Arc<Gateway>>,
	body: Body,
	pinned: bool,
) -> Result<Json<Value>, ApiError> {
	let Named { lora_name } = json_in(body).await?;
	blocking(move || {
		let catalogue = &gateway.context.catalogue;
		let entry = catalogue.find(&lora_name).ok_or_else(unknown)?;
		let asked = gateway.asked(entry).ok_or_else(unknown)?;
		let Some(key) = asked.adapter_key() else {
			return Err(bad("a base model is always in memory"));
		};
		if pinned {
			asked.served.service.pin(key).map_err(|error| {
				ApiError::new(StatusCode::CONFLICT, error.to_string(), "unpin another")
			})?;
		}
		let entry = catalogue.pin(&asked.name, pinned)?.ok_or_else(unknown)?;
		let asked = gateway.asked(entry).ok_or_else(unknown)?;
		if pinned {
			gateway.keep_pins();
		} else {
			release(&gateway, &asked, false);
		}
		Ok(Json(adapter_json(&gateway, &asked)))
	})
	.await
}

async fn list(State(gateway): State<Arc<Gateway>>) -> Result<Json<Value>, ApiError> {
	blocking(move || {
		let models = gateway.models();
		let adapters = models.iter().filter(|model| model.adapter().is_some());
		let list: Vec<Value> = adapters.map(|model| adapter_json(&gateway, model)).collect();
		Ok(Json(json!(list)))
	})
	.await
}

/// Unpins a model's adapter and, if it is unloaded, takes it out of memory, unless another entry has
/// the same adapter.
fn release(gateway: &Gateway, model: &Asked, unload: bool) {
	let Some(key) = model.adapter_key() else { return };
	let entries = gateway.context.catalogue.entries();
	let others = entries.iter().filter(|entry| {
		entry.name != model.name
			&& entry.base.0 == model.served.base.hashes.weights
			&& entry.adapter.map(|hash| hash.0) == model.adapter()
	});
	let (others, pinned) = others.fold((0, false), |sum, it| (sum.0 + 1, sum.1 || it.pinned));
	if !pinned {
		model.served.service.unpin(key);
	}
	if unload && others == 0 {
		model.served.service.unload(key);
	}
}

fn adapter_json(gateway: &Gateway, model: &Asked) -> Value {
	let uses = gateway.metrics.lora(&model.name);
	let stored = model.adapter().map(|hash| gateway.context.store.size_of(hash));
	let bytes = stored.and_then(|size| size.ok().flatten());
	let status = model.adapter_key().and_then(|key| model.served.adapter(key));
	let tier = match status.map(|status| status.residency) {
		Some(Residency::Resident { .. }) => "memory",
		Some(Residency::Loading | Residency::Staged) => "loading",
		Some(Residency::Absent) | None if bytes.is_some() => "disk",
		Some(Residency::Absent) | None => "missing",
	};
	json!({
		"lora_name": model.name,
		"adapter": model.adapter().map(show),
		"base": show(model.served.base.hashes.weights),
		"model": model.entry.as_ref().and_then(|entry| entry.model_id),
		"owner": model.entry.as_ref().and_then(|entry| entry.owner.as_ref()),
		"prices": model.entry.as_ref().map(|entry| entry.prices).unwrap_or_default(),
		"span_index": model.span_index().map(show),
		"pinned": model.entry.as_ref().is_some_and(|entry| entry.pinned),
		"tier": tier,
		"bytes": bytes,
		"memory_bytes": status.and_then(|status| status.bytes),
		"hits": uses.hits,
		"references": uses.waiting + uses.running,
	})
}

fn base_of(gateway: &Gateway, named: Option<Hash>) -> Result<Hash, ApiError> {
	match (named, gateway.served.as_slice()) {
		(Some(base), _) => Ok(base),
		(None, [only]) => Ok(Hash(only.base.hashes.weights)),
		(None, _) => Err(bad("several base models are served: say which with `base`")),
	}
}

async fn json_in<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
	let bytes = read_body(body, MAX_BODY, PATIENCE).await.map_err(|fault| match fault {
		BodyFault::TooLarge => ApiError::too_large(MAX_BODY as u64),
		BodyFault::TooSlow => ApiError::too_slow(),
		BodyFault::BrokeOff => bad("the body broke off"),
	})?;
	serde_json::from_slice(&bytes)
		.map_err(|error| bad(&format!("the body cannot be read: {error}")))
}

async fn blocking<T: Send + 'static>(
	work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
	tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::broken())?
}

fn bad(why: &str) -> ApiError {
	ApiError::new(StatusCode::BAD_REQUEST, why, "docs/spec/gateway-api.md says what is expected")
}

fn unknown() -> ApiError {
	ApiError::new(
		StatusCode::NOT_FOUND,
		"there is no model of this name in the catalogue",
		"GET /v1/adapters lists them",
	)
}

fn unknown_base(base: Hash) -> ApiError {
	ApiError::new(
		StatusCode::UNPROCESSABLE_ENTITY,
		format!("no base model with weights {} is served here", show(base.0)),
		"start the worker with --base for it",
	)
}

impl From<CatalogueError> for ApiError {
	fn from(error: CatalogueError) -> Self {
		match error {
			CatalogueError::Disk(error) => error.into(),
			CatalogueError::Taken(_) => {
				Self::new(StatusCode::CONFLICT, error.to_string(), "POST /v1/unload_lora_adapter")
			},
			error => bad(&error.to_string()),
		}
	}
}
