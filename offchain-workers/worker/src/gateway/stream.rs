//! Answers on their way to the client: as a whole, or piece by piece as server-sent events.

use super::{
	asking::{self, Prompt, Running, Scoring, Told},
	callers::Caller,
	error::OpenAiError,
	form::{finish_reason, Envelope, Form, Usage, Whole},
	receipt::{self, Beside},
	request::Options,
	serving::Asked,
	Gateway,
};
use axum::{
	body::{Body, Bytes},
	http::{header, HeaderName},
	response::{IntoResponse, Response},
	Json,
};
use futures_util::{
	future::join_all,
	stream::{self, FuturesUnordered, StreamExt},
};
use openledger_engine::serving::{Answer, Event};
use serde_json::{Map, Value};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::sleep};

/// Messages of a stream that wait for the connection.
const WAITING_MESSAGES: usize = 64;
/// The longest silence of a stream. A comment then tells proxies that it lives, and tells us when the
/// client is gone.
const SILENCE: Duration = Duration::from_secs(15);
/// A comment, which clients pass over.
const COMMENT: &str = ": waiting\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A request that was understood.
pub struct Asking {
	/// What every message about it says.
	pub envelope: Envelope,
	/// How its answers are written.
	pub form: Box<dyn Form>,
	/// The model.
	pub asked: Asked,
	/// What the model reads.
	pub prompts: Vec<Prompt>,
	/// How it answers.
	pub options: Options,
	/// What is told beside the text.
	pub scoring: Scoring,
}

impl Asking {
	/// The prompt that the answer at `index` is to.
	fn prompt(&self, index: usize) -> Result<&Prompt, OpenAiError> {
		let number = index.checked_div(self.options.choices).unwrap_or_default();
		self.prompts.get(number).ok_or_else(OpenAiError::broken)
	}

	/// What goes beside the answer at `index`.
	async fn beside(
		&self,
		gateway: &Arc<Gateway>,
		index: usize,
		answer: &Answer,
	) -> Result<Beside, OpenAiError> {
		let (prompt, attribution) = (self.prompt(index)?, self.options.attribution);
		Ok(receipt::beside(gateway, &self.asked, prompt, answer, attribution).await)
	}
}

/// Answers a request.
pub async fn answer(
	gateway: Arc<Gateway>,
	caller: Caller,
	asking: Asking,
) -> Result<Response, OpenAiError> {
	let Asking { asked, options, prompts, scoring, .. } = &asking;
	let running = asking::start(&gateway, caller, asked, options, prompts, *scoring).await?;
	if options.stream {
		Ok(streamed(gateway, asking, running))
	} else {
		whole(&gateway, &asking, running).await
	}
}

async fn whole(
	gateway: &Arc<Gateway>,
	asking: &Asking,
	mut running: Running,
) -> Result<Response, OpenAiError> {
	let Asking { envelope, form, options, .. } = asking;
	let outcomes = running.finish().await?;
	let besides =
		outcomes.iter().enumerate().map(|(index, it)| asking.beside(gateway, index, &it.answer));
	let besides = join_all(besides).await;
	let (mut usage, mut choices) = (Usage::default(), Vec::with_capacity(outcomes.len()));
	for (index, (outcome, beside)) in outcomes.iter().zip(besides).enumerate() {
		let (scores, told, answer) = (&outcome.scores, &outcome.told, &outcome.answer);
		usage.add(index, options, outcome.cached_tokens, answer);
		choices.push(form.whole(index, Whole { scores, told, answer, beside: beside? }));
	}
	running.charge.settle().await;
	let [object, _] = form.objects();
	let mut message = envelope.around(object, choices);
	message.insert("usage".into(), usage.json());
	Ok(Json(message).into_response())
}

fn streamed(gateway: Arc<Gateway>, asking: Asking, running: Running) -> Response {
	let (sender, receiver) = mpsc::channel(WAITING_MESSAGES);
	tokio::spawn(async move {
		let streaming = Streaming {
			gateway,
			asking: Arc::new(asking),
			running,
			client: Client(sender),
			usage: Usage::default(),
		};
		streaming.run().await;
	});
	let messages = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<Bytes>| {
		receiver.recv().await.map(|message| (Ok::<_, Infallible>(message), receiver))
	});
	let headers = [
		(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
		(header::CACHE_CONTROL, "no-cache"),
		// nginx then passes each message on as it comes.
		(HeaderName::from_static("x-accel-buffering"), "no"),
	];
	(headers, Body::from_stream(messages)).into_response()
}

/// The client is gone.
struct Gone;

/// Who reads a stream.
struct Client(mpsc::Sender<Bytes>);

impl Client {
	async fn say(&self, text: impl Into<Bytes>) -> Result<(), Gone> {
		self.0.send(text.into()).await.map_err(|_| Gone)
	}

	async fn tell(&self, message: &Value) -> Result<(), Gone> {
		self.say(format!("data: {message}\n\n")).await
	}
}

/// How far an answer has been sent.
#[derive(Clone, Copy, Default)]
struct Sent {
	bytes: usize,
	characters: usize,
	cached_tokens: usize,
}

/// An answer of which everything was sent but its end.
struct Ended {
	index: usize,
	answer: Answer,
	beside: Beside,
}

impl Ended {
	/// Waits for what goes beside an answer.
	async fn of(
		gateway: Arc<Gateway>,
		asking: Arc<Asking>,
		index: usize,
		answer: Answer,
	) -> Result<Self, OpenAiError> {
		let beside = asking.beside(&gateway, index, &answer).await?;
		Ok(Self { index, answer, beside })
	}
}

/// What comes next in a stream.
enum Next {
	Event(Result<Option<(usize, Event)>, OpenAiError>),
	Ended(Result<Ended, OpenAiError>),
	Silence,
}

struct Streaming {
	gateway: Arc<Gateway>,
	asking: Arc<Asking>,
	running: Running,
	client: Client,
	usage: Usage,
}

impl Streaming {
	async fn run(mut self) {
		let ended = match self.send_all().await {
			Ok(Ok(())) => self.send_usage().await,
			Ok(Err(error)) => self.client.tell(&error.body()).await,
			Err(Gone) => return,
		};
		if ended.is_ok() {
			let _ = self.client.say(DONE).await;
		}
	}

	/// Sends all answers. The outer error is that nobody reads them, the inner one is told.
	async fn send_all(&mut self) -> Result<Result<(), OpenAiError>, Gone> {
		let mut sent = vec![Sent::default(); self.running.open];
		// Answers are attributed beside the others, which go on meanwhile.
		let mut ending = FuturesUnordered::new();
		while self.running.open > 0 || !ending.is_empty() {
			let next = tokio::select! {
				next = self.running.next(), if self.running.open > 0 => Next::Event(next),
				Some(ended) = ending.next() => Next::Ended(ended),
				() = sleep(SILENCE) => Next::Silence,
				() = self.client.0.closed() => return Err(Gone),
			};
			match next {
				Next::Event(Ok(Some((index, event)))) => {
					let Some(sent) = sent.get_mut(index) else { continue };
					if let Some(answer) = self.send(index, event, sent).await? {
						let (gateway, asking) = (self.gateway.clone(), self.asking.clone());
						ending.push(Ended::of(gateway, asking, index, answer));
					}
				},
				Next::Event(Ok(None)) => {},
				Next::Ended(Ok(ended)) => self.send_end(ended).await?,
				Next::Silence => self.client.say(COMMENT).await?,
				Next::Event(Err(error)) | Next::Ended(Err(error)) => return Ok(Err(error)),
			}
		}
		Ok(Ok(()))
	}

	/// Sends what an event brings; gives the answer when there is no more of it.
	async fn send(
		&mut self,
		index: usize,
		event: Event,
		sent: &mut Sent,
	) -> Result<Option<Answer>, Gone> {
		let form = &self.asking.form;
		match event {
			Event::Prompt { cached_tokens, scores } => {
				sent.cached_tokens = cached_tokens;
				if let Some(choice) = form.opening(index, &scores) {
					self.send_choice(choice).await?;
				}
			},
			Event::Token { id, text, logprob, top } => {
				let told = Told { id, logprob, top };
				let wants_tokens = self.asking.scoring.logprobs.is_some();
				if wants_tokens || !text.is_empty() {
					let token = wants_tokens.then_some(&told);
					self.send_choice(form.piece(index, &text, sent.characters, token)).await?;
				}
				sent.bytes += text.len();
				sent.characters += text.chars().count();
			},
			Event::Finished(answer) => {
				if let Some(rest) = answer.text.get(sent.bytes..).filter(|rest| !rest.is_empty()) {
					self.send_choice(form.piece(index, rest, sent.characters, None)).await?;
				}
				self.usage.add(index, &self.asking.options, sent.cached_tokens, &answer);
				return Ok(Some(answer));
			},
			// `Running::next` gives it as an error.
			Event::Failed(_) => {},
		}
		Ok(None)
	}

	async fn send_end(&mut self, ended: Ended) -> Result<(), Gone> {
		let Ended { index, answer, beside } = ended;
		// The last end that is sent comes after all answers.
		if self.running.open == 0 {
			self.running.charge.settle().await;
		}
		let choice = self.asking.form.closing(index, finish_reason(&answer), beside);
		self.send_choice(choice).await
	}

	async fn send_choice(&self, choice: Value) -> Result<(), Gone> {
		let mut message = self.message(vec![choice]);
		if self.asking.options.include_usage {
			message.insert("usage".into(), Value::Null);
		}
		self.client.tell(&Value::Object(message)).await
	}

	async fn send_usage(&self) -> Result<(), Gone> {
		if !self.asking.options.include_usage {
			return Ok(());
		}
		let mut message = self.message(Vec::new());
		message.insert("usage".into(), self.usage.json());
		self.client.tell(&Value::Object(message)).await
	}

	fn message(&self, choices: Vec<Value>) -> Map<String, Value> {
		let [_, object] = self.asking.form.objects();
		self.asking.envelope.around(object, choices)
	}
}
