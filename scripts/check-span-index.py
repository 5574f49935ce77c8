#!/usr/bin/env python3
"""Recomputes the golden vectors of the span index from `docs/spec/span-index.md`.

It shares no code with the Rust crate, sorts suffixes as lists and finds spans by looking everywhere,
and needs only Python's standard library, so that a mistake in the crate cannot hide in its vectors.
With `--write` it writes what it expects of the inputs into the vectors.
"""

import importlib.util
import json
import math
import struct
import sys
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "offchain-workers" / "attribution" / "tests" / "vectors" / "span-index.json"
MIN_SPAN_WORDS, MAX_CLAIM_SPANS, CHUNK = 4, 64, 1024
CLAIM_PARTS, MAX_GAIN = 1_000_000, (1 << 32) - 1
END = ""

# Records and trees are specified on a page of their own, which has a script of its own.
spec = importlib.util.spec_from_file_location("records", ROOT / "scripts" / "check-vectors.py")
records = importlib.util.module_from_spec(spec)
spec.loader.exec_module(records)
u32, u64, domain_hash = records.u32, records.u64, records.domain_hash


# Words


def is_word_character(character):
	category = unicodedata.category(character)
	# The standard library does not know the property `Alphabetic`, which some marks and symbols have;
	# of the marks that the vectors may contain, only U+0345 has it.
	known_mark = "\u0300" <= character <= "\u036f" and character != "\u0345"
	if category[0] == "M" and not known_mark or category == "So" and character > "\u00ff":
		raise ValueError(f"unknown whether U+{ord(character):04X} is alphabetic")
	return category[0] in "LN"


def words(text):
	"""The words of a text with the bytes at which they begin and end."""
	found, start, at = [], None, 0
	for character in text + " ":
		if is_word_character(character):
			if start is None:
				start, word = at, ""
			word += character
		elif start is not None:
			found.append((word.lower(), start, at))
			start = None
		at += len(character.encode("utf-8"))
	return found


def canonical(record):
	"""A record's bytes and its passages."""
	if "text" in record:
		text = records.canonical_text(record["text"])
		return text, [text.decode("utf-8")]
	values = {name: records.canonical_text(value) for name, value in record["fields"]}
	by_name = sorted(values.items(), key=lambda field: records.canonical_text(field[0]))
	return records.canonical_fields(record["fields"]), [value.decode("utf-8") for _, value in by_name]


# The index


class Index:
	def __init__(self, contributions):
		owners = sorted(contributions, key=lambda c: (c["contributed_at"], c["datanet"], c["index"]))
		self.text, self.places, record_leaves = [], [], []
		self.leaves = {}
		for contribution in owners:
			name = (contribution["datanet"], contribution["index"])
			leaves = self.leaves[name] = []
			for number, record in enumerate(contribution["records"]):
				data, passages = canonical(record)
				leaves.append(records.record_leaf(bytes.fromhex(record["salt"]), data))
				record_leaves.append(
					domain_hash(
						"openledger/span-index-record",
						u64(contribution["contributed_at"]),
						*(u32(part) for part in (*name, number)),
						leaves[-1],
						u32(len(self.text)),
					)
				)
				counted = 0
				for passage in passages:
					for word, _, _ in words(passage):
						self.text.append(word.encode("utf-8"))
						self.places.append((*name, number, counted))
						counted += 1
					self.text.append(END)
					self.places.append(None)
		starts = [at for at, word in enumerate(self.text) if word != END]
		self.suffixes = sorted(starts, key=lambda at: (self.suffix(at), at))
		chunks = [
			domain_hash("openledger/span-index-chunk", *map(u32, self.suffixes[at : at + CHUNK]))
			for at in range(0, len(self.suffixes), CHUNK)
		]
		self.record_count = len(record_leaves)
		root_of = lambda leaves: records.merkle_root(leaves) if leaves else bytes(32)
		self.root = domain_hash(
			"openledger/span-index",
			u32(len(record_leaves)),
			u32(len(self.text)),
			u32(len(self.suffixes)),
			root_of(record_leaves),
			root_of(chunks),
		)

	def suffix(self, at):
		return self.text[at : self.text.index(END, at)]

	def occurrences(self, run):
		count = len(run)
		return [at for at in range(len(self.text)) if self.text[at : at + count] == run]

	def maximal_spans(self, run):
		occurring = [
			(start, end)
			for start in range(len(run))
			for end in range(start + MIN_SPAN_WORDS, len(run) + 1)
			if self.occurrences(run[start:end])
		]
		contains = lambda a, b: a != b and a[0] <= b[0] and b[1] <= a[1]
		return [span for span in occurring if not any(contains(other, span) for other in occurring)]


# Gains and choice


def micro(gain):
	single = struct.unpack("<f", struct.pack("<f", gain))[0]
	return min(math.floor(max(single, 0.0) * 1e6 + 0.5), MAX_GAIN)


def gain_on(tokens, first, last):
	total = 0
	for start, end, gain in tokens:
		if start == end:
			total += micro(gain) if first <= start < last else 0
		else:
			there = max(0, min(end, last) - max(start, first))
			total += micro(gain) * there // (end - start)
	return total


def choose(spans, gain_of):
	chosen = []
	while spans and len(chosen) < 2 * MAX_CLAIM_SPANS:
		best = max(spans, key=lambda span: (gain_of(span), span[1] - span[0], -span[0]))
		chosen.append(best)
		pieces = []
		for start, end in spans:
			if end <= best[0] or best[1] <= start:
				pieces.append((start, end))
			else:
				pieces += [(start, min(end, best[0])), (max(start, best[1]), end)]
		spans = [span for span in pieces if span[1] - span[0] >= MIN_SPAN_WORDS]
	return chosen


def span_bytes(index, run, span, gain):
	start, end = span
	datanet, contribution, number, record_start = index.places[index.occurrences(run[start:end])[0]]
	leaves = index.leaves[datanet, contribution]
	return (
		u32(datanet)
		+ u32(contribution)
		+ leaves[number]
		+ records.merkle_proof(leaves, number)
		+ b"".join(map(u32, (start, record_start, end - start, min(gain, MAX_GAIN))))
	)


def shares(spans):
	gains = {}
	for span in spans:
		owner = struct.unpack("<II", span[:8])
		gains[owner] = gains.get(owner, 0) + struct.unpack("<I", span[-4:])[0]
	if not gains:
		return []
	owners = sorted(gains)
	parts = records.divide(CLAIM_PARTS, [gains[owner] for owner in owners])
	return [[*owner, part] for owner, part in zip(owners, parts) if part]


# Vectors


def expected(case):
	index = Index(case["contributions"])
	answer = words(case["answer"])
	run = [word.encode("utf-8") for word, _, _ in answer]
	bytes_of = lambda span: (answer[span[0]][1], answer[span[1] - 1][2])
	gain_of = lambda span: gain_on(case["token_gains"], *bytes_of(span))
	maximal = index.maximal_spans(run)
	matches = []
	for span in maximal:
		found = index.occurrences(run[span[0] : span[1]])
		matches.append(
			{
				"words": list(span),
				"bytes": list(bytes_of(span)),
				"count": len(found),
				"occurrences": [list(index.places[at]) for at in found[:10]],
			}
		)
	chosen = choose(maximal, gain_of)
	paid = [span for span in chosen[:MAX_CLAIM_SPANS] if gain_of(span) > 0]
	unpaid = [span for span in chosen if span not in paid][:MAX_CLAIM_SPANS]
	encode = lambda spans: [span_bytes(index, run, span, gain_of(span)) for span in sorted(spans)]
	spans = encode(paid)
	hashes = [domain_hash("openledger/span", span) for span in spans]
	return {
		"records": index.record_count,
		"words": len(index.suffixes),
		"distinct_words": len(set(index.text) - {END}),
		"root": index.root.hex(),
		"matches": matches,
		"spans": [span.hex() for span in spans],
		"unpaid": [span.hex() for span in encode(unpaid)],
		"shares": shares(spans),
		"evidence_root": (records.merkle_root(hashes) if hashes else bytes(32)).hex(),
	}


def main():
	cases = json.loads(VECTORS.read_text(encoding="utf-8"))
	if "--write" in sys.argv[1:]:
		for case in cases:
			case["expected"] = expected(case)
		VECTORS.write_text(json.dumps(cases, indent="\t", ensure_ascii=False) + "\n", encoding="utf-8")
		return 0
	wrong = [case["name"] for case in cases if case["expected"] != expected(case)]
	for name in wrong:
		print(f"{name}: not as {VECTORS.name} has it")
	print(f"{len(cases) - len(wrong)} of {len(cases)} vectors agree")
	return 1 if wrong else 0


if __name__ == "__main__":
	sys.exit(main())
