#!/usr/bin/env python3
"""Compares log-likelihoods of held items at a gateway with those of transformers on the same file.

    loglikelihood.py MODEL.gguf FAQ.jsonl --gateway http://127.0.0.1:9956 [--items 200]

As lm-eval does it for models behind OpenAI's API: the item is the prompt, `echo` and `logprobs` are on,
and nothing is generated. An item is a question and its answer; its score is the sum of the answer's
token log-probabilities. Ends with 1 if any item differs by more than the tolerance a token.
"""

import argparse
import json
import os
import sys
import urllib.request
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

# Sums in another order differ by this much in a log-probability, in nats.
TOLERANCE = 1e-3


def at_gateway(gateway, model, tokens, start):
	body = {"model": model, "prompt": tokens, "max_tokens": 0, "echo": True, "logprobs": 1, "temperature": 0}
	request = urllib.request.Request(
		f"{gateway}/v1/completions", json.dumps(body).encode(), {"content-type": "application/json"}
	)
	with urllib.request.urlopen(request) as response:
		choice = json.load(response)["choices"][0]
	return choice["logprobs"]["token_logprobs"][start:]


def at_transformers(model, tokens, start):
	with torch.no_grad():
		logits = model(torch.tensor([tokens])).logits[0]
	logprobs = torch.log_softmax(logits.double(), -1)
	return [logprobs[index - 1, tokens[index]].item() for index in range(start, len(tokens))]


def main():
	options = argparse.ArgumentParser()
	options.add_argument("model", type=Path)
	options.add_argument("items_file", type=Path)
	options.add_argument("--gateway", required=True)
	options.add_argument("--items", type=int, default=200)
	options = options.parse_args()

	place = {"pretrained_model_name_or_path": options.model.parent, "gguf_file": options.model.name}
	tokenizer = AutoTokenizer.from_pretrained(**place)
	model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32).eval()
	with urllib.request.urlopen(f"{options.gateway}/v1/models") as response:
		name = json.load(response)["data"][0]["id"]

	worst, total, tokens_seen = 0.0, 0.0, 0
	lines = options.items_file.read_text().splitlines()[: options.items]
	for line in lines:
		item = json.loads(line)
		question = tokenizer(item["q"] + "\n", add_special_tokens=False)["input_ids"]
		answer = tokenizer(item["a"], add_special_tokens=False)["input_ids"]
		tokens = question + answer
		ours = at_gateway(options.gateway, name, tokens, len(question))
		theirs = at_transformers(model, tokens, len(question))
		assert len(ours) == len(theirs) == len(answer)
		worst = max([worst, *(abs(a - b) for a, b in zip(ours, theirs))])
		total += abs(sum(ours) - sum(theirs))
		tokens_seen += len(answer)
	print(f"{len(lines)} items, {tokens_seen} answer tokens")
	print(f"largest difference of a token's log-probability: {worst:.2e} nats")
	print(f"mean difference of an item's log-likelihood: {total / len(lines):.2e} nats")
	if worst > TOLERANCE:
		sys.exit(f"more than {TOLERANCE} nats apart")


if __name__ == "__main__":
	main()
