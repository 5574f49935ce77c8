//! What every request passes: a browser must not be made to speak to the worker by a page from
//! elsewhere.
//!
//! A name that an attacker points at 127.0.0.1 shows in `Host`; a page that sends a request to
//! loopback shows in `Origin`. Programs send neither, or loopback's own names.

use super::{error::ApiError, Api};
use axum::{
	extract::{Request, State},
	http::{header, HeaderName, StatusCode},
	middleware::Next,
	response::{IntoResponse, Response},
};
use std::net::IpAddr;

pub async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
	let (method, path) = (request.method().clone(), request.uri().path().to_owned());
	let response = match foreign_header(&request) {
		Some(name) => ApiError::new(
			StatusCode::FORBIDDEN,
			format!("the request's `{name}` is not this machine"),
			"speak to the worker by its loopback address",
		)
		.into_response(),
		None => next.run(request).await,
	};
	let status = response.status().as_u16();
	api.context.metrics.responded(status);
	tracing::debug!(%method, path, status, "request");
	response
}

/// The header that says that the request is for, or from, elsewhere.
pub fn foreign_header(request: &Request) -> Option<HeaderName> {
	let is_foreign = |name: &HeaderName| {
		let values = request.headers().get_all(name);
		values.iter().any(|value| !value.to_str().is_ok_and(is_loopback))
	};
	[header::HOST, header::ORIGIN].into_iter().find(is_foreign)
}

/// Whether `[scheme://]host[:port]` is this machine's loopback.
fn is_loopback(text: &str) -> bool {
	let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
	let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
		Some((host, _)) => host,
		None => authority.split_once(':').map_or(authority, |(host, _)| host),
	};
	host.eq_ignore_ascii_case("localhost")
		|| host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
	use super::is_loopback;

	#[test]
	fn loopback_should_be_known_by_all_its_names_and_no_other() {
		for ours in ["localhost", "LOCALHOST:9955", "127.0.0.1:9955", "127.8.0.1", "[::1]:9955"] {
			assert!(is_loopback(ours), "{ours}");
			assert!(is_loopback(&format!("http://{ours}")), "{ours}");
		}
		for other in
			["", "null", "evil.example", "localhost.evil.example:9955", "10.0.0.1", "[::2]"]
		{
			assert!(!is_loopback(other), "{other}");
		}
	}
}
