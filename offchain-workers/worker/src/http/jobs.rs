//! `/v1/jobs`: orders in, reports out.

use super::{
	body::{self, BodyFault},
	error::ApiError,
	hash_in,
	report::{job_json, report_json},
	Api,
};
use crate::{board::Posted, hexadecimal::show as show_hash, job::Job};
use axum::{
	body::{Body, Bytes},
	extract::{rejection::QueryRejection, Path, Query, State},
	http::{header, HeaderMap, StatusCode},
	response::{IntoResponse, Response},
	Json,
};
use codec::{DecodeAll, Encode};
use openledger_primitives::worker_api::{Order, Report, Work, MAX_ORDER_BYTES};
use serde::Deserialize;
use serde_json::{json, Value};
use std::time::Duration;

/// The media type of SCALE.
const SCALE: &str = "application/x-scale";
/// The longest time for an order's body to come.
const ORDER_TIMEOUT: Duration = Duration::from_secs(60);
/// When to come back to a full queue, in seconds: about one answer later.
const QUEUE_RETRY_SECONDS: u16 = 10;
/// Jobs in one list.
const MAX_LISTED: usize = 1_000;

pub async fn post(
	State(api): State<Api>,
	headers: HeaderMap,
	body: Body,
) -> Result<Response, ApiError> {
	if let Some(trouble) = api.trouble() {
		let hint = "try again when GET /health says ok";
		return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, trouble, hint));
	}
	let order = {
		let _permit = api.orders.acquire().await.map_err(|_| ApiError::broken())?;
		let bytes = read_order(body).await?;
		Order::decode_all(&mut &*bytes).map_err(|error| {
			ApiError::new(
				StatusCode::BAD_REQUEST,
				format!("the order cannot be read: {error}"),
				"orders are SCALE of openledger_primitives::worker_api::Order; node and worker \
				 have to be of versions that fit",
			)
		})?
	};
	let id = order.id;
	let (posted, job, report) = api
		.blocking(move |context| {
			let posted = context.board.post(&order)?;
			if let Work::Inference(order) = &order.work {
				if let Err(error) = context.catalogue.learn(order) {
					tracing::warn!(%error, "the gateway does not know the model of a job");
				}
			}
			Ok::<_, ApiError>((posted, context.board.job(id), context.board.report(id)?))
		})
		.await??;
	let status = match posted {
		Posted::New => StatusCode::ACCEPTED,
		Posted::Known => StatusCode::OK,
		Posted::Expired => {
			return Err(ApiError::new(
				StatusCode::GONE,
				"the order has expired",
				"compare the clocks of node and worker",
			));
		},
		Posted::Full => {
			return Err(ApiError::new(
				StatusCode::TOO_MANY_REQUESTS,
				"the queue is full",
				"post the order again later, or take on fewer jobs on chain",
			)
			.retry_after(QUEUE_RETRY_SECONDS));
		},
	};
	let job = job.ok_or_else(ApiError::unknown_job)?;
	if posted == Posted::New {
		tracing::info!(job = %show_hash(id), kind = job.kind.name(), expires = job.expires, "job posted");
	}
	Ok((status, show_report(&headers, &job, report)?).into_response())
}

async fn read_order(body: Body) -> Result<Bytes, ApiError> {
	body::read(body, MAX_ORDER_BYTES, ORDER_TIMEOUT).await.map_err(|fault| match fault {
		BodyFault::TooSlow => ApiError::too_slow(),
		BodyFault::TooLarge => ApiError::too_large(MAX_ORDER_BYTES as u64),
		BodyFault::BrokeOff => {
			let broke_off = "the body broke off";
			ApiError::new(StatusCode::BAD_REQUEST, broke_off, "post the order again")
		},
	})
}

pub async fn show(
	State(api): State<Api>,
	Path(id): Path<String>,
	headers: HeaderMap,
) -> Result<Response, ApiError> {
	let id = hash_in(&id)?;
	let report = api.blocking(move |context| context.board.report(id)).await??;
	let job = api.context.board.job(id).ok_or_else(ApiError::unknown_job)?;
	show_report(&headers, &job, report)
}

/// The report in the form that the client accepts.
fn show_report(
	headers: &HeaderMap,
	job: &Job,
	report: Option<Report>,
) -> Result<Response, ApiError> {
	let report = report.ok_or_else(ApiError::unknown_job)?;
	let accepts_scale = headers
		.get_all(header::ACCEPT)
		.iter()
		.any(|accepted| accepted.to_str().is_ok_and(|accepted| accepted.contains(SCALE)));
	Ok(if accepts_scale {
		([(header::CONTENT_TYPE, SCALE)], report.encode()).into_response()
	} else {
		Json(report_json(job, &report)).into_response()
	})
}

pub async fn list(State(api): State<Api>) -> Json<Value> {
	let jobs: Vec<Value> = api.context.board.newest(MAX_LISTED).iter().map(job_json).collect();
	Json(json!(jobs))
}

#[derive(Deserialize)]
pub struct After {
	after: Option<u64>,
}

pub async fn events(
	State(api): State<Api>,
	Path(id): Path<String>,
	query: Result<Query<After>, QueryRejection>,
) -> Result<Response, ApiError> {
	let id = hash_in(&id)?;
	let Query(After { after }) = query.map_err(|rejection| {
		ApiError::new(
			StatusCode::BAD_REQUEST,
			rejection.body_text(),
			"write ?after=N with the number of the last event you have, or leave it out",
		)
	})?;
	if api.context.board.job(id).is_none() {
		return Err(ApiError::unknown_job());
	}
	let after = after.unwrap_or(0);
	let json = api.blocking(move |context| context.board.journal().events(id, after)).await??;
	Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

pub async fn forget(
	State(api): State<Api>,
	Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
	let id = hash_in(&id)?;
	if api.blocking(move |context| context.board.forget(id)).await?? {
		tracing::info!(job = %show_hash(id), "job cancelled and forgotten");
		Ok(StatusCode::NO_CONTENT)
	} else {
		Err(ApiError::unknown_job())
	}
}
