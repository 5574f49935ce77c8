use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

impl PagePool {
	/// Checks every invariant, given the block tables of all who hold pages.
	pub(crate) fn check<'a>(&self, tables: impl IntoIterator<Item = &'a [PageId]>) {
		let mut holders = BTreeMap::<PageId, usize>::new();
		for table in tables {
			assert_eq!(table.iter().collect::<HashSet<_>>().len(), table.len(), "twice in a table");
			table.iter().for_each(|page| *holders.entry(*page).or_default() += 1);
		}
		let free: HashSet<_> = self.free.iter().copied().collect();
		assert_eq!(free.len(), self.free.len(), "twice free");
		let mut children = BTreeMap::<PageId, usize>::new();
		let (mut published_pages, mut cached, mut leaves) = (0, 0, BTreeSet::new());
		for published in self.pages.iter().filter_map(|page| page.published.as_ref()) {
			if let Parent::Page(parent) = published.key.parent {
				*children.entry(parent).or_default() += 1;
				assert!(self.pages[parent as usize].published.is_some(), "unreachable");
			}
		}
		for (id, page) in (0..).zip(&self.pages) {
			assert_eq!(page.holders, holders.get(&id).copied().unwrap_or(0), "holders of {id}");
			let is_free = page.holders == 0 && page.published.is_none();
			assert_eq!(free.contains(&id), is_free, "page {id}");
			let Some(published) = &page.published else { continue };
			published_pages += 1;
			assert_eq!(self.published.get(&published.key), Some(&id));
			assert_eq!(published.children, children.get(&id).copied().unwrap_or(0));
			if page.holders == 0 {
				cached += 1;
				if published.children == 0 {
					leaves.insert((published.last_use, id));
				}
			} else if let Parent::Page(parent) = published.key.parent {
				assert!(self.pages[parent as usize].holders >= page.holders, "parent not held");
			}
		}
		assert_eq!(self.published.len(), published_pages);
		assert_eq!(self.cached, cached);
		assert_eq!(self.evictable, leaves);
		assert_eq!(self.free() + self.cached() + self.held(), self.total());
		assert_eq!(self.held(), holders.len());
	}
}

/// Of one tenant: zero stands for the bare base model.
fn root(adapter: u8) -> Root {
	let adapter = (adapter > 0).then_some(AdapterKey([adapter; 32]));
	Root { tenant: Tenant("alice".into()), adapter }
}

fn tokens(pages: usize) -> Vec<u32> {
	(0..(pages * PAGE_TOKENS) as u32).collect()
}

#[test]
fn beginnings_should_be_shared_when_published() {
	let mut pool = PagePool::new(8);
	let text = tokens(3);
	let (mut first, shared) = pool.claim(&root(0), &text, 3, 0).unwrap();
	assert_eq!(shared, 0);
	assert_eq!(pool.publish(&root(0), &mut first, 0, &text[..40]), 2, "two pages are full");

	let (second, shared) = pool.claim(&root(0), &text, 3, 0).unwrap();
	assert_eq!(shared, 32);
	assert_eq!(second[..2], first[..2]);
	assert_ne!(second[2], first[2]);
	pool.check([&first[..], &second]);
	assert_eq!(pool.held(), 4);
}

#[test]
fn beginnings_should_not_be_shared_between_adapters() {
	let mut pool = PagePool::new(8);
	let text = tokens(1);
	let (mut table, _) = pool.claim(&root(1), &text, 1, 0).unwrap();
	pool.publish(&root(1), &mut table, 0, &text);
	for other in [root(0), root(2)] {
		assert_eq!(pool.lookup(&other, &text), Prefix::default());
	}
	assert_eq!(pool.lookup(&root(1), &text).pages, table);
}

#[test]
fn beginnings_should_not_be_shared_between_tenants() {
	let mut pool = PagePool::new(8);
	let text = tokens(1);
	let (mut table, _) = pool.claim(&root(1), &text, 1, 0).unwrap();
	pool.publish(&root(1), &mut table, 0, &text);
	let other = Root { tenant: Tenant("bob".into()), ..root(1) };
	assert_eq!(pool.lookup(&other, &text), Prefix::default());
}

#[test]
fn page_should_not_be_found_behind_another_beginning() {
	let mut pool = PagePool::new(8);
	let text = tokens(2);
	let (mut table, _) = pool.claim(&root(0), &text, 2, 0).unwrap();
	pool.publish(&root(0), &mut table, 0, &text);
	let second = [vec![7; PAGE_TOKENS], text[PAGE_TOKENS..].to_vec()].concat();
	assert_eq!(pool.lookup(&root(0), &second), Prefix::default());
	assert_eq!(pool.lookup(&root(0), &text[PAGE_TOKENS..]), Prefix::default());
}

#[test]
fn released_pages_should_stay_until_needed_and_go_from_the_end() {
	let mut pool = PagePool::new(4);
	let text = tokens(3);
	let (mut table, _) = pool.claim(&root(0), &text, 3, 0).unwrap();
	pool.publish(&root(0), &mut table, 0, &text);
	pool.release(&table);
	assert_eq!((pool.free(), pool.cached(), pool.held()), (1, 3, 0));

	// The free page, then the last of the chain: its beginning is still of use.
	let taken = [pool.allocate().unwrap(), pool.allocate().unwrap()];
	assert_eq!(taken[1], table[2]);
	assert_eq!(pool.lookup(&root(0), &text).pages, table[..2]);
	pool.check([&taken[..]]);
}

#[test]
fn longest_unused_beginning_should_go_first() {
	let mut pool = PagePool::new(3);
	let texts: Vec<Vec<u32>> = (0..3).map(|text| vec![text; PAGE_TOKENS]).collect();
	for text in &texts {
		let (mut table, _) = pool.claim(&root(0), text, 1, 0).unwrap();
		pool.publish(&root(0), &mut table, 0, text);
		pool.release(&table);
	}
	let (again, shared) = pool.claim(&root(0), &texts[0], 1, 0).unwrap();
	assert_eq!(shared, PAGE_TOKENS);
	pool.release(&again);
	pool.allocate().unwrap();
	let found =
		texts.iter().map(|text| pool.lookup(&root(0), text).pages.len()).collect::<Vec<_>>();
	assert_eq!(found, [1, 0, 1]);
}

#[test]
fn page_should_be_replaced_when_another_sequence_published_the_same() {
	let mut pool = PagePool::new(8);
	let text = tokens(2);
	let (mut first, _) = pool.claim(&root(0), &text, 2, 0).unwrap();
	let (mut second, _) = pool.claim(&root(0), &text, 2, 0).unwrap();
	pool.publish(&root(0), &mut first, 0, &text);
	assert_eq!(pool.publish(&root(0), &mut second, 0, &text), 2);
	assert_eq!(first, second);
	assert_eq!(pool.held(), 2);
	pool.check([&first[..], &second]);
}

#[test]
fn nothing_should_be_claimed_when_the_reserve_would_be_touched() {
	let mut pool = PagePool::new(4);
	let text = tokens(2);
	let (mut table, _) = pool.claim(&root(0), &text, 2, 0).unwrap();
	pool.publish(&root(0), &mut table, 0, &text);
	pool.release(&table);
	// Two of the three are in the cache, but to hold them makes them unavailable.
	assert_eq!(pool.claim(&root(0), &text, 3, 2), None);
	assert_eq!(pool.available(), 4);
	assert!(pool.claim(&root(0), &text, 3, 1).is_some());
}

#[derive(Clone, Debug)]
enum Operation {
	Claim { adapter: u8, text: Vec<u32>, spare: usize, reserve: usize },
	Publish { which: usize, tokens: usize },
	Extend { which: usize },
	Release { which: usize },
}

fn operation() -> impl Strategy<Value = Operation> {
	// Pages of few kinds, so that beginnings meet.
	let text = prop::collection::vec(0..2u32, 0..5)
		.prop_map(|kinds| kinds.iter().flat_map(|kind| [*kind; PAGE_TOKENS]).collect());
	prop_oneof![
		(0..3u8, text, 0..3usize, 0..3usize).prop_map(|(adapter, text, spare, reserve)| {
			Operation::Claim { adapter, text, spare, reserve }
		}),
		(any::<usize>(), 0..80usize)
			.prop_map(|(which, tokens)| Operation::Publish { which, tokens }),
		any::<usize>().prop_map(|which| Operation::Extend { which }),
		any::<usize>().prop_map(|which| Operation::Release { which }),
	]
}

struct Holder {
	root: Root,
	text: Vec<u32>,
	table: Vec<PageId>,
	published: usize,
}

proptest! {
	#[test]
	fn pages_should_be_accounted_for_whatever_happens(
		operations in prop::collection::vec(operation(), 1..80),
	) {
		let mut pool = PagePool::new(12);
		let mut holders: Vec<Holder> = Vec::new();
		for operation in operations {
			match operation {
				Operation::Claim { adapter, text, spare, reserve } => {
					let root = root(adapter);
					let pages = text.len() / PAGE_TOKENS + spare;
					let before = pool.available();
					match pool.claim(&root, &text, pages, reserve) {
						Some((table, shared)) => {
							prop_assert_eq!(table.len(), pages);
							prop_assert!(pool.available() >= reserve);
							let published = shared / PAGE_TOKENS;
							holders.push(Holder { root, text, table, published });
						},
						None => {
							prop_assert_eq!(pool.available(), before);
							prop_assert!(pages + reserve > before);
						},
					}
				},
				Operation::Publish { which, tokens } if !holders.is_empty() => {
					let which = which % holders.len();
					let holder = &mut holders[which];
					let computed = &holder.text[..tokens.min(holder.text.len())];
					let from = holder.published.min(computed.len() / PAGE_TOKENS);
					let until = pool.publish(&holder.root, &mut holder.table, from, computed);
					prop_assert_eq!(until, computed.len() / PAGE_TOKENS);
					holder.published = holder.published.max(until);
					let found = pool.lookup(&holder.root, computed).pages;
					prop_assert_eq!(&found[..], &holder.table[..until]);
				},
				Operation::Extend { which } if !holders.is_empty() => {
					let which = which % holders.len();
					let (before, page) = (pool.available(), pool.allocate());
					prop_assert_eq!(page.is_some(), before > 0);
					holders[which].table.extend(page);
				},
				Operation::Release { which } if !holders.is_empty() => {
					let holder = holders.swap_remove(which % holders.len());
					pool.release(&holder.table);
				},
				_ => {},
			}
			pool.check(holders.iter().map(|holder| &holder.table[..]));
		}
		holders.iter().for_each(|holder| pool.release(&holder.table));
		prop_assert_eq!(pool.available(), pool.total());
		prop_assert_eq!((0..12).filter_map(|_| pool.allocate()).count(), 12);
	}
}
