//! Byte-level BPE tokenizers: the `tokenizers` crate, and the bytes behind each token.

use std::collections::HashMap;

use serde_json::{json, Map, Value};
use tokenizers::{decoders::DecoderWrapper, models::ModelWrapper};

use crate::text::{DecodedText, TextBuilder};

/// Bytes of a `tokenizer.json`; those of the largest vocabularies have some tens of millions.
pub const MAX_TOKENIZER_FILE: u64 = 64 << 20;
/// Bytes of a text to be encoded: more than any context holds.
pub const MAX_TEXT: usize = 4 << 20;

/// Why a tokenizer cannot be loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
	#[error("tokenizer.json is not valid: {0}")]
	Invalid(String),
	#[error("the tokenizer has the unsupported {part} `{kind}`: only byte-level BPE is supported")]
	Unsupported { part: &'static str, kind: String },
	#[error("the token `{0}` stands twice in the vocabulary")]
	DuplicateToken(String),
	#[error("the merge `{0}` is not two pieces with a space between them")]
	BadMerge(String),
	#[error("the added token `{token}` has the id {found}, but the file says {declared}")]
	AddedTokenId { token: String, declared: u64, found: u64 },
	#[error("the text has {bytes} bytes, more than the {MAX_TEXT} allowed")]
	TextTooLong { bytes: usize },
	#[error("encoding failed: {0}")]
	Encode(String),
	#[error("token {0} does not exist")]
	NoSuchToken(u32),
}

/// The tokenizer in a GGUF file's metadata.
#[derive(Debug)]
pub(crate) struct GgufVocabulary<'a> {
	/// `tokenizer.ggml.model`.
	pub model: &'a str,
	/// `tokenizer.ggml.pre`.
	pub pre_tokenizer: &'a str,
	pub tokens: &'a [String],
	pub merges: &'a [String],
	/// Ids of control tokens.
	pub special: Vec<usize>,
	/// Ids of tokens that are found in text as a whole, but are not control tokens.
	pub added: Vec<usize>,
}

/// A byte-level BPE tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
	inner: tokenizers::Tokenizer,
	/// What each token stands for, by id.
	pieces: Vec<Piece>,
}

#[derive(Debug, Default)]
struct Piece {
	bytes: Box<[u8]>,
	special: bool,
}

impl Tokenizer {
	/// Loads a `tokenizer.json`. Truncation and padding that it asks for are dropped: lengths are
	/// the caller's business.
	pub fn from_json(bytes: &[u8]) -> Result<Self, TokenizerError> {
		let invalid = |error: &dyn ToString| TokenizerError::Invalid(error.to_string());
		let mut json: Value = serde_json::from_slice(bytes).map_err(|e| invalid(&e))?;
		check_kind(&json)?;
		if let Some(object) = json.as_object_mut() {
			object.insert("truncation".into(), Value::Null);
			object.insert("padding".into(), Value::Null);
		}
		let declared: Vec<(String, u64)> = json
			.get("added_tokens")
			.and_then(Value::as_array)
			.into_iter()
			.flatten()
			.filter_map(|token| {
				Some((token.get("content")?.as_str()?.into(), token.get("id")?.as_u64()?))
			})
			.collect();
		let inner: tokenizers::Tokenizer = serde_json::from_value(json).map_err(|e| invalid(&e))?;
		if !matches!(inner.get_model(), ModelWrapper::BPE(_)) {
			return Err(unsupported("model", "not BPE"));
		}
		if !matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_))) {
			return Err(unsupported("decoder", "not ByteLevel"));
		}
		for (token, declared) in declared {
			let found = inner.token_to_id(&token).map_or(u64::MAX, u64::from);
			if found != declared {
				return Err(TokenizerError::AddedTokenId { token, declared, found });
			}
		}
		let pieces = pieces(&inner);
		Ok(Self { inner, pieces })
	}

	/// Builds the tokenizer that a GGUF file describes. Supported is the byte-level `gpt2` model
	/// with the pre-tokenizers `smollm` (single digits) and `gpt-2`.
	pub(crate) fn from_gguf(vocabulary: GgufVocabulary<'_>) -> Result<Self, TokenizerError> {
		if vocabulary.model != "gpt2" {
			return Err(unsupported("GGUF tokenizer model", vocabulary.model));
		}
		let mut pre_tokenizers = vec![byte_level_json()];
		match vocabulary.pre_tokenizer {
			"smollm" => {
				pre_tokenizers.insert(0, json!({ "type": "Digits", "individual_digits": true }))
			},
			"gpt-2" | "default" => {},
			other => return Err(unsupported("pre-tokenizer", other)),
		}
		let mut vocab = Map::new();
		for (id, token) in vocabulary.tokens.iter().enumerate() {
			if vocab.insert(token.clone(), id.into()).is_some() {
				return Err(TokenizerError::DuplicateToken(token.clone()));
			}
		}
		let merges = vocabulary
			.merges
			.iter()
			.map(|merge| match merge.split_once(' ') {
				Some((left, right)) => Ok(json!([left, right])),
				None => Err(TokenizerError::BadMerge(merge.clone())),
			})
			.collect::<Result<Vec<_>, _>>()?;
		let mut added: Vec<(usize, bool)> =
			vocabulary.special.iter().map(|id| (*id, true)).collect();
		added.extend(vocabulary.added.iter().map(|id| (*id, false)));
		added.sort_unstable();
		let added: Vec<Value> = added
			.into_iter()
			.filter_map(|(id, special)| {
				let token = vocabulary.tokens.get(id)?;
				Some(added_token_json(id, token, special))
			})
			.collect();
		let json = byte_level_bpe_json(vocab, merges, pre_tokenizers, added);
		Self::from_json(json.to_string().as_bytes())
	}

	/// Number of tokens; ids lie below it.
	pub fn vocab_size(&self) -> usize {
		self.pieces.len()
	}

	/// Text to token ids. Special tokens that stand in the text in writing (`<|im_end|>`) become
	/// those tokens, as in transformers; `add_special_tokens` adds those that the tokenizer puts
	/// around every text, which chat templates write themselves.
	pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, TokenizerError> {
		if text.len() > MAX_TEXT {
			return Err(TokenizerError::TextTooLong { bytes: text.len() });
		}
		let encoding = self
			.inner
			.encode_fast(text, add_special_tokens)
			.map_err(|error| TokenizerError::Encode(error.to_string()))?;
		Ok(encoding.get_ids().to_vec())
	}

	/// Token ids to text, without special tokens, and the bytes of it that each contributed.
	pub fn decode(&self, tokens: &[u32]) -> Result<DecodedText, TokenizerError> {
		let mut builder = TextBuilder::default();
		for &token in tokens {
			builder.push(self.text_bytes(token)?);
		}
		Ok(builder.finish())
	}

	/// The bytes that a token contributes to decoded text: none for a special token.
	pub fn text_bytes(&self, token: u32) -> Result<&[u8], TokenizerError> {
		let piece = self.piece(token).ok_or(TokenizerError::NoSuchToken(token))?;
		Ok(if piece.special { &[] } else { &piece.bytes })
	}

	/// A control token, which stands for no text.
	pub fn is_special(&self, token: u32) -> bool {
		self.piece(token).is_some_and(|piece| piece.special)
	}

	/// The id of a token in writing (`<|im_end|>`, `Ġthe`).
	pub fn token_id(&self, token: &str) -> Option<u32> {
		self.inner.token_to_id(token)
	}

	/// A token in writing.
	pub fn token(&self, id: u32) -> Option<String> {
		self.inner.id_to_token(id)
	}

	fn piece(&self, token: u32) -> Option<&Piece> {
		self.pieces.get(usize::try_from(token).ok()?)
	}
}

fn unsupported(part: &'static str, kind: &str) -> TokenizerError {
	TokenizerError::Unsupported { part, kind: kind.into() }
}

/// Refuses models of other kinds before the `tokenizers` crate builds them, and BPE with affixes:
/// it cuts merges at a declared affix's length without looking.
fn check_kind(json: &Value) -> Result<(), TokenizerError> {
	let model = json.get("model").unwrap_or(&Value::Null);
	// Older files leave the type out.
	let kind = model.get("type").and_then(Value::as_str).unwrap_or("BPE");
	if kind != "BPE" {
		return Err(unsupported("model", kind));
	}
	for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
		let value = model.get(affix).unwrap_or(&Value::Null);
		if !value.is_null() && value.as_str() != Some("") {
			return Err(unsupported("model option", affix));
		}
	}
	let decoder = json.get("decoder").and_then(|decoder| decoder.get("type"));
	match decoder.and_then(Value::as_str) {
		Some("ByteLevel") => Ok(()),
		other => Err(unsupported("decoder", other.unwrap_or("none"))),
	}
}

fn pieces(inner: &tokenizers::Tokenizer) -> Vec<Piece> {
	let mut pieces = Vec::new();
	let byte_of = byte_of_char();
	let size = inner.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1);
	// Ids may leave gaps, but not many more than there are tokens.
	let limit = inner.get_vocab_size(true).saturating_mul(2);
	let added = inner.get_added_tokens_decoder();
	for id in 0..size.min(limit) as u32 {
		let Some(token) = inner.id_to_token(id) else {
			pieces.push(Piece::default());
			continue;
		};
		let bytes: Option<Vec<u8>> = token.chars().map(|c| byte_of.get(&c).copied()).collect();
		pieces.push(Piece {
			// As the ByteLevel decoder does: a token with other characters stands for itself.
			bytes: bytes.unwrap_or_else(|| token.into_bytes()).into(),
			special: added.get(&id).is_some_and(|token| token.special),
		});
	}
	pieces
}

/// GPT-2's `bytes_to_unicode`, backwards: printable Latin-1 characters stand for their own byte,
/// the others, in order, for U+0100 and on.
fn byte_of_char() -> HashMap<char, u8> {
	char_of_byte().into_iter().zip(0..=u8::MAX).collect()
}

/// GPT-2's `bytes_to_unicode`.
pub(crate) fn char_of_byte() -> [char; 256] {
	let mut table = ['\0'; 256];
	let mut others = '\u{100}'..;
	for (byte, slot) in (0..=u8::MAX).zip(&mut table) {
		*slot = match byte {
			b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
			_ => others.next().unwrap_or_default(),
		};
	}
	table
}

pub(crate) fn byte_level_json() -> Value {
	json!({
		"type": "ByteLevel",
		"add_prefix_space": false,
		"trim_offsets": true,
		"use_regex": true,
	})
}

pub(crate) fn added_token_json(id: usize, content: &str, special: bool) -> Value {
	json!({
		"id": id,
		"content": content,
		"single_word": false,
		"lstrip": false,
		"rstrip": false,
		"normalized": false,
		"special": special,
	})
}

/// A byte-level BPE in the form of `tokenizer.json`.
pub(crate) fn byte_level_bpe_json(
	vocab: Map<String, Value>,
	merges: Vec<Value>,
	pre_tokenizers: Vec<Value>,
	added_tokens: Vec<Value>,
) -> Value {
	json!({
		"version": "1.0",
		"truncation": null,
		"padding": null,
		"added_tokens": added_tokens,
		"normalizer": null,
		"pre_tokenizer": { "type": "Sequence", "pretokenizers": pre_tokenizers },
		"post_processor": null,
		"decoder": byte_level_json(),
		"model": {
			"type": "BPE",
			"dropout": null,
			"unk_token": null,
			"continuing_subword_prefix": null,
			"end_of_word_suffix": null,
			"fuse_unk": false,
			"byte_fallback": false,
			"ignore_merges": false,
			"vocab": vocab,
			"merges": merges,
		},
	})
}

#[cfg(test)]
mod tests {
	use super::*;

	fn vocabulary(tokens: &[String], merges: &[String]) -> Result<Tokenizer, TokenizerError> {
		Tokenizer::from_gguf(GgufVocabulary {
			model: "gpt2",
			pre_tokenizer: "smollm",
			tokens,
			merges,
			special: vec![0],
			added: vec![],
		})
	}

	/// A control token, all bytes, and one merge.
	fn bytes_and_one_merge() -> Tokenizer {
		let mut tokens = vec!["<|end|>".to_string()];
		tokens.extend(char_of_byte().iter().map(char::to_string));
		tokens.push("he".into());
		vocabulary(&tokens, &["h e".into()]).unwrap()
	}

	#[test]
	fn encode_and_decode_should_round_trip_with_ranges() {
		let tokenizer = bytes_and_one_merge();
		assert_eq!(tokenizer.vocab_size(), 258);
		let tokens = tokenizer.encode("he €<|end|>", false).unwrap();
		assert_eq!(tokens.len(), 6);
		assert_eq!((tokens[0], tokens[5]), (257, 0));
		let decoded = tokenizer.decode(&tokens).unwrap();
		assert_eq!(decoded.text, "he €");
		assert_eq!(decoded.ranges, [0..2, 2..3, 3..4, 4..5, 5..6, 6..6]);
		assert!(tokenizer.is_special(0) && !tokenizer.is_special(257));
		assert!(matches!(tokenizer.decode(&[258]), Err(TokenizerError::NoSuchToken(258))));
	}

	#[test]
	fn oversized_texts_should_be_refused() {
		let error = bytes_and_one_merge().encode(&"a".repeat(MAX_TEXT + 1), false).unwrap_err();
		assert!(matches!(error, TokenizerError::TextTooLong { .. }));
	}

	#[test]
	fn broken_vocabularies_should_be_refused_by_name() {
		let tokens = ["<|end|>".to_string(), "a".into(), "a".into()];
		assert!(
			matches!(vocabulary(&tokens, &[]), Err(TokenizerError::DuplicateToken(t)) if t == "a")
		);
		let tokens = ["<|end|>".to_string(), "a".into(), "b".into()];
		let merge = |merge: &str| vocabulary(&tokens, &[merge.into()]).unwrap_err();
		assert!(matches!(merge("ab"), TokenizerError::BadMerge(m) if m == "ab"));
		assert!(matches!(merge("a c"), TokenizerError::Invalid(_)));
	}

	#[test]
	fn other_kinds_of_tokenizer_should_be_refused_by_name() {
		let refuse = |json: Value| Tokenizer::from_json(json.to_string().as_bytes()).unwrap_err();
		let bpe = || byte_level_bpe_json(Map::new(), vec![], vec![byte_level_json()], vec![]);
		let mut json = bpe();
		json["model"]["type"] = "Unigram".into();
		assert!(matches!(refuse(json), TokenizerError::Unsupported { part: "model", .. }));
		let mut json = bpe();
		json["decoder"] = Value::Null;
		assert!(matches!(refuse(json), TokenizerError::Unsupported { part: "decoder", .. }));
		let mut json = bpe();
		json["model"]["continuing_subword_prefix"] = "a long prefix".into();
		assert!(matches!(refuse(json), TokenizerError::Unsupported { part: "model option", .. }));
		assert!(matches!(refuse(Value::Null), TokenizerError::Unsupported { .. }));
		assert!(matches!(Tokenizer::from_json(b"{"), Err(TokenizerError::Invalid(_))));
	}
}
