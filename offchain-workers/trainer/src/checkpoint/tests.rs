use super::*;

fn run() -> RunIdentity {
	RunIdentity { spec: "a".into(), base_model: "m".into(), data: "d".into() }
}

fn parameter(step: u32) -> ParameterState {
	let values = |start: f32| (0..6).map(|i| start + i as f32 / 3.0).collect();
	ParameterState {
		name: "layers.0.q_proj.a".into(),
		shape: [2, 3],
		value: values(step as f32),
		first_moment: values(-1.0),
		second_moment: values(1e-9),
	}
}

fn checkpoint(step: u32) -> Checkpoint {
	let header = Header {
		step,
		tokens: 12,
		microseconds: 34,
		heldout_before: Some(3.3f64.to_bits()),
		first_loss: Some(0.1f64.to_bits()),
		..Header::start(run())
	};
	Checkpoint { header, parameters: vec![parameter(step)] }
}

fn shapes() -> Vec<(String, [usize; 2])> {
	vec![("layers.0.q_proj.a".into(), [2, 3])]
}

fn store() -> (tempfile::TempDir, CheckpointStore) {
	let directory = tempfile::tempdir().unwrap();
	let store = CheckpointStore::open(&directory.path().join("run")).unwrap();
	(directory, store)
}

#[test]
fn newest_should_be_what_was_saved_last() {
	let (_guard, store) = store();
	assert_eq!(store.newest(&run(), &shapes()).unwrap(), (None, vec![]));
	for step in [9, 10, 11, 100] {
		store.save(&checkpoint(step)).unwrap();
	}
	assert_eq!(store.newest(&run(), &shapes()).unwrap(), (Some(checkpoint(100)), vec![]));
	let kept: Vec<u32> = store.list().unwrap().into_iter().map(|(step, _)| step).collect();
	assert_eq!(kept, [100, 11]);
}

#[test]
fn damaged_checkpoint_should_fall_back_to_the_one_before_and_then_to_the_start() {
	let (_guard, store) = store();
	let older = store.save(&checkpoint(10)).unwrap();
	let newer = store.save(&checkpoint(20)).unwrap();
	let whole = fs::read(&newer).unwrap();
	for cut in 0..whole.len() {
		fs::write(&newer, &whole[..cut]).unwrap();
		let (found, damaged) = store.newest(&run(), &shapes()).unwrap();
		assert_eq!(found, Some(checkpoint(10)), "cut at {cut}");
		assert_eq!(damaged[0].path, newer);
	}
	for place in 0..whole.len() {
		let mut changed = whole.clone();
		changed[place] ^= 1;
		fs::write(&newer, changed).unwrap();
		let (found, _) = store.newest(&run(), &shapes()).unwrap();
		assert_eq!(found, Some(checkpoint(10)), "changed at {place}");
	}
	fs::write(&older, "").unwrap();
	let (found, damaged) = store.newest(&run(), &shapes()).unwrap();
	assert_eq!((found, damaged.len()), (None, 2));
}

#[test]
fn checkpoint_of_another_run_should_be_refused_by_name() {
	let (_guard, store) = store();
	store.save(&checkpoint(1)).unwrap();
	let newest = |run| store.newest(&run, &shapes()).unwrap_err();
	let other = newest(RunIdentity { spec: "b".into(), ..run() });
	assert!(matches!(other, CheckpointError::OtherSpec { .. }), "{other}");
	let other = newest(RunIdentity { base_model: "b".into(), ..run() });
	assert!(matches!(other, CheckpointError::OtherModel { .. }), "{other}");
	let other = newest(RunIdentity { data: "b".into(), ..run() });
	assert!(matches!(other, CheckpointError::OtherData { .. }), "{other}");
	let other = store.newest(&run(), &[("layers.0.q_proj.a".into(), [3, 2])]).unwrap_err();
	assert!(matches!(other, CheckpointError::OtherParameters { .. }), "{other}");
	let other = store.newest(&run(), &[("layers.0.k_proj.a".into(), [2, 3])]).unwrap_err();
	assert!(matches!(other, CheckpointError::OtherParameters { .. }), "{other}");
}

#[test]
fn unfinished_and_foreign_files_should_be_passed_over() {
	let (guard, store) = store();
	store.save(&checkpoint(3)).unwrap();
	let directory = guard.path().join("run");
	fs::write(directory.join(TEMPORARY), "half a checkpoint").unwrap();
	fs::write(directory.join("step-x.checkpoint"), "").unwrap();
	fs::write(directory.join("notes.txt"), "").unwrap();
	let store = CheckpointStore::open(&directory).unwrap();
	assert_eq!(store.newest(&run(), &shapes()).unwrap(), (Some(checkpoint(3)), vec![]));
	assert!(!directory.join(TEMPORARY).exists());
}

#[test]
fn failed_write_should_say_where_and_leave_the_last_checkpoint() {
	let (guard, store) = store();
	store.save(&checkpoint(3)).unwrap();
	// A directory in the way of the temporary file fails for root too, unlike permissions.
	fs::create_dir(guard.path().join("run").join(TEMPORARY)).unwrap();
	let error = store.save(&checkpoint(4)).unwrap_err();
	assert!(matches!(error, CheckpointError::Io { action: "create", .. }), "{error}");
	assert_eq!(store.newest(&run(), &shapes()).unwrap().0, Some(checkpoint(3)));
}
