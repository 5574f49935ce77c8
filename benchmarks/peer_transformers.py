#!/usr/bin/env python3
"""Measures transformers and PEFT on the CPU: what OpenLedger's engine and trainer are compared with.

    peer_transformers.py MODEL.gguf --threads 2 --dtype float32

The same model file, prompts, batch sizes and LoRA settings as the Rust program
(`offchain-workers/trainer/examples/benchmark.rs`, with `--mixed` those of
`offchain-workers/engine/examples/serving_benchmark.rs`); one JSON object a line on standard output.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import peft
import torch
import transformers
from transformers import AutoModelForCausalLM

PROMPT = [1_000 + (index * 37) % 20_000 for index in range(128)]
TRAINING_BATCH = [[1_000 + (index * 37 + row * 101) % 20_000 for index in range(64)] for row in range(4)]


def emit(measure, unit, value):
	print(json.dumps({"measure": measure, "unit": unit, "value": value}), flush=True)


def memory(field):
	lines = Path("/proc/self/status").read_text().splitlines()
	return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def timed(call):
	start = time.perf_counter()
	call()
	return time.perf_counter() - start


def prefill(model):
	def once():
		model(torch.tensor([PROMPT]), use_cache=True, logits_to_keep=1).logits[:, -1].argmax(-1).item()

	for _ in range(2):
		once()
	emit("prefill 128", "tokens/s", 128 / statistics.median(timed(once) for _ in range(7)))


def decode(model, batch):
	prompts = torch.tensor([[token + row for token in PROMPT[:64]] for row in range(batch)])
	state = model(prompts, use_cache=True, logits_to_keep=1)

	def once():
		nonlocal state
		tokens = state.logits[:, -1].argmax(-1, keepdim=True)
		state = model(tokens, past_key_values=state.past_key_values, use_cache=True, logits_to_keep=1)
		state.logits[:, -1].argmax(-1).tolist()

	emit(f"decode, batch {batch}", "tokens/s", batch / statistics.median(timed(once) for _ in range(64)))


def decode_mixed(model, batch, distinct):
	"""PEFT's mixed batch: each row names its adapter; rank 8 on q and v, as in `serving_benchmark.rs`."""
	config = peft.LoraConfig(
		r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
	)
	mixed = peft.get_peft_model(model, config, adapter_name="adapter0")
	for index in range(1, batch if distinct else 1):
		mixed.add_adapter(f"adapter{index}", config)
	mixed.eval()
	names = [f"adapter{row if distinct else 0}" for row in range(batch)]
	prompts = torch.tensor([[token + row for token in PROMPT[:64]] for row in range(batch)])
	state = mixed(input_ids=prompts, use_cache=True, logits_to_keep=1, adapter_names=names)

	def once():
		nonlocal state
		tokens = state.logits[:, -1].argmax(-1, keepdim=True)
		state = mixed(
			input_ids=tokens,
			past_key_values=state.past_key_values,
			use_cache=True,
			logits_to_keep=1,
			adapter_names=names,
		)
		state.logits[:, -1].argmax(-1).tolist()

	what = "an adapter each" if distinct else "one adapter"
	speed = batch / statistics.median(timed(once) for _ in range(24))
	emit(f"decode, batch {batch}, {what}", "tokens/s", speed)
	mixed.unload()


def train(model):
	config = peft.LoraConfig(
		r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], lora_dropout=0.0, task_type="CAUSAL_LM"
	)
	model = peft.get_peft_model(model, config)
	model.train()
	leaves = [parameter for parameter in model.parameters() if parameter.requires_grad]
	optimiser = torch.optim.AdamW(leaves, lr=1e-3, weight_decay=0.0)
	batch = torch.tensor(TRAINING_BATCH)

	def once():
		model(input_ids=batch, labels=batch).loss.backward()
		torch.nn.utils.clip_grad_norm_(leaves, 1.0)
		optimiser.step()
		optimiser.zero_grad()

	once()
	emit("LoRA step, 4 × 64", "tokens/s", 256 / statistics.median(timed(once) for _ in range(7)))


def main():
	options = argparse.ArgumentParser()
	options.add_argument("model", type=Path)
	options.add_argument("--threads", type=int, default=2)
	options.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
	options.add_argument("--mixed", action="store_true", help="batches of adapters instead of training")
	options = options.parse_args()

	torch.set_num_threads(options.threads)
	name = {"float32": "f32", "bfloat16": "bf16"}[options.dtype]
	versions = f"torch {torch.__version__}, transformers {transformers.__version__}, PEFT {peft.__version__}"
	print(json.dumps({"system": f"transformers {name}", "version": versions}), flush=True)

	start = time.perf_counter()
	model = AutoModelForCausalLM.from_pretrained(
		options.model.parent, gguf_file=options.model.name, dtype=getattr(torch, options.dtype)
	)
	model.eval()
	emit("load", "s", time.perf_counter() - start)
	with torch.no_grad():
		prefill(model)
		for batch in [1, 8, 32]:
			decode(model, batch)
		if options.mixed:
			for batch in [8, 32]:
				decode_mixed(model, batch, distinct=False)
				decode_mixed(model, batch, distinct=True)
	if options.mixed:
		return
	emit("peak memory, generation", "MiB", memory("VmHWM"))
	# The peak of training alone, as far as the kernel lets us begin anew.
	Path("/proc/self/clear_refs").write_text("5")
	train(model)
	emit("peak memory, training", "MiB", memory("VmHWM"))


if __name__ == "__main__":
	main()
