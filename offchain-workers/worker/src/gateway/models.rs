//! `GET /v1/models`, `GET /health`, and `POST /v1/embeddings`, which no model here has.

use super::{callers::Caller, error::OpenAiError, fields::Fields, serving::Asked, Gateway};
use crate::hexadecimal::show;
use axum::{
	body::Body,
	extract::{rejection::PathRejection, Extension, Path, State},
	http::StatusCode,
	response::{IntoResponse, Response},
	Json,
};
use serde_json::{json, Value};
use std::sync::Arc;

pub async fn list(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
	let models = gateway.models();
	let data: Vec<Value> = models.iter().map(|model| model_json(&gateway, model)).collect();
	Json(json!({"object": "list", "data": data}))
}

pub async fn show_one(
	State(gateway): State<Arc<Gateway>>,
	name: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, OpenAiError> {
	let Path(name) = name
		.map_err(|_| OpenAiError::field("model", "The model's name in the path is not UTF-8."))?;
	Ok(Json(model_json(&gateway, &gateway.model(&name)?)))
}

/// A model, with vLLM's fields and our own beside OpenAI's.
fn model_json(gateway: &Gateway, model: &Asked) -> Value {
	let Asked { name, served, entry } = model;
	let base = &served.base;
	let owner = entry.as_ref().and_then(|entry| entry.owner.clone());
	let prices = entry.as_ref().map(|entry| entry.prices).unwrap_or_default();
	json!({
		"id": name,
		"object": "model",
		"created": entry.as_ref().map_or(gateway.started, |entry| entry.created),
		"owned_by": owner.unwrap_or_else(|| "openledger".into()),
		"root": base.name,
		"parent": model.adapter().map(|_| &base.name),
		"max_model_len": base.max_context,
		"openledger": {
			"base": show(base.hashes.weights),
			"adapter": model.adapter().map(show),
			"model": entry.as_ref().and_then(|entry| entry.model_id),
			"owner": entry.as_ref().and_then(|entry| entry.owner.as_ref()),
			"prices": prices,
			"span_index": model.span_index().map(show),
		},
	})
}

/// Mean hidden states of a chat model are vectors, but no embeddings: they were not trained to be
/// compared. So there is nothing honest to answer.
pub async fn no_embeddings(
	State(gateway): State<Arc<Gateway>>,
	Extension(caller): Extension<Caller>,
	body: Body,
) -> Result<Response, OpenAiError> {
	let model = caller.read(body, |bytes| Fields::parse(&bytes)?.required_text("model")).await?;
	let model = gateway.model(&model)?;
	let message = format!("The model `{}` has no embeddings: it writes text.", model.name);
	Err(OpenAiError::field("model", message).with_code("model_has_no_embeddings"))
}

pub async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
	let status =
		if gateway.is_draining() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
	(status, gateway.health()).into_response()
}
