//! Processes of their own: this test program, started again with one of the ignored tests.

use openledger_store::{Store, StoreError};
use std::{
	io::Read,
	path::Path,
	process::{Command, Output, Stdio},
};

/// The variable that tells a child which store it is about.
const FOLDER: &str = "OPENLEDGER_STORE_TEST_FOLDER";

/// The command that runs the ignored test `task` on the store in `folder`.
pub fn command(task: &str, folder: &Path) -> Command {
	of_program(&std::env::current_exe().unwrap(), task, folder)
}

/// The same with this program at another place.
pub fn of_program(program: &Path, task: &str, folder: &Path) -> Command {
	let mut command = Command::new(program);
	arguments(&mut command, task, folder);
	command
}

/// The same through a shell that runs `prelude` first.
pub fn under_shell(prelude: &str, task: &str, folder: &Path) -> Command {
	let mut command = Command::new("sh");
	command.args(["-c", &format!("{prelude}; exec \"$@\""), "sh"]);
	command.arg(std::env::current_exe().unwrap());
	arguments(&mut command, task, folder);
	command
}

fn arguments(command: &mut Command, task: &str, folder: &Path) {
	command
		.args(["--ignored", "--exact", "--nocapture", &format!("child::{task}")])
		.env(FOLDER, folder)
		.stdin(Stdio::null())
		.stdout(Stdio::piped())
		.stderr(Stdio::piped());
}

/// What a child said, for the message of a failed test.
pub fn said(output: &Output) -> String {
	let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
	format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

fn folder() -> std::path::PathBuf {
	std::env::var_os(FOLDER).expect("only other tests start this one").into()
}

/// The blobs that [`put_many`] puts, one after the other.
pub fn blob(number: u32) -> Vec<u8> {
	number.to_le_bytes().repeat(20_000)
}

#[test]
#[ignore = "other tests start it as a process of its own"]
fn abort_in_the_middle() {
	let store = Store::open(folder()).unwrap();
	store.put(b"whole").unwrap();
	let mut writer = store.writer().unwrap();
	writer.write(&[1; 100_000]).unwrap();
	std::process::abort();
}

#[test]
#[ignore = "other tests start it as a process of its own"]
fn put_many() {
	let store = Store::open(folder()).unwrap();
	for number in 0..100_000 {
		store.put(&blob(number)).unwrap();
		println!("put {number}");
	}
}

#[test]
#[ignore = "other tests start it as a process of its own"]
fn put_more_than_there_is_room_for() {
	let store = Store::open(folder()).unwrap();
	let small = store.put(&[1; 1_000]).unwrap();
	let refused = store.put(&[2; 1_000_000]).unwrap_err();
	assert!(matches!(refused, StoreError::NoSpace { .. }), "{refused:?}");
	let refused = store.put_stream(small, std::io::repeat(2).take(1_000_000)).unwrap_err();
	assert!(matches!(refused, StoreError::NoSpace { .. }), "{refused:?}");
	assert_eq!(std::fs::read_dir(store.folder().join("tmp")).unwrap().count(), 0);
	assert_eq!(store.len().unwrap(), 1);
	assert_eq!(store.get(small).unwrap().unwrap(), [1; 1_000]);
	// There is room for small blobs still.
	store.put(&[3; 1_000]).unwrap();
}

#[test]
#[ignore = "other tests start it as a process of its own"]
fn open_without_permission() {
	let refused = Store::open(folder()).unwrap_err();
	assert!(matches!(refused, StoreError::NoAccess { .. }), "{refused:?}");
}

#[test]
#[ignore = "other tests start it as a process of its own"]
fn put_without_permission() {
	let store = Store::open(folder()).unwrap();
	let hash = store.put(b"before").unwrap();
	let set = |mode| {
		let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
		std::fs::set_permissions(store.folder().join("tmp"), permissions).unwrap();
	};
	set(0o500);
	let refused = store.put(b"after").unwrap_err();
	assert!(matches!(refused, StoreError::NoAccess { .. }), "{refused:?}");
	assert_eq!(store.get(hash).unwrap().unwrap(), b"before");
	set(0o700);
	store.put(b"after").unwrap();
}
