//! `/v1/evidence`: why somebody was paid.

use super::{error::ApiError, hash_in, Api};
use crate::evidence::Evidence;
use axum::{
	extract::{rejection::QueryRejection, Path, Query, State},
	http::StatusCode,
	Json,
};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Of {
	answer: Option<String>,
}

pub async fn show(
	State(api): State<Api>,
	Path(root): Path<String>,
	query: Result<Query<Of>, QueryRejection>,
) -> Result<Json<Evidence>, ApiError> {
	let root = hash_in(&root)?;
	let Query(Of { answer }) = query.map_err(|rejection| {
		ApiError::new(
			StatusCode::BAD_REQUEST,
			rejection.body_text(),
			"write ?answer=HASH, or leave it out",
		)
	})?;
	let answer = answer.as_deref().map(hash_in).transpose()?;
	let _permit = api.evidence.acquire().await.map_err(|_| ApiError::broken())?;
	let found =
		api.blocking(move |context| context.evidence.find(root, answer, &context.store)).await??;
	found.map(Json).ok_or_else(|| {
		ApiError::new(
			StatusCode::NOT_FOUND,
			"this worker has no evidence of this root",
			"ask the worker that gave the answer, within 90 days",
		)
	})
}
