//! `/health` and `/metrics`: for whoever watches the worker.

use super::{error::ApiError, Api};
use crate::{base_model::BaseModel, hexadecimal::show};
use axum::{
	extract::State,
	http::{header, StatusCode},
	response::{IntoResponse, Response},
	Json,
};
use serde_json::{json, Value};

/// A base model as JSON, here and in `openledger-worker hash`.
pub fn base_json(base: &BaseModel) -> Value {
	json!({
		"weights": show(base.hashes.weights),
		"tokenizer": show(base.hashes.tokenizer),
		"architecture": base.architecture,
		"name": base.name,
		"parameters": base.parameters,
		"max_context": base.max_context,
	})
}

pub async fn health(State(api): State<Api>) -> Response {
	let served = api.context.models.served().into_iter();
	let bases: Vec<Value> = served.map(|served| base_json(&served.base)).collect();
	let counts = api.context.board.counts();
	let mut body = json!({
		"status": "ok",
		"version": env!("CARGO_PKG_VERSION"),
		"base_models": bases,
		"jobs": {
			"queued": counts.queued,
			"running": counts.running,
			"waiting_for_disk": counts.waiting_for_disk,
		},
	});
	if let Some(gateway) = &api.gateway {
		let Json(standing) = gateway.health();
		body["gateway"] = standing;
	}
	match api.trouble() {
		None => Json(body).into_response(),
		Some(trouble) => {
			body["status"] = json!("unavailable");
			body["error"] = json!(trouble);
			(StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
		},
	}
}

pub async fn metrics(State(api): State<Api>) -> Result<Response, ApiError> {
	let counts = api.context.board.counts();
	let metrics = &api.context.metrics;
	metrics.queued.set(i64::try_from(counts.queued).unwrap_or(i64::MAX));
	metrics.running.set(i64::try_from(counts.running).unwrap_or(i64::MAX));
	let render = || {
		let serving = api.gateway.as_ref().map(|gateway| gateway.render_metrics());
		Ok(metrics.render()? + &serving.transpose()?.unwrap_or_default())
	};
	let text = render().map_err(|error: prometheus::Error| {
		tracing::error!(%error, "metrics cannot be rendered");
		ApiError::broken()
	})?;
	Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
