//! The worker's API as the chain's side of it needs it (`docs/spec/worker-api.md`).

use super::{journal::Overtaken, POST_TIME, PROBE_TIME, REQUEST_TIME};
use alloc::{
	format,
	string::{String, ToString},
	vec::Vec,
};
use codec::{DecodeAll, Encode};
use core::fmt;
use openledger_primitives::{
	worker_api::{Order, Report, MAX_ORDER_BYTES, MAX_REPORT_BYTES, WORKER_URL_KEY},
	H256,
};
use sp_core::offchain::{HttpError, StorageKind};
use sp_runtime::{
	offchain::{
		http::{self, Request, Response},
		Duration, Timestamp,
	},
	DispatchError, ModuleError,
};

/// The most bytes of a worker's URL: `http://`, an address and a port.
const MAX_URL_BYTES: usize = 256;

/// Bytes of an order that are written at once.
const CHUNK_BYTES: usize = 64 * 1_024;

/// Why the worker could not be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unreachable {
	/// Nobody listens there, or the connection broke.
	NoConnection,
	/// No answer in time.
	TimedOut,
}

impl fmt::Display for Unreachable {
	fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
		to.write_str(match self {
			Self::NoConnection => "no connection",
			Self::TimedOut => "no answer in time",
		})
	}
}

/// Why nothing can be done with what the worker says about a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Objection {
	/// A report is longer than any report can be.
	TooLong,
	/// The bytes are not those of a report.
	Unreadable,
	/// The worker answered with this HTTP status.
	Status(u16),
	/// It is a report about another kind of job.
	WrongKind,
	/// The chain would refuse it.
	Refused(DispatchError),
	/// The order has more bytes than one can have.
	OrderTooLarge,
	/// The chain does not know what the order needs.
	Incomplete(&'static str),
	/// The keystore does not sign with the key any more.
	NotSigned,
	/// The transaction pool did not take it.
	NotPooled,
}

impl fmt::Display for Objection {
	fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			Self::TooLong => write!(to, "its report has more than {MAX_REPORT_BYTES} bytes"),
			Self::Unreadable => to.write_str("its report cannot be decoded"),
			Self::Status(status) => write!(to, "the worker answered with HTTP status {status}"),
			Self::WrongKind => to.write_str("its report is about another kind of job"),
			Self::Refused(DispatchError::Module(ModuleError { message: Some(name), .. })) => {
				write!(to, "the chain would refuse its report: {name}")
			},
			Self::Refused(error) => write!(to, "the chain would refuse its report: {error:?}"),
			Self::OrderTooLarge => {
				write!(to, "its order has more than {MAX_ORDER_BYTES} bytes")
			},
			Self::Incomplete(what) => write!(to, "the chain does not know {what}"),
			Self::NotSigned => to.write_str("the keystore did not sign its report"),
			Self::NotPooled => to.write_str("the transaction pool did not take its report"),
		}
	}
}

impl From<DispatchError> for Objection {
	fn from(error: DispatchError) -> Self {
		Self::Refused(error)
	}
}

/// Why a job could not be looked after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
	/// The worker is away: other jobs will fare no better.
	Away(Unreachable),
	/// Something is wrong with this job.
	Objection(Objection),
	/// This run took too long: another one is under way.
	Overtaken,
}

impl From<Overtaken> for Trouble {
	fn from(_: Overtaken) -> Self {
		Self::Overtaken
	}
}

impl From<Objection> for Trouble {
	fn from(objection: Objection) -> Self {
		Self::Objection(objection)
	}
}

impl From<HttpError> for Trouble {
	fn from(error: HttpError) -> Self {
		Self::Away(match error {
			HttpError::DeadlineReached => Unreachable::TimedOut,
			HttpError::IoError | HttpError::Invalid => Unreachable::NoConnection,
		})
	}
}

/// The worker beside this node, until the end of this run.
pub(super) struct Client {
	url: String,
	end_of_run: Timestamp,
}

impl Client {
	/// The worker that the node was told of.
	pub(super) fn find(run_time: Duration) -> Option<Self> {
		let url = sp_io::offchain::local_storage_get(StorageKind::PERSISTENT, WORKER_URL_KEY)?;
		let url = String::from_utf8(url).ok().filter(|url| url.len() <= MAX_URL_BYTES)?;
		let url = url.trim_end_matches('/').to_string();
		let end_of_run = sp_io::offchain::timestamp().add(run_time);
		url.starts_with("http://").then_some(Self { url, end_of_run })
	}

	/// Where it is.
	pub(super) fn url(&self) -> &str {
		&self.url
	}

	/// Whether there is time left in this run.
	pub(super) fn has_time(&self) -> bool {
		sp_io::offchain::timestamp() < self.end_of_run
	}

	/// Whether the worker says that it takes jobs.
	pub(super) fn is_healthy(&self) -> bool {
		let url = format!("{}/health", self.url);
		self.send(Request::get(&url), PROBE_TIME).is_ok_and(|(response, _)| response.code == 200)
	}

	/// What the worker reports about a job; `None` when it does not know the job.
	pub(super) fn report(&self, id: H256) -> Result<Option<Report>, Trouble> {
		let url = format!("{}/v1/jobs/{id:#x}", self.url);
		let request = Request::get(&url).add_header("Accept", "application/x-scale");
		match self.send(request, REQUEST_TIME)? {
			(response, _) if response.code == 404 => Ok(None),
			answer => read_report(answer).map(Some),
		}
	}

	/// Gives the worker an order, and returns what it reports then.
	pub(super) fn post(&self, order: &Order) -> Result<Report, Trouble> {
		let bytes = order.encode();
		if bytes.len() > MAX_ORDER_BYTES {
			return Err(Objection::OrderTooLarge.into());
		}
		let url = format!("{}/v1/jobs", self.url);
		let body: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
		let request = Request::post(&url, body)
			.add_header("Accept", "application/x-scale")
			.add_header("Content-Type", "application/x-scale");
		read_report(self.send(request, POST_TIME)?)
	}

	/// Sends a request and waits for the answer, at most for `time` and the end of the run.
	fn send<'a, Body: IntoIterator<Item = &'a [u8]>>(
		&self,
		mut request: Request<'_, Body>,
		time: Duration,
	) -> Result<(Response, Timestamp), Trouble> {
		let deadline = sp_io::offchain::timestamp().add(time).min(self.end_of_run);
		request.deadline = Some(deadline);
		let pending = request.send()?;
		match pending.try_wait(deadline) {
			Ok(Ok(response)) => Ok((response, deadline)),
			Ok(Err(http::Error::DeadlineReached)) | Err(_) => {
				Err(Trouble::Away(Unreachable::TimedOut))
			},
			Ok(Err(_)) => Err(Trouble::Away(Unreachable::NoConnection)),
		}
	}
}

/// Reads a report, and not a byte more than one can have.
fn read_report((response, deadline): (Response, Timestamp)) -> Result<Report, Trouble> {
	if !matches!(response.code, 200 | 202) {
		return Err(Objection::Status(response.code).into());
	}
	let mut body = response.body();
	body.deadline(deadline);
	let bytes: Vec<u8> = body.by_ref().take(MAX_REPORT_BYTES.saturating_add(1)).collect();
	if bytes.len() > MAX_REPORT_BYTES {
		return Err(Objection::TooLong.into());
	}
	if let Some(error) = body.error() {
		return Err((*error).into());
	}
	Report::decode_all(&mut bytes.as_slice()).map_err(|_| Objection::Unreadable.into())
}
