//! Records as examples: tokens, and which of them the loss counts.

use std::collections::BTreeMap;

use openledger_engine::{ChatError, ChatMessage, Model, TokenizerError};

use crate::{random::Blake2b256, spec::TrainingSpec};

/// The most records of a run: their tokens stay in memory.
pub const MAX_RECORDS: usize = 1_000_000;
/// The longest record in bytes, names of fields included. It is tokenised whole before it is
/// truncated.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// A record of a datanet, as far as training is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
	/// A text, all of which is learnt.
	Text(String),
	/// Named values, of which one is the prompt and another the completion that is learnt.
	Fields(Vec<(String, String)>),
}

impl Record {
	/// Blake2b-256 of the content, each part preceded by its length as u64 LE. Equal records have
	/// equal identities, whoever contributed them.
	pub fn identity(&self) -> [u8; 32] {
		let mut hash = Blake2b256::new();
		let mut part = |bytes: &[u8]| {
			hash.update((bytes.len() as u64).to_le_bytes());
			hash.update(bytes);
		};
		match self {
			Self::Text(text) => {
				part(b"text");
				part(text.as_bytes());
			},
			Self::Fields(fields) => {
				part(b"fields");
				for (name, value) in fields {
					part(name.as_bytes());
					part(value.as_bytes());
				}
			},
		}
		hash.finish()
	}

	fn bytes(&self) -> usize {
		match self {
			Self::Text(text) => text.len(),
			Self::Fields(fields) => {
				fields.iter().map(|(name, value)| name.len() + value.len()).sum()
			},
		}
	}
}

/// Tokens of which the last ones are to be learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
	tokens: Vec<u32>,
	completion_start: usize,
}

impl Example {
	/// An example whose tokens from `completion_start` on count in the loss. There must be one
	/// before it, which predicts the first, and at least one from it on.
	pub fn new(tokens: Vec<u32>, completion_start: usize) -> Result<Self, DatasetError> {
		if completion_start == 0 || completion_start >= tokens.len() {
			return Err(DatasetError::NothingToLearn { tokens: tokens.len(), completion_start });
		}
		Ok(Self { tokens, completion_start })
	}

	/// Prompt and completion.
	pub fn tokens(&self) -> &[u32] {
		&self.tokens
	}

	/// Index of the completion's first token, at least 1.
	pub fn completion_start(&self) -> usize {
		self.completion_start
	}

	/// Number of tokens that count in the loss.
	pub fn completion_tokens(&self) -> usize {
		self.tokens.len() - self.completion_start
	}
}

/// What a run learns from and is measured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
	/// Examples to learn from.
	pub training: Vec<Example>,
	/// Examples that are only measured.
	pub heldout: Vec<Example>,
	/// What became of the records.
	pub report: DatasetReport,
}

/// What became of the records of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetReport {
	/// Indices of the records that were held out, rising.
	pub heldout_records: Vec<usize>,
	/// Examples that lost their end at `max_tokens`.
	pub truncated: usize,
	/// Examples of whose completion nothing was left before `max_tokens`; they are not used.
	pub dropped: usize,
}

/// Why records make no dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
	/// No records.
	#[error("the dataset has no records")]
	Empty,
	/// More than [`MAX_RECORDS`].
	#[error("the dataset has {records} records, more than the {MAX_RECORDS} allowed")]
	TooManyRecords {
		/// Their number.
		records: usize,
	},
	/// Longer than [`MAX_RECORD_BYTES`].
	#[error("record {record} has {bytes} bytes, more than the {MAX_RECORD_BYTES} allowed")]
	RecordTooLong {
		/// Its index.
		record: usize,
		/// Its length.
		bytes: usize,
	},
	/// A record without the prompt's or completion's field.
	#[error("record {record} has no field `{field}`; set `prompt_field` and `completion_field`")]
	MissingField {
		/// Its index.
		record: usize,
		/// The field.
		field: String,
	},
	/// A record whose text or whose prompt or completion is blank.
	#[error("record {record} has nothing in its {what}")]
	Blank {
		/// Its index.
		record: usize,
		/// `text`, or the name of the field.
		what: String,
	},
	/// The chat template does not put the answer after the prompt.
	#[error(
		"the model's chat template renders an answered question differently from the question \
		 alone, so that the completion cannot be told from the prompt"
	)]
	TemplateRewritesPrompt,
	/// Truncation left no example.
	#[error(
		"none of the {records} {part} records has any completion within {max_tokens} tokens: \
		 raise `max_tokens`"
	)]
	AllTruncated {
		/// `training` or `held-out`.
		part: &'static str,
		/// Their number.
		records: usize,
		/// The limit.
		max_tokens: u32,
	},
	/// Too few different records to hold some out.
	#[error(
		"there is no more than one different record: none can be held out. Add records or set \
		 `heldout_permille` to 0"
	)]
	TooFewToHoldOut,
	/// An example without a completion, or without a token before it.
	#[error("an example of {tokens} tokens has nothing to learn from token {completion_start} on")]
	NothingToLearn {
		/// Its length.
		tokens: usize,
		/// Where the completion was to start.
		completion_start: usize,
	},
	/// The model has no chat template, or it refuses the conversation.
	#[error("record {record} cannot be put into the model's chat template: {source}")]
	Chat {
		/// Its index.
		record: usize,
		/// What the engine said.
		source: ChatError,
	},
	/// The tokenizer refuses the text.
	#[error("record {record} cannot be tokenised: {source}")]
	Tokenize {
		/// Its index.
		record: usize,
		/// What the engine said.
		source: TokenizerError,
	},
}

impl Dataset {
	/// A dataset of finished examples.
	pub fn new(training: Vec<Example>, heldout: Vec<Example>) -> Result<Self, DatasetError> {
		if training.is_empty() {
			return Err(DatasetError::Empty);
		}
		Ok(Self { training, heldout, report: DatasetReport::default() })
	}

	/// Splits `records` and encodes them with the model's tokenizer and chat template.
	///
	/// Of a record with fields, the user says the prompt field and the assistant answers the
	/// completion field. Prompt and completion are tokenised apart, as they are when the model
	/// answers. A completion ends with the first token that ends a generation; if the template
	/// puts none there, or the record is a text, one is added.
	pub fn from_records(
		model: &Model,
		spec: &TrainingSpec,
		records: &[Record],
	) -> Result<Self, DatasetError> {
		check_records(records)?;
		let heldout_records = heldout(records, spec.seed, spec.heldout_permille)?;
		let mut report = DatasetReport::default();
		let (mut training, mut heldout) = (Vec::new(), Vec::new());
		let mut remaining = heldout_records.iter().copied().peekable();
		for (index, record) in records.iter().enumerate() {
			let part = match remaining.next_if_eq(&index) {
				Some(_) => &mut heldout,
				None => &mut training,
			};
			let (mut tokens, completion_start) = encode(model, spec, index, record)?;
			if tokens.len() > spec.max_tokens as usize {
				tokens.truncate(spec.max_tokens as usize);
				report.truncated += 1;
			}
			match Example::new(tokens, completion_start) {
				Ok(example) => part.push(example),
				Err(_) => report.dropped += 1,
			}
		}
		let all_truncated = |part, records| DatasetError::AllTruncated {
			part,
			records,
			max_tokens: spec.max_tokens,
		};
		if training.is_empty() {
			return Err(all_truncated("training", records.len() - heldout_records.len()));
		}
		if heldout.is_empty() && !heldout_records.is_empty() {
			return Err(all_truncated("held-out", heldout_records.len()));
		}
		report.heldout_records = heldout_records;
		Ok(Self { training, heldout, report })
	}

	/// Blake2b-256 of all tokens and completion starts: what a checkpoint is bound to.
	pub fn hash(&self) -> [u8; 32] {
		let mut hash = Blake2b256::new();
		for part in [&self.training, &self.heldout] {
			hash.update((part.len() as u64).to_le_bytes());
			for example in part {
				hash.update((example.tokens.len() as u64).to_le_bytes());
				hash.update((example.completion_start as u64).to_le_bytes());
				for token in &example.tokens {
					hash.update(token.to_le_bytes());
				}
			}
		}
		hash.finish()
	}
}

fn check_records(records: &[Record]) -> Result<(), DatasetError> {
	if records.is_empty() {
		return Err(DatasetError::Empty);
	}
	if records.len() > MAX_RECORDS {
		return Err(DatasetError::TooManyRecords { records: records.len() });
	}
	match records.iter().map(Record::bytes).enumerate().find(|(_, bytes)| *bytes > MAX_RECORD_BYTES)
	{
		Some((record, bytes)) => Err(DatasetError::RecordTooLong { record, bytes }),
		None => Ok(()),
	}
}

/// Indices, rising, of the records to hold out.
///
/// The different identities are put in the order of
/// `Blake2b-256("openledger/trainer/1/heldout" ++ 0x00 ++ seed as u64 LE ++ identity)`, and of `n`
/// the first `n · permille / 1000` are held out, rounded to the nearest but at least one and never
/// all. Copies of a record are always on the same side, so that nothing held out was learnt.
pub fn heldout(records: &[Record], seed: u64, permille: u16) -> Result<Vec<usize>, DatasetError> {
	if permille == 0 {
		return Ok(Vec::new());
	}
	let mut by_rank: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
	for (index, record) in records.iter().enumerate() {
		let mut hash = Blake2b256::new();
		hash.update(b"openledger/trainer/1/heldout\0");
		hash.update(seed.to_le_bytes());
		hash.update(record.identity());
		by_rank.entry(hash.finish()).or_default().push(index);
	}
	if by_rank.len() < 2 {
		return Err(DatasetError::TooFewToHoldOut);
	}
	let share = (by_rank.len() * usize::from(permille) + 500) / 1_000;
	let share = share.clamp(1, by_rank.len() - 1);
	let mut indices: Vec<usize> = by_rank.into_values().take(share).flatten().collect();
	indices.sort_unstable();
	Ok(indices)
}

/// Tokens of a record, not yet truncated, and where its completion starts.
fn encode(
	model: &Model,
	spec: &TrainingSpec,
	index: usize,
	record: &Record,
) -> Result<(Vec<u32>, usize), DatasetError> {
	let tokenize = |text: &str, add_special_tokens| {
		let encoded = model.tokenizer().encode(text, add_special_tokens);
		encoded.map_err(|source| DatasetError::Tokenize { record: index, source })
	};
	let ends = &model.config().eos_token_ids;
	let (mut tokens, mut completion, start) = match record {
		Record::Text(text) => {
			let text = not_blank(index, "text", text)?;
			// A text without a token before it: its own first token predicts the second.
			(Vec::new(), tokenize(text, true)?, 1)
		},
		Record::Fields(fields) => {
			let question =
				not_blank(index, &spec.prompt_field, field(index, fields, &spec.prompt_field)?)?;
			let answer = not_blank(
				index,
				&spec.completion_field,
				field(index, fields, &spec.completion_field)?,
			)?;
			let (prompt, completion) = converse(model, index, question, answer)?;
			let prompt = tokenize(&prompt, false)?;
			let start = prompt.len();
			(prompt, tokenize(&completion, false)?, start)
		},
	};
	match completion.iter().position(|token| ends.contains(token)) {
		Some(end) => completion.truncate(end + 1),
		None => completion.extend(ends.first()),
	}
	tokens.append(&mut completion);
	Ok((tokens, start))
}

/// The prompt as the chat template writes it, and what an answer adds to it.
fn converse(
	model: &Model,
	index: usize,
	question: &str,
	answer: &str,
) -> Result<(String, String), DatasetError> {
	let failed = |source| DatasetError::Chat { record: index, source };
	let chat = model.chat().ok_or_else(|| failed(ChatError::NoTemplate))?;
	let mut messages = vec![ChatMessage::new("user", question)];
	let prompt = chat.render(&messages, true).map_err(failed)?;
	messages.push(ChatMessage::new("assistant", answer));
	let whole = chat.render(&messages, false).map_err(failed)?;
	let completion =
		whole.strip_prefix(&prompt).ok_or(DatasetError::TemplateRewritesPrompt)?.to_owned();
	Ok((prompt, completion))
}

fn field<'a>(
	record: usize,
	fields: &'a [(String, String)],
	name: &str,
) -> Result<&'a str, DatasetError> {
	let found = fields.iter().find(|(other, _)| other == name);
	let (_, value) =
		found.ok_or_else(|| DatasetError::MissingField { record, field: name.to_owned() })?;
	Ok(value)
}

fn not_blank<'a>(record: usize, what: &str, text: &'a str) -> Result<&'a str, DatasetError> {
	if text.trim().is_empty() {
		return Err(DatasetError::Blank { record, what: what.to_owned() });
	}
	Ok(text)
}
