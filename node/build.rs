use std::env;

fn main() {
	substrate_build_script_utils::generate_cargo_keys();
	substrate_build_script_utils::rerun_if_git_head_changed();

	// Without a runtime there is no chain to run: the tests that need one are shown as ignored.
	println!("cargo:rustc-check-cfg=cfg(no_runtime)");
	println!("cargo:rerun-if-env-changed=SKIP_WASM_BUILD");
	if env::var_os("SKIP_WASM_BUILD").is_some() {
		println!("cargo:rustc-cfg=no_runtime");
	}
}
