//! A model's files, opened: everything but the weights, which a forward pass then reads in its own form.

use std::path::Path;

use crate::{
	chat::ChatTemplate, config::LlamaConfig, error::LoadError, huggingface::HuggingFaceModel,
	llama_gguf::GgufModel, model::MAX_CONTEXT, tokenizer::Tokenizer, weights::WeightSource,
};

/// A model whose weights are still to be read.
pub(crate) struct OpenedModel {
	pub(crate) config: LlamaConfig,
	pub(crate) tokenizer: Tokenizer,
	pub(crate) chat: Option<ChatTemplate>,
	pub(crate) source: Box<dyn WeightSource + Send>,
}

impl OpenedModel {
	/// Opens a GGUF file of the `llama` architecture.
	pub(crate) fn gguf(path: &Path) -> Result<Self, LoadError> {
		let mut source = GgufModel::open(path)?;
		let config = source.config()?;
		let tokenizer = source.tokenizer()?;
		let chat = source.chat_template(&tokenizer)?;
		Self { config, tokenizer, chat, source: Box::new(source) }.checked()
	}

	/// Opens a Hugging Face directory.
	pub(crate) fn huggingface(directory: &Path) -> Result<Self, LoadError> {
		let source = HuggingFaceModel::open(directory)?;
		let config = source.config()?;
		let tokenizer = source.tokenizer()?;
		let chat = source.chat_template()?;
		Self { config, tokenizer, chat, source: Box::new(source) }.checked()
	}

	fn checked(self) -> Result<Self, LoadError> {
		let (tokens, vocab_size) = (self.tokenizer.vocab_size(), self.config.vocab_size);
		if tokens > vocab_size {
			return Err(LoadError::VocabularyMismatch { tokens, vocab_size });
		}
		Ok(self)
	}

	/// Longest sequence, tokens, when `wanted` are asked for.
	pub(crate) fn max_context(&self, wanted: usize) -> usize {
		wanted.clamp(1, MAX_CONTEXT).min(self.config.max_position_embeddings)
	}
}
