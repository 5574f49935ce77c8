//! How the runtime's wasm is compiled and run.

use std::{env, path::PathBuf};

use sc_executor::{HeapAllocStrategy, WasmExecutor, DEFAULT_HEAP_ALLOC_STRATEGY};
use sc_service::Configuration;

/// Names a folder for compiled runtimes that several nodes of a machine share. Without it each node
/// has its own, under its base path.
const CACHE_VARIABLE: &str = "OPENLEDGER_RUNTIME_CACHE";

/// Only the SDK's host functions: the runtime must also start under a stock omni-node, chopsticks and
/// the benchmarking tools, so it may import nothing of ours.
pub type Executor = WasmExecutor<sp_io::SubstrateHostFunctions>;

/// The SDK's executor, which keeps what it compiles: to compile a runtime takes ten seconds and more,
/// to find it again no time at all.
pub fn new_executor(config: &Configuration) -> Executor {
	let heap = config.executor.default_heap_pages.map_or(DEFAULT_HEAP_ALLOC_STRATEGY, |pages| {
		HeapAllocStrategy::Static { extra_pages: u32::try_from(pages).unwrap_or(u32::MAX) }
	});
	WasmExecutor::builder()
		.with_execution_method(config.executor.wasm_method)
		.with_onchain_heap_alloc_strategy(heap)
		.with_offchain_heap_alloc_strategy(heap)
		.with_max_runtime_instances(config.executor.max_runtime_instances)
		.with_runtime_cache_size(config.executor.runtime_cache_size)
		.with_cache_path(cache_path(config))
		.build()
}

fn cache_path(config: &Configuration) -> PathBuf {
	env::var_os(CACHE_VARIABLE)
		.map_or_else(|| config.base_path.path().join("compiled-runtimes"), PathBuf::from)
}
