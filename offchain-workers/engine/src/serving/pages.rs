//! Pages of the KV cache: who holds them, and which beginnings can be shared.
//!
//! *Held*: in the block table of at least one sequence. *Published*: full, computed, and found
//! by sequences that begin alike. *Cached*: published and held by nobody; kept until the room is
//! needed. *Free*: neither.
//!
//! Published pages form trees. A root stands for an adapter, since keys and values depend on it
//! as much as on the tokens, and for a tenant, so that nobody learns from the time that an answer
//! takes what others have asked; a page is found by its parent and its 16 token ids. The key is
//! that tuple itself, not a hash of it, so that no two beginnings are ever taken for one another,
//! whoever chose them.
//!
//! *Invariants.* Who holds a page holds its parent. A page leaves its tree only as a leaf that
//! nobody holds. So every cached page can be reached, by lookups and by eviction, and every page
//! that is not held can be had. Nothing here knows what a page contains.

use std::collections::{BTreeSet, HashMap};

use crate::serving::request::{AdapterKey, Tenant};

/// Tokens whose keys and values one page has room for.
pub const PAGE_TOKENS: usize = 16;

/// Number of a page, below the pool's [`total`](PagePool::total).
pub type PageId = u32;

/// Pages that `tokens` tokens need.
pub fn pages_for(tokens: usize) -> usize {
	tokens.div_ceil(PAGE_TOKENS)
}

/// Whose sequences may begin alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Root {
	pub tenant: Tenant,
	/// The adapter, or the bare base model.
	pub adapter: Option<AdapterKey>,
}

/// What a page follows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Parent {
	/// Nothing: it is the beginning of sequences.
	Root(Root),
	Page(PageId),
}

/// By what a published page is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Chained {
	parent: Parent,
	tokens: [u32; PAGE_TOKENS],
}

#[derive(Debug)]
struct Published {
	key: Chained,
	/// Published pages that follow it.
	children: usize,
	/// When it was last held, on the pool's own clock.
	last_use: u64,
}

#[derive(Debug, Default)]
struct Page {
	holders: usize,
	published: Option<Published>,
}

/// A beginning that is in the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
	/// Its pages, in order.
	pages: Vec<PageId>,
	/// How many of them nobody holds: holding them takes them from what is available.
	cached: usize,
}

/// A fixed number of pages.
///
/// Page numbers given to it must be its own. Its only hash map is one to look things up in; no
/// result depends on its order.
#[derive(Debug)]
pub struct PagePool {
	pages: Vec<Page>,
	free: Vec<PageId>,
	published: HashMap<Chained, PageId>,
	/// Cached pages that nothing follows, the longest unused first.
	evictable: BTreeSet<(u64, PageId)>,
	cached: usize,
	clock: u64,
}

impl PagePool {
	/// `total` free pages.
	pub fn new(total: u32) -> Self {
		Self {
			pages: (0..total).map(|_| Page::default()).collect(),
			// From the end, so that low numbers go first.
			free: (0..total).rev().collect(),
			published: HashMap::new(),
			evictable: BTreeSet::new(),
			cached: 0,
			clock: 0,
		}
	}

	/// All pages.
	pub fn total(&self) -> usize {
		self.pages.len()
	}

	/// Pages without content.
	pub fn free(&self) -> usize {
		self.free.len()
	}

	/// Pages that nobody holds, kept for who begins alike.
	pub fn cached(&self) -> usize {
		self.cached
	}

	/// Pages in block tables; shared ones count once.
	pub fn held(&self) -> usize {
		self.total() - self.available()
	}

	/// Pages that can be had: free ones, and cached ones for the price of forgetting them.
	pub fn available(&self) -> usize {
		self.free.len() + self.cached
	}

	/// The longest beginning of `tokens` that is in the cache, in whole pages.
	pub fn lookup(&self, root: &Root, tokens: &[u32]) -> Prefix {
		let mut prefix = Prefix::default();
		let mut parent = Parent::Root(root.clone());
		for tokens in tokens.chunks_exact(PAGE_TOKENS) {
			let Some(&page) = key(parent, tokens).and_then(|key| self.published.get(&key)) else {
				break;
			};
			prefix.cached += usize::from(self.pages[page as usize].holders == 0);
			prefix.pages.push(page);
			parent = Parent::Page(page);
		}
		prefix
	}

	/// A block table of `pages` pages that begins with the longest cached beginning of `shareable`,
	/// and the number of tokens therein. Nothing happens unless `reserve` pages stay available.
	pub fn claim(
		&mut self,
		root: &Root,
		shareable: &[u32],
		pages: usize,
		reserve: usize,
	) -> Option<(Vec<PageId>, usize)> {
		let prefix = self.lookup(root, shareable);
		let fresh = pages.saturating_sub(prefix.pages.len());
		if fresh + prefix.cached + reserve > self.available() {
			return None;
		}
		let mut table = prefix.pages;
		let shared = table.len() * PAGE_TOKENS;
		// Before anything is evicted, so that it is not one of these.
		table.iter().for_each(|&page| self.hold(page));
		table.extend((0..fresh).map_while(|_| self.allocate()));
		Some((table, shared))
	}

	/// How many pages of a block table nobody else holds: so many can be had once it is released.
	pub fn held_alone(&self, table: &[PageId]) -> usize {
		table.iter().filter(|page| self.pages[**page as usize].holders == 1).count()
	}

	/// A page for one holder, with no content. None when all are held.
	pub fn allocate(&mut self) -> Option<PageId> {
		let page = self.free.pop().or_else(|| self.evict())?;
		self.pages[page as usize].holders = 1;
		Some(page)
	}

	/// Makes the pages `table[from..]` that `tokens` fill findable; those before it are. `tokens`
	/// are all whose keys and values have been computed.
	///
	/// Where another sequence has published the same meanwhile, its page takes the place of the
	/// one in the table, which becomes free. Gives the number of published pages of the table.
	pub fn publish(
		&mut self,
		root: &Root,
		table: &mut [PageId],
		from: usize,
		tokens: &[u32],
	) -> usize {
		let mut parent = match from.checked_sub(1).and_then(|last| table.get(last)) {
			Some(&page) => Parent::Page(page),
			None => Parent::Root(root.clone()),
		};
		let mut published = from;
		for (own, tokens) in table.iter_mut().zip(tokens.chunks_exact(PAGE_TOKENS)).skip(from) {
			let Some(key) = key(parent, tokens) else { break };
			match self.published.get(&key).copied() {
				Some(other) => {
					self.hold(other);
					self.release(&[*own]);
					*own = other;
				},
				None => {
					if let Some(above) = self.published_parent(&key) {
						above.children += 1;
					}
					self.published.insert(key.clone(), *own);
					self.pages[*own as usize].published =
						Some(Published { key, children: 0, last_use: self.clock });
				},
			}
			parent = Parent::Page(*own);
			published += 1;
		}
		published
	}

	/// Ends one holding of each page.
	pub fn release(&mut self, table: &[PageId]) {
		self.clock += 1;
		for &id in table {
			let page = &mut self.pages[id as usize];
			page.holders = page.holders.saturating_sub(1);
			if page.holders > 0 {
				continue;
			}
			match &mut page.published {
				Some(published) => {
					published.last_use = self.clock;
					self.cached += 1;
					if published.children == 0 {
						self.evictable.insert((self.clock, id));
					}
				},
				None => self.free.push(id),
			}
		}
	}

	fn hold(&mut self, id: PageId) {
		let page = &mut self.pages[id as usize];
		if let (0, Some(published)) = (page.holders, &page.published) {
			self.cached -= 1;
			self.evictable.remove(&(published.last_use, id));
		}
		page.holders += 1;
	}

	/// Forgets the cached page that was unused for longest, among those that nothing follows.
	fn evict(&mut self) -> Option<PageId> {
		let (_, id) = self.evictable.pop_first()?;
		let published = self.pages[id as usize].published.take()?;
		self.published.remove(&published.key);
		self.cached -= 1;
		let Parent::Page(above) = published.key.parent else { return Some(id) };
		let parent = &mut self.pages[above as usize];
		if let Some(published) = &mut parent.published {
			published.children -= 1;
			if published.children == 0 && parent.holders == 0 {
				self.evictable.insert((published.last_use, above));
			}
		}
		Some(id)
	}

	fn published_parent(&mut self, key: &Chained) -> Option<&mut Published> {
		match key.parent {
			Parent::Root(_) => None,
			Parent::Page(page) => self.pages[page as usize].published.as_mut(),
		}
	}
}

fn key(parent: Parent, tokens: &[u32]) -> Option<Chained> {
	Some(Chained { parent, tokens: tokens.try_into().ok()? })
}

#[cfg(test)]
mod tests;
