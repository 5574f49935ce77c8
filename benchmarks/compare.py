#!/usr/bin/env python3
"""Runs ours and the peers one after the other, in rounds, and prints a table for each of ours.

Rounds take turns, so that a busy minute of the machine falls on everybody; each figure is the median
of its rounds, and the ratio is the median of the rounds' ratios.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
# Smaller is better for these; for all others larger is.
COSTS = {"s", "ms", "MiB"}


def measure(command):
	"""Runs a program that prints JSON lines: its name, and its figures by measure."""
	ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
	if ended.returncode != 0:
		sys.exit(f"{command[0]} ended with {ended.returncode}")
	lines = [json.loads(line) for line in ended.stdout.splitlines()]
	head = lines[0]
	return head, {(line["measure"], line["unit"]): line["value"] for line in lines[1:]}


def machine():
	cpu = next(
		line.split(":")[1].strip()
		for line in Path("/proc/cpuinfo").read_text().splitlines()
		if line.startswith("model name")
	)
	memory = int(Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
	return f"{os.cpu_count()} cores ({cpu}), {memory} GiB"


def number(value):
	return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def print_table(rounds, ours, peers):
	"""What `ours` measured, and beside it what the peers did."""
	print(f"\n| | {ours} | " + " | ".join(f"{name} | ratio" for name in peers) + " |")
	print("|---|" + "---:|" * (1 + 2 * len(peers)))
	for key in rounds[0][ours]:
		measured, unit = key
		middle = lambda name: statistics.median(figures[name][key] for figures in rounds)
		cells = [f"{measured} ({unit})", number(middle(ours))]
		for name in peers:
			if key not in rounds[0][name]:
				cells += ["", ""]
				continue
			ratio = statistics.median(figures[ours][key] / figures[name][key] for figures in rounds)
			ratio = 1 / ratio if unit in COSTS else ratio
			cells += [number(middle(name)), f"{ratio:.2f} ×"]
		print("| " + " | ".join(cells) + " |")


def main():
	options = argparse.ArgumentParser()
	options.add_argument("--ours", required=True, action="append", help="a program of ours")
	options.add_argument("--mixed", action="store_true", help="the peers decode batches of adapters")
	options.add_argument("--model", required=True)
	options.add_argument("--threads", default="2")
	options.add_argument("--rounds", type=int, default=2)
	options = options.parse_args()

	common = [options.model, "--threads", options.threads]
	python = lambda program: [sys.executable, str(HERE / program), *common]
	peer = [*python("peer_transformers.py"), *(["--mixed"] if options.mixed else [])]
	ours = [[*shlex.split(ours), *common] for ours in options.ours]
	commands = [*ours, peer, [*peer, "--dtype", "bfloat16"]]
	if options.mixed:
		commands.append(python("peer_llama_cpp.py"))
	versions, rounds = {}, []
	for turn in range(options.rounds):
		figures = {}
		for command in commands:
			head, values = measure(command)
			versions[head["system"]] = head["version"]
			figures[head["system"]] = values
			print(f"round {turn + 1}: {head['system']} done", file=sys.stderr)
		rounds.append(figures)

	names = list(rounds[0])
	ours, peers = names[: len(options.ours)], names[len(options.ours) :]
	print(f"\n{date.today()}, {machine()}, {options.threads} threads, {options.rounds} rounds, medians")
	for name in ours:
		print_table(rounds, name, peers)
	print("\nA ratio above 1 is in our favour, also where less is better.\n")
	for name, version in versions.items():
		print(f"- {name}: {version}")


if __name__ == "__main__":
	main()
