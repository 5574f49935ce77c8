#!/usr/bin/env python3
"""Measures llama.cpp on the CPU, by its C interface, beside OpenLedger's serving path.

    peer_llama_cpp.py MODEL.gguf --threads 2

The same model file, in the format that it has, and the prompts and batch sizes of
`peer_transformers.py`; one JSON object a line on standard output.
"""

import argparse
import ctypes
import json
import statistics
import time
from importlib.metadata import version

import llama_cpp
import numpy

PROMPT = [1_000 + (index * 37) % 20_000 for index in range(128)]
BATCHES = [1, 8, 32]
# Tokens of a sequence, at most.
CONTEXT = 256


def emit(measure, unit, value):
	print(json.dumps({"measure": measure, "unit": unit, "value": value}), flush=True)


def timed(call):
	start = time.perf_counter()
	call()
	return time.perf_counter() - start


class Sequences:
	"""A context with room for a batch of sequences."""

	def __init__(self, model, threads):
		options = llama_cpp.llama_context_default_params()
		options.n_ctx = CONTEXT * max(BATCHES)
		options.n_batch = options.n_ubatch = 512
		options.n_seq_max = max(BATCHES)
		options.n_threads = options.n_threads_batch = threads
		self.context = llama_cpp.llama_init_from_model(model, options)
		assert self.context, "llama.cpp has no context for this model"
		self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
		self.batch = llama_cpp.llama_batch_init(options.n_batch, 0, 1)

	def clear(self):
		llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

	def step(self, rows):
		"""Adds `(sequence, position, token, whether logits are wanted)` and gives the most likely next
		token of each row with logits."""
		self.batch.n_tokens = len(rows)
		for index, (sequence, position, token, wanted) in enumerate(rows):
			self.batch.token[index] = token
			self.batch.pos[index] = position
			self.batch.n_seq_id[index] = 1
			self.batch.seq_id[index][0] = sequence
			self.batch.logits[index] = wanted
		assert llama_cpp.llama_decode(self.context, self.batch) == 0, "llama_decode failed"
		best = []
		for index, row in enumerate(rows):
			if row[3]:
				logits = llama_cpp.llama_get_logits_ith(self.context, index)
				best.append(int(numpy.ctypeslib.as_array(logits, (self.vocabulary,)).argmax()))
		return best


def prefill(sequences):
	def once():
		sequences.clear()
		last = len(PROMPT) - 1
		sequences.step([(0, position, token, position == last) for position, token in enumerate(PROMPT)])

	for _ in range(2):
		once()
	emit("prefill 128", "tokens/s", 128 / statistics.median(timed(once) for _ in range(7)))


def decode(sequences, batch):
	sequences.clear()
	prompt = PROMPT[:64]
	tokens = []
	for row in range(batch):
		rows = [(row, position, token + row, position == 63) for position, token in enumerate(prompt)]
		tokens += sequences.step(rows)
	position = len(prompt)

	def once():
		nonlocal tokens, position
		tokens = sequences.step([(row, position, token, True) for row, token in enumerate(tokens)])
		position += 1

	emit(f"decode, batch {batch}", "tokens/s", batch / statistics.median(timed(once) for _ in range(64)))


def main():
	options = argparse.ArgumentParser()
	options.add_argument("model")
	options.add_argument("--threads", type=int, default=2)
	options = options.parse_args()

	# Kept alive as long as llama.cpp may call it.
	silence = llama_cpp.llama_log_callback(lambda level, text, data: None)
	llama_cpp.llama_log_set(silence, ctypes.c_void_p(0))
	llama_cpp.llama_backend_init()

	start = time.perf_counter()
	model = llama_cpp.llama_model_load_from_file(
		options.model.encode(), llama_cpp.llama_model_default_params()
	)
	assert model, f"llama.cpp cannot load {options.model}"
	loaded = time.perf_counter() - start
	described = ctypes.create_string_buffer(128)
	llama_cpp.llama_model_desc(model, described, len(described))
	kind = described.value.decode().split()[-1]

	name = f"llama.cpp {kind}"
	print(json.dumps({"system": name, "version": f"llama-cpp-python {version('llama-cpp-python')}"}), flush=True)
	emit("load", "s", loaded)
	sequences = Sequences(model, options.threads)
	prefill(sequences)
	for batch in BATCHES:
		decode(sequences, batch)


if __name__ == "__main__":
	main()
