//! A job's request at the service that answers: handing it in, telling how it goes, its answer.

use crate::{
	compute::Context,
	events::{self, EventLog},
	failure::{Failure, Stopped},
	job::Ticket,
	models::Answering,
};
use openledger_engine::{
	serving::{self, Answer, Event, Failed, Refused, Request, Tenant},
	FinishReason,
};
use openledger_primitives::worker_api::InferenceOrder;
use std::{
	ops::ControlFlow,
	sync::mpsc::{channel, Receiver, RecvTimeoutError},
	thread,
	time::Duration,
};

/// Whose requests those of jobs are. No API key has this name: it has a slash.
const CHAIN: &str = "openledger/chain";
/// Time between two looks whether the job is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Generates greedily, with the adapter, and scores the answer under the bare base model too.
pub fn generate(
	context: &Context,
	ticket: &Ticket,
	order: &InferenceOrder,
	answering: &Answering,
	prompt: &[u32],
	log: &mut EventLog,
) -> Result<Answer, Stopped> {
	let max_tokens = usize::try_from(order.max_output_tokens).unwrap_or(usize::MAX);
	if max_tokens == 0 {
		// The chain takes no such request; the answer is empty.
		return Ok(Answer {
			text: String::new(),
			tokens: Vec::new(),
			prompt_tokens: prompt.len(),
			read_tokens: prompt.len(),
			finish_reason: FinishReason::Length,
		});
	}
	let (request, events) = submit(ticket, answering, prompt, max_tokens)?;
	let (mut written, mut told) = (0u64, 0);
	let answer = loop {
		if ticket.cancelled.is_cancelled() {
			request.cancel();
		}
		match events.recv_timeout(LOOK_EVERY) {
			Err(RecvTimeoutError::Timeout) | Ok(Event::Prompt { .. }) => {},
			Err(RecvTimeoutError::Disconnected) => {
				return Err(Failure::Generation(Failed::Stopped).into());
			},
			Ok(Event::Token { text, .. }) => {
				written += 1;
				told += text.len();
				// The last thousandth is for attribution.
				let permille = written * 999 / max_tokens as u64;
				context.board.progress(ticket, u16::try_from(permille).unwrap_or(999));
				if !text.is_empty() {
					log.tell(&events::Event::Token { text });
				}
			},
			Ok(Event::Finished(answer)) => break answer,
			// It was there a moment ago.
			Ok(Event::Failed(Failed::Adapter(_))) => {
				return Err(Stopped::Missing(Failure::AdapterMissing(order.adapter)));
			},
			Ok(Event::Failed(failed)) => return Err(Failure::Generation(failed).into()),
		}
	};
	if answer.finish_reason == FinishReason::Cancelled {
		return Err(Stopped::Cancelled);
	}
	if let Some(text) = answer.text.get(told..).filter(|text| !text.is_empty()) {
		log.tell(&events::Event::Token { text: text.into() });
	}
	Ok(answer)
}

/// Hands a request in, as soon as there is room for it.
fn submit(
	ticket: &Ticket,
	answering: &Answering,
	prompt: &[u32],
	max_tokens: usize,
) -> Result<(serving::Ticket, Receiver<Event>), Stopped> {
	loop {
		let request = Request {
			adapter: Some(answering.adapter),
			base_logprobs: true,
			..Request::new(Tenant(CHAIN.into()), prompt.to_vec(), max_tokens)
		};
		let (sender, events) = channel();
		let sink = move |event| match sender.send(event) {
			Ok(()) => ControlFlow::Continue(()),
			Err(_) => ControlFlow::Break(()),
		};
		match answering.service.submit(request, Box::new(sink)) {
			Ok(taken) => return Ok((taken, events)),
			Err(_) if ticket.cancelled.is_cancelled() => return Err(Stopped::Cancelled),
			Err(Refused::Busy { .. } | Refused::TenantBusy { .. }) => thread::sleep(LOOK_EVERY),
			Err(refused) => return Err(Failure::Refused(refused).into()),
		}
	}
}
