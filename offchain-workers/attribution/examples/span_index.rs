//! Measures building a span index and finding an answer's spans, beside a scan of the same words.
//!
//! ```text
//! cargo run --release -p openledger-attribution --example span_index [words …]
//! ```
//!
//! The records are drawn from a vocabulary by Zipf's law, as words of a language are. The answer is put
//! together from pieces of records and of chance, so that it has spans and gaps. The scan compares every
//! word of the answer with every word of the records and finds the same spans; the program ends
//! with an error if it does not.

use openledger_attribution::{IndexedContribution, SpanIndex};
use openledger_primitives::{
	contribution::{ContributionContent, SaltedRecord},
	hashing,
	span::MIN_SPAN_WORDS,
	words, ContributionId, DatanetId,
};
use std::{
	error::Error,
	time::{Duration, Instant},
};

const VOCABULARY: u64 = 50_000;
const WORDS_PER_RECORD: usize = 80;
const RECORDS_PER_CONTRIBUTION: usize = 500;
const ANSWER_WORDS: usize = 500;
/// The time shown is the mean of this many answers.
const ANSWERS: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
	let mut sizes = Vec::new();
	for argument in std::env::args().skip(1) {
		sizes.push(argument.parse::<usize>()?);
	}
	if sizes.is_empty() {
		sizes = vec![10_000, 100_000, 1_000_000];
	}
	println!("an answer of {ANSWER_WORDS} words; times of one answer, mean of {ANSWERS}");
	println!(
		"{:>10} {:>8} {:>8} {:>10} {:>11} {:>11} {:>8} {:>12} {:>6}",
		"words",
		"records",
		"build s",
		"words/s",
		"bytes/word",
		"matches ms",
		"scan ms",
		"scan/matches",
		"spans"
	);
	for size in sizes {
		measure(size)?;
	}
	Ok(())
}

fn measure(size: usize) -> Result<(), Box<dyn Error>> {
	let mut random = Random(size as u64);
	let texts: Vec<String> =
		(0..size.div_ceil(WORDS_PER_RECORD)).map(|_| random.text(WORDS_PER_RECORD)).collect();
	let answers: Vec<String> = (0..ANSWERS).map(|_| random.answer(&texts)).collect();
	let contributions = contributions(&texts);

	let start = Instant::now();
	let index = SpanIndex::build(contributions)?;
	let build = start.elapsed();

	let start = Instant::now();
	let mut found = Vec::new();
	for answer in &answers {
		found.push(index.matches(answer)?);
	}
	let matches = start.elapsed() / ANSWERS as u32;

	// One answer is enough of the scan, which takes long.
	let records: Vec<Vec<String>> = texts.iter().map(|text| words_of(text)).collect();
	let start = Instant::now();
	let scanned = answers.first().map(|answer| scan(&records, &words_of(answer)));
	let scan = start.elapsed();
	let first = found.first().map(|spans| {
		let ends = spans.iter().map(|span| (span.words.start as usize, span.words.end as usize));
		ends.collect::<Vec<_>>()
	});
	if first != scanned {
		return Err("the index and the scan found different spans".into());
	}

	let spans: usize = found.iter().map(Vec::len).sum();
	println!(
		"{:>10} {:>8} {:>8.3} {:>10.0} {:>11.2} {:>11.3} {:>8.1} {:>12.0} {:>6}",
		index.word_count(),
		index.record_count(),
		build.as_secs_f64(),
		index.word_count() as f64 / build.as_secs_f64(),
		index.index_bytes() as f64 / index.word_count() as f64,
		milliseconds(matches),
		milliseconds(scan),
		scan.as_secs_f64() / matches.as_secs_f64(),
		spans / ANSWERS,
	);
	Ok(())
}

fn milliseconds(time: Duration) -> f64 {
	time.as_secs_f64() * 1_000.0
}

fn contributions(texts: &[String]) -> Vec<IndexedContribution> {
	let salted = |text: &String| SaltedRecord {
		salt: hashing::hash("example/salt", &[text.as_bytes()]).0,
		canonical: text.clone().into_bytes(),
	};
	let one = |(index, texts): (u32, &[String])| IndexedContribution {
		id: ContributionId { datanet: DatanetId(0), index },
		contributed_at: u64::from(index),
		content: ContributionContent { records: texts.iter().map(salted).collect() },
	};
	(0..).zip(texts.chunks(RECORDS_PER_CONTRIBUTION)).map(one).collect()
}

fn words_of(text: &str) -> Vec<String> {
	words::words(text).into_iter().map(|word| word.text).collect()
}

/// The maximal spans, by comparing every word of the answer with every word of the records.
fn scan(records: &[Vec<String>], answer: &[String]) -> Vec<(usize, usize)> {
	let mut spans = Vec::new();
	let mut reached = 0;
	for start in 0..answer.len() {
		let common = |record: &[String]| {
			record.iter().zip(&answer[start..]).take_while(|(theirs, ours)| theirs == ours).count()
		};
		let suffixes = records.iter().flat_map(|record| (0..record.len()).map(|at| &record[at..]));
		let end = start + suffixes.map(common).max().unwrap_or(0);
		if end > reached && end - start >= MIN_SPAN_WORDS as usize {
			spans.push((start, end));
		}
		reached = reached.max(end);
	}
	spans
}

/// SplitMix64, so that every run measures the same.
struct Random(u64);

impl Random {
	fn next(&mut self) -> u64 {
		self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
		let mut mixed = self.0;
		mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
		mixed ^ (mixed >> 31)
	}

	fn below(&mut self, bound: usize) -> usize {
		(self.next() % bound as u64) as usize
	}

	/// A word whose frequency is inversely proportional to its rank.
	fn word(&mut self) -> String {
		let part = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
		let rank = (VOCABULARY as f64).powf(part) as u64;
		format!("w{rank}")
	}

	fn text(&mut self, words: usize) -> String {
		(0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
	}

	fn answer(&mut self, texts: &[String]) -> String {
		let mut answer: Vec<String> = Vec::new();
		while answer.len() < ANSWER_WORDS {
			let record: Vec<&str> = texts[self.below(texts.len())].split(' ').collect();
			let start = self.below(record.len());
			let end = (start + 1 + self.below(20)).min(record.len());
			answer.extend(record[start..end].iter().map(|word| word.to_string()));
			let gap = self.below(10);
			answer.extend((0..gap).map(|_| self.word()));
		}
		answer.truncate(ANSWER_WORDS);
		answer.join(" ")
	}
}
