#!/usr/bin/env python3
"""Recomputes the golden vectors of `primitives/tests/vectors` from `docs/spec/records-and-proofs.md`.

It shares no code with the Rust crate and needs only Python's standard library, so that a mistake
in the crate cannot hide in its own vectors.
"""

import hashlib
import json
import struct
import sys
import unicodedata
from pathlib import Path

VECTORS = Path(__file__).resolve().parent.parent / "primitives" / "tests" / "vectors"
MAX_RECORD_BYTES = 1 << 20
WHITE_SPACE = frozenset(
	[*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029]
	+ [0x202F, 0x205F, 0x3000]
)


def u32(number):
	return struct.pack("<I", number)


def u64(number):
	return struct.pack("<Q", number)


def domain_hash(domain, *parts):
	name = domain.encode("ascii")
	state = hashlib.blake2b(bytes([len(name)]) + name, digest_size=32)
	for part in parts:
		state.update(part)
	return state.digest()


# Records


class Refused(Exception):
	pass


def canonical_text(text):
	for character in text:
		code = ord(character)
		is_control = code < 0x20 or 0x7F <= code < 0xA0
		is_noncharacter = 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
		if is_noncharacter or (is_control and code not in WHITE_SPACE):
			raise Refused(f"U+{code:04X}")
	words, word = [], []
	for character in unicodedata.normalize("NFC", text) + " ":
		if ord(character) not in WHITE_SPACE:
			word.append(character)
		elif word:
			words.append("".join(word))
			word = []
	canonical = " ".join(words).encode("utf-8")
	if not canonical or len(canonical) > MAX_RECORD_BYTES:
		raise Refused("empty or too long")
	return canonical


def canonical_fields(fields):
	canonical = sorted((canonical_text(name), canonical_text(value)) for name, value in fields)
	names = {name for name, _ in canonical}
	if not 1 <= len(canonical) <= 64 or len(names) != len(canonical):
		raise Refused("number or names of fields")
	out = b"\0" + u32(len(canonical))
	for field in canonical:
		for text in field:
			out += u32(len(text)) + text
	if len(out) > MAX_RECORD_BYTES:
		raise Refused("too long")
	return out


def record_leaf(salt, canonical):
	return domain_hash("openledger/record-leaf", salt, u64(len(canonical)), canonical)


def salt_hash(salt):
	return domain_hash("openledger/record-salt", salt)


# SCALE: integers are little-endian, lists have a compact length before them.


def compact(number):
	if number < 1 << 6:
		return bytes([number << 2])
	if number < 1 << 14:
		return struct.pack("<H", number << 2 | 1)
	return u32(number << 2 | 2)


def scale_list(items):
	return compact(len(items)) + b"".join(items)


# Merkle trees


def merkle_rows(leaves):
	rows = [[domain_hash("openledger/merkle-leaf", leaf) for leaf in leaves]]
	while len(rows[-1]) > 1:
		row = rows[-1]
		above = [
			domain_hash("openledger/merkle-node", row[at], row[at + 1])
			for at in range(0, len(row) - 1, 2)
		]
		rows.append(above + row[len(above) * 2 :])
	return rows


def merkle_root(leaves):
	top = merkle_rows(leaves)[-1][0]
	return domain_hash("openledger/merkle-root", u32(len(leaves)), top)


def merkle_siblings(leaves, indices):
	siblings, known = [], set(indices)
	for row in merkle_rows(leaves):
		wanted = sorted({index ^ 1 for index in known} - known)
		siblings += [row[at] for at in wanted if at < len(row)]
		known = {index // 2 for index in known}
	return siblings


def merkle_proof(leaves, index):
	return u32(index) + u32(len(leaves)) + scale_list(merkle_siblings(leaves, [index]))


def merkle_multi_proof(leaves, indices):
	indices_list = scale_list([u32(index) for index in indices])
	return u32(len(leaves)) + indices_list + scale_list(merkle_siblings(leaves, indices))


# Mountain ranges


def mountains(leaves):
	out, rest = [], leaves
	while rest:
		size = 1 << (len(rest).bit_length() - 1)
		out.append(rest[:size])
		rest = rest[size:]
	return out


def mountain_rows(leaves):
	rows = [[domain_hash("openledger/range-leaf", leaf) for leaf in leaves]]
	while len(rows[-1]) > 1:
		row = rows[-1]
		pairs = zip(row[0::2], row[1::2])
		rows.append([domain_hash("openledger/range-node", *pair) for pair in pairs])
	return rows


def range_peaks(leaves):
	return [mountain_rows(mountain)[-1][0] for mountain in mountains(leaves)]


def range_root(leaves):
	return domain_hash("openledger/range-root", u32(len(leaves)), *range_peaks(leaves))


def range_proof(leaves, index):
	siblings, peaks, first = [], [], 0
	for mountain in mountains(leaves):
		rows = mountain_rows(mountain)
		if first <= index < first + len(mountain):
			at = index - first
			for row in rows[:-1]:
				siblings.append(row[at ^ 1])
				at //= 2
		else:
			peaks.append(rows[-1][0])
		first += len(mountain)
	return u32(index) + u32(len(leaves)) + scale_list(siblings) + scale_list(peaks)


def contribution_leaf(index, root, records):
	return domain_hash("openledger/contribution-leaf", u32(index), root, u32(records))


def verify_record(proof, version_root, leaf):
	"""Follows a record proof from its bytes, as somebody who holds no tree has to."""
	at = 0

	def take(count):
		nonlocal at
		at += count
		return proof[at - count : at]

	def number():
		return struct.unpack("<I", take(4))[0]

	def hashes():
		return [take(32) for _ in range(take(1)[0] >> 2)]

	contribution, index, records, siblings = number(), number(), number(), hashes()
	place, size, range_siblings, peaks = number(), number(), hashes(), hashes()
	if at != len(proof) or index >= records or place >= size:
		return False
	own, width, position = domain_hash("openledger/merkle-leaf", leaf), records, index
	while width > 1:
		if position ^ 1 < width:
			other = siblings.pop(0)
			pair = (other, own) if position & 1 else (own, other)
			own = domain_hash("openledger/merkle-node", *pair)
		position, width = position // 2, (width + 1) // 2
	root = domain_hash("openledger/merkle-root", u32(records), own)
	own = domain_hash("openledger/range-leaf", contribution_leaf(contribution, root, records))
	first, all_peaks = 0, []
	for height in reversed(range(32)):
		if not size >> height & 1:
			continue
		if first <= place < first + (1 << height):
			for row in range(height):
				other = range_siblings.pop(0)
				pair = (other, own) if place >> row & 1 else (own, other)
				own = domain_hash("openledger/range-node", *pair)
			all_peaks.append(own)
		else:
			all_peaks.append(peaks.pop(0))
		first += 1 << height
	if siblings or range_siblings or peaks:
		return False
	return domain_hash("openledger/range-root", u32(size), *all_peaks) == version_root


# Money and choice


def divide(amount, weights):
	total = sum(weights)
	parts = [amount * weight // total for weight in weights]
	by_remainder = sorted(range(len(weights)), key=lambda at: (-(amount * weights[at] % total), at))
	for at in by_remainder[: amount - sum(parts)]:
		parts[at] += 1
	return parts


def weighted_index(seed, weights):
	point = int.from_bytes(seed, "big") % sum(weights)
	for index, weight in enumerate(weights):
		if point < weight:
			return index
		point -= weight
	raise AssertionError("the point is below the sum")


# Checks


class Checks:
	def __init__(self):
		self.done = 0
		self.failed = 0

	def equal(self, what, computed, golden):
		computed = computed.hex() if isinstance(computed, bytes) else computed
		self.done += 1
		if computed != golden:
			self.failed += 1
			print(f"{what}: computed {computed}, golden {golden}", file=sys.stderr)


def load(name):
	return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def check_record(checks, what, canonical, golden):
	salt = bytes.fromhex(golden["salt"])
	checks.equal(f"{what} canonical", canonical, golden["canonical"])
	checks.equal(f"{what} leaf", record_leaf(salt, canonical), golden["leaf"])
	if "salt_hash" in golden:
		checks.equal(f"{what} salt", salt_hash(salt), golden["salt_hash"])


def check_records(checks):
	golden = load("records")
	for case in golden["texts"]:
		check_record(checks, repr(case["text"]), canonical_text(case["text"]), case["record"])
	for case in golden["fields"]:
		check_record(checks, case["fields"], canonical_fields(case["fields"]), case["record"])
	for text in golden["refused"]:
		try:
			checks.equal(repr(text), canonical_text(text), "refused")
		except Refused:
			checks.equal(repr(text), "refused", "refused")


def vector_leaves(count):
	return [bytes([index + 1]) * 32 for index in range(count)]


def check_trees(checks):
	for tree in load("merkle"):
		count = tree["leaf_count"]
		leaves = vector_leaves(count)
		indices = [0, count // 2, count - 1]
		checks.equal(f"tree of {count}", merkle_root(leaves), tree["root"])
		for index, proof in zip(indices, tree["proofs"], strict=True):
			checks.equal(f"leaf {index} of {count}", merkle_proof(leaves, index), proof)
		many = merkle_multi_proof(leaves, sorted(set(indices)))
		checks.equal(f"multi proof of {count}", many, tree["multi_proof"])


def check_ranges(checks):
	golden = load("ranges")
	for state in golden["states"]:
		leaves = vector_leaves(state["leaves"])
		what = f"range of {len(leaves)}"
		checks.equal(what, range_root(leaves), state["root"])
		checks.equal(what, u32(len(leaves)) + scale_list(range_peaks(leaves)), state["range"])
	for case in golden["proofs"]:
		index, leaves = case["leaf_index"], vector_leaves(case["leaf_count"])
		checks.equal(f"leaf {index} of range {len(leaves)}", range_proof(leaves, index), case["proof"])


def check_record_proof(checks):
	golden = load("record-proof")
	leaves = []
	for contribution in golden["contributions"]:
		index = contribution["index"]
		for record in contribution["records"]:
			canonical = canonical_fields(record["fields"])
			check_record(checks, f"contribution {index}", canonical, record)
		record_leaves = [bytes.fromhex(record["leaf"]) for record in contribution["records"]]
		root = merkle_root(record_leaves)
		leaf = contribution_leaf(index, root, len(record_leaves))
		leaves.append(leaf)
		checks.equal(f"root of contribution {index}", root, contribution["root"])
		salts = [bytes.fromhex(record["salt"]) for record in contribution["records"]]
		salts_root = merkle_root([salt_hash(salt) for salt in salts])
		checks.equal(f"salts of contribution {index}", salts_root, contribution["salts_root"])
		checks.equal(f"leaf of contribution {index}", leaf, contribution["leaf"])
		checks.equal(f"version {len(leaves)}", range_root(leaves), contribution["version_root"])
	# The proof shows the last record of the last contribution.
	proof = u32(index) + merkle_proof(record_leaves, len(record_leaves) - 1)
	proof += range_proof(leaves, len(leaves) - 1)
	version_root = bytes.fromhex(golden["version_root"])
	checks.equal("record leaf", record_leaves[-1], golden["record_leaf"])
	checks.equal("record proof", proof, golden["proof"])
	checks.equal("verified record", verify_record(proof, version_root, record_leaves[-1]), True)
	checks.equal("verified other record", verify_record(proof, version_root, record_leaves[0]), False)


def check_shares(checks):
	golden = load("shares")
	for case in golden["divisions"]:
		parts = [str(part) for part in divide(int(case["amount"]), case["weights"])]
		checks.equal(f"{case['amount']} over {case['weights']}", parts, case["parts"])
	for case in golden["fees"]:
		parts = divide(int(case["fee"]), [5_000, 2_000, 1_000, 1_000, 1_000])
		checks.equal(f"fee of {case['fee']}", [str(part) for part in parts], case["parts"])


def span_bytes(span):
	datanet, index = span["contribution"]
	return (
		u32(datanet)
		+ u32(index)
		+ bytes.fromhex(span["leaf"])
		+ u32(span["leaf_index"])
		+ u32(span["leaf_count"])
		+ scale_list([bytes.fromhex(sibling) for sibling in span["siblings"]])
		+ b"".join(u32(span[name]) for name in ["answer_start", "record_start", "words", "gain_micro"])
	)


def check_spans(checks):
	golden = load("spans")
	content = golden["content"]
	known_by = domain_hash("openledger/content", bytes.fromhex(content["bytes"]))
	checks.equal("content", known_by, content["hash"])
	for number, claim in enumerate(golden["claims"]):
		leaves = [domain_hash("openledger/span", span_bytes(span)) for span in claim["spans"]]
		root = merkle_root(leaves) if leaves else bytes(32)
		checks.equal(f"evidence of claim {number}", root, claim["evidence_root"])
		gains = {}
		for span in claim["spans"]:
			owner = tuple(span["contribution"])
			gains[owner] = gains.get(owner, 0) + span["gain_micro"]
		owners = sorted(gains)
		parts = divide(1_000_000, [gains[owner] for owner in owners]) if owners else []
		shares = [[*owner, part] for owner, part in zip(owners, parts) if part]
		checks.equal(f"shares of claim {number}", shares, claim["shares"])


def check_selection(checks):
	golden = load("selection")
	randomness, subject = bytes.fromhex(golden["randomness"]), bytes.fromhex(golden["subject"])
	weights = [int(weight) for weight in golden["weights"]]
	for choice in golden["choices"]:
		attempt = choice["attempt"]
		seed = domain_hash("openledger/selection", randomness, u32(attempt), subject)
		checks.equal(f"seed {attempt}", seed, choice["seed"])
		checks.equal(f"choice {attempt}", weighted_index(seed, weights), choice["index"])


def main():
	checks = Checks()
	for check in [
		check_records,
		check_trees,
		check_ranges,
		check_record_proof,
		check_shares,
		check_spans,
		check_selection,
	]:
		check(checks)
	print(f"{checks.done - checks.failed} of {checks.done} vectors agree")
	return 1 if checks.failed else 0


if __name__ == "__main__":
	sys.exit(main())
