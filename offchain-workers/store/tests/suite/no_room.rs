//! Disks that are full and folders that may not be written.

use crate::child;
use std::{
	fs,
	os::unix::{fs::MetadataExt, fs::PermissionsExt, process::CommandExt},
	path::Path,
};

#[test]
fn put_should_leave_nothing_when_there_is_no_room() {
	let folder = tempfile::tempdir().unwrap();
	// Files of at most 64 blocks of 512 or 1,024 bytes; writing more is an error, not a signal.
	let limit = "trap '' XFSZ && ulimit -f 64";
	let task = "put_more_than_there_is_room_for";
	let output = child::under_shell(limit, task, &folder.path().join("blobs")).output().unwrap();
	assert!(output.status.success(), "{}", child::said(&output));
	assert!(child::said(&output).contains("1 passed"), "{}", child::said(&output));
}

#[test]
fn put_should_leave_nothing_when_the_disk_is_full() {
	// A file system of our own needs a name space of our own; where that is not allowed, the limit on
	// files above stands for it.
	let folder = tempfile::tempdir().unwrap();
	let mount = folder.path().join("disk");
	fs::create_dir(&mount).unwrap();
	let mounted = format!("mount -t tmpfs -o size=256k tmpfs {}", mount.display());
	let allowed =
		std::process::Command::new("unshare").args(["-rm", "sh", "-c", &mounted]).output();
	if !allowed.is_ok_and(|output| output.status.success()) {
		eprintln!("no file system of our own on this machine");
		return;
	}
	let task = "put_more_than_there_is_room_for";
	let inner = child::under_shell(&mounted, task, &mount.join("blobs"));
	let mut outer = std::process::Command::new("unshare");
	outer.arg("-rm").arg(inner.get_program()).args(inner.get_args());
	outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
	let output = outer.output().unwrap();
	assert!(output.status.success(), "{}", child::said(&output));
	assert!(child::said(&output).contains("1 passed"), "{}", child::said(&output));
}

#[test]
fn open_should_say_so_when_the_folder_may_not_be_written() {
	let folder = unprivileged_folder();
	let closed = folder.path().join("closed");
	fs::create_dir(&closed).unwrap();
	fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
	run_unprivileged(folder.path(), "open_without_permission", &closed);
	run_unprivileged(folder.path(), "open_without_permission", &closed.join("blobs"));
}

#[test]
fn put_should_say_so_when_the_folder_may_no_longer_be_written() {
	let folder = unprivileged_folder();
	run_unprivileged(folder.path(), "put_without_permission", &folder.path().join("blobs"));
}

/// A folder in which everybody may write.
fn unprivileged_folder() -> tempfile::TempDir {
	let folder = tempfile::tempdir().unwrap();
	fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
	folder
}

/// Runs a task as somebody for whom permissions count: root may write everywhere.
fn run_unprivileged(workplace: &Path, task: &str, folder: &Path) {
	const NOBODY: u32 = 65_534;
	let program = workplace.join("program");
	if !program.exists() {
		fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
		fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
	}
	let mut command = child::of_program(&program, task, folder);
	command.current_dir(workplace);
	if fs::metadata(&program).unwrap().uid() == 0 {
		command.uid(NOBODY).gid(NOBODY);
	}
	let output = command.output().unwrap();
	assert!(output.status.success(), "{}", child::said(&output));
	assert!(child::said(&output).contains("1 passed"), "{}", child::said(&output));
}
