//! Answers that are JSON: the grammar of a schema narrows what the model may say next.

use super::{error::OpenAiError, fields::Fields};
use llguidance::{
	api::TopLevelGrammar,
	earley::SlicedBiasComputer,
	toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie},
	Matcher, ParserFactory,
};
use openledger_engine::serving::{Constraint, ConstraintError, ServingModel};
use serde_json::{json, Value};
use std::{
	panic::{catch_unwind, AssertUnwindSafe},
	sync::{Arc, OnceLock},
};

/// Bytes of a schema.
const MAX_SCHEMA_BYTES: usize = 64 * 1_024;
/// Bytes of tokens that may stand in JSON. Longer ones, runs of spaces, are left to shorter tokens.
const MAX_TOKEN_BYTES: usize = 512;
/// White space between the parts of an answer: a line and its indentation at most, for a small model
/// that may write space writes nothing else.
const WHITE_SPACE: &str = r"( |\n[ ]{0,32})";

/// What shape an answer has to have.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerFormat {
	/// Any text.
	Text,
	/// JSON that this schema describes.
	Json(Arc<Value>),
}

impl AnswerFormat {
	/// Reads `response_format`.
	pub fn read(fields: &mut Fields) -> Result<Self, OpenAiError> {
		let Some(mut format) = fields.object("response_format")? else { return Ok(Self::Text) };
		let kind = format.required_text("type")?;
		let format = match kind.as_str() {
			"text" => {
				format.finish()?;
				Self::Text
			},
			"json_object" => {
				format.finish()?;
				Self::Json(Arc::new(json!({"type": "object"})))
			},
			"json_schema" => {
				let named = format.object("json_schema")?;
				let mut named = named.ok_or_else(|| format.missing("json_schema"))?;
				format.finish()?;
				named.text("name")?;
				named.text("description")?;
				named.truth("strict")?;
				let schema = named.take("schema").ok_or_else(|| named.missing("schema"))?;
				named.finish()?;
				Self::Json(Arc::new(schema))
			},
			_ => {
				return Err(OpenAiError::field(
					"response_format.type",
					"`response_format.type` must be `text`, `json_object` or `json_schema`.",
				))
			},
		};
		match &format {
			Self::Json(schema) if schema.to_string().len() > MAX_SCHEMA_BYTES => {
				Err(bad_schema(format!("it has more than {MAX_SCHEMA_BYTES} bytes")))
			},
			_ => Ok(format),
		}
	}
}

fn bad_schema(why: impl std::fmt::Display) -> OpenAiError {
	let param = "response_format.json_schema.schema";
	OpenAiError::field(param, format!("The schema cannot be used: {why}."))
}

/// The grammars of one model's tokens, made when they are first asked for.
#[derive(Default)]
pub struct Grammars {
	factory: OnceLock<Option<ParserFactory>>,
}

impl std::fmt::Debug for Grammars {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.debug_struct("Grammars").finish_non_exhaustive()
	}
}

impl Grammars {
	/// What keeps an answer within a schema. Takes as long as the schema is large.
	pub fn constraint(&self, model: &ServingModel, schema: &Value) -> Result<Json, OpenAiError> {
		let factory = self.factory.get_or_init(|| factory(model));
		let factory = factory.as_ref().ok_or_else(|| {
			OpenAiError::unsupported("response_format", "This model cannot be held to JSON.")
		})?;
		let mut schema = match schema {
			Value::Object(schema) => schema.clone(),
			_ => return Err(bad_schema("it is not an object")),
		};
		schema.insert("x-guidance".into(), json!({"whitespace_pattern": WHITE_SPACE}));
		let grammar = TopLevelGrammar::from_json_schema(Value::Object(schema));
		let parser = catch_unwind(AssertUnwindSafe(|| factory.create_parser(grammar)));
		let parser = parser.map_err(|_| bad_schema("it is too intricate"))?;
		let matcher = Matcher::new(parser);
		match matcher.get_error() {
			Some(error) => Err(bad_schema(super::error::quoted(&error))),
			None => Ok(Json(matcher)),
		}
	}
}

fn factory(model: &ServingModel) -> Option<ParserFactory> {
	let made = catch_unwind(AssertUnwindSafe(|| {
		let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie(model)?));
		let nothing = InferenceCapabilities::default();
		let slices = SlicedBiasComputer::json_slices();
		let mut factory = ParserFactory::new(&environment, nothing, &slices).ok()?;
		factory.quiet();
		factory.limits_mut().verbose_errors = false;
		Some(factory)
	}));
	made.ok().flatten()
}

/// The model's tokens by their bytes.
fn trie(model: &ServingModel) -> Option<TokTrie> {
	let (config, tokenizer) = (model.config(), model.tokenizer());
	let size = u32::try_from(config.vocab_size).ok()?;
	let bytes = |id: u32| {
		let bytes = tokenizer.text_bytes(id).unwrap_or_default();
		match bytes {
			// A control token by its name, which no grammar of JSON allows.
			[] => tokenizer.token(id).map_or_else(Vec::new, |name| {
				[&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat()
			}),
			bytes if bytes.len() > MAX_TOKEN_BYTES => Vec::new(),
			bytes => bytes.to_vec(),
		}
	};
	let tokens: Vec<Vec<u8>> = (0..size).map(bytes).collect();
	let ends = &config.eos_token_ids;
	let trie = TokTrie::from(&TokRxInfo::new(size, *ends.first()?), &tokens);
	Some(trie.with_eos_tokens(ends))
}

/// A grammar and how far an answer has come in it.
#[derive(Clone)]
pub struct Json(Matcher);

impl Constraint for Json {
	fn restrict(&mut self, logits: &mut [f32]) -> Result<(), ConstraintError> {
		let allowed = self.0.compute_mask_or_eos().map_err(broken)?;
		for (id, logit) in (0u32..).zip(logits) {
			let within = usize::try_from(id).is_ok_and(|id| id < allowed.len());
			if !within || !allowed.is_allowed(id) {
				*logit = f32::NEG_INFINITY;
			}
		}
		Ok(())
	}

	fn accept(&mut self, token: u32) -> Result<(), ConstraintError> {
		// Behind the end of the JSON there is only the model's end token, which is no part of it.
		if self.0.is_stopped() && !self.0.is_error() {
			return Ok(());
		}
		self.0.consume_token(token).map_err(broken)
	}
}

fn broken(error: impl std::fmt::Display) -> ConstraintError {
	ConstraintError(super::error::quoted(&error.to_string()))
}
