use proptest::prelude::*;

use super::*;

fn parse(json: &str) -> Result<TrainingSpec, SpecError> {
	TrainingSpec::parse(json.as_bytes())
}

fn out_of_range(change: impl FnOnce(&mut TrainingSpec)) -> &'static str {
	let mut spec = TrainingSpec::default();
	change(&mut spec);
	match spec.check() {
		Err(SpecError::OutOfRange { field, .. }) => field,
		other => panic!("{other:?}"),
	}
}

#[test]
fn version_alone_should_be_the_default() {
	let spec = parse(r#"{"version": 1}"#).unwrap();
	assert_eq!(spec, TrainingSpec::default());
	let written = serde_json::to_vec(&spec).unwrap();
	assert_eq!(TrainingSpec::parse(&written).unwrap(), spec);
	assert_eq!(spec.hash().unwrap(), TrainingSpec::default().hash().unwrap());
}

#[test]
fn fields_should_be_read_by_their_names() {
	let spec = parse(
		r#"{"version": 1, "rank": 4, "target_modules": ["v_proj", "down_proj"],
		    "length": {"max_steps": 7}, "prompt_field": "q", "completion_field": "a"}"#,
	)
	.unwrap();
	assert_eq!(spec.rank, 4);
	assert_eq!(spec.target_modules, [TargetModule::VProj, TargetModule::DownProj]);
	assert_eq!((spec.length, spec.steps(1_000)), (TrainingLength::MaxSteps(7), 7));
	assert_eq!((&*spec.prompt_field, &*spec.completion_field), ("q", "a"));
	assert_ne!(spec.hash().unwrap(), TrainingSpec::default().hash().unwrap());
}

#[test]
fn what_is_not_a_specification_should_be_refused_by_name() {
	assert!(matches!(parse("{}"), Err(SpecError::MissingVersion)));
	let future = parse(r#"{"version": 2, "unheard_of": 1}"#);
	assert!(matches!(future, Err(SpecError::UnsupportedVersion { found: 2 })), "{future:?}");
	let long = parse(&format!(r#"{{"version": 1, "prompt_field": "{}"}}"#, "x".repeat(20_000)));
	assert!(matches!(long, Err(SpecError::TooLong { .. })), "{long:?}");
	for wrong in [
		"",
		"[]",
		r#"{"version": 1, "ranks": 4}"#,
		r#"{"version": 1, "rank": 4, "rank": 8}"#,
		r#"{"version": 1, "rank": -4}"#,
		r#"{"version": 1, "target_modules": ["lm_head"]}"#,
		r#"{"version": 1, "length": {"epochs": 1, "max_steps": 1}}"#,
		r#"{"version": 1, "learning_rate": NaN}"#,
	] {
		assert!(matches!(parse(wrong), Err(SpecError::Json(_))), "{wrong}");
	}
	let error = parse(r#"{"version": 1, "target_modules": ["lm_head"]}"#).unwrap_err();
	assert!(error.to_string().contains("unknown target module `lm_head`"), "{error}");
}

#[test]
fn every_field_should_have_bounds() {
	assert_eq!(out_of_range(|spec| spec.rank = 0), "rank");
	assert_eq!(out_of_range(|spec| spec.rank = MAX_RANK + 1), "rank");
	assert_eq!(out_of_range(|spec| spec.alpha = 0.0), "alpha");
	assert_eq!(out_of_range(|spec| spec.alpha = f64::INFINITY), "alpha");
	assert_eq!(out_of_range(|spec| spec.learning_rate = f64::NAN), "learning_rate");
	assert_eq!(out_of_range(|spec| spec.learning_rate = 1.1), "learning_rate");
	assert_eq!(out_of_range(|spec| spec.weight_decay = -0.1), "weight_decay");
	assert_eq!(out_of_range(|spec| spec.adam_beta1 = 1.0), "adam_beta1");
	assert_eq!(out_of_range(|spec| spec.adam_beta2 = 1.0), "adam_beta2");
	assert_eq!(out_of_range(|spec| spec.adam_epsilon = 0.0), "adam_epsilon");
	assert_eq!(out_of_range(|spec| spec.warmup_ratio = 1.5), "warmup_ratio");
	assert_eq!(out_of_range(|spec| spec.length = TrainingLength::Epochs(0)), "length.epochs");
	let endless = TrainingLength::MaxSteps(u32::MAX);
	assert_eq!(out_of_range(|spec| spec.length = endless), "length.max_steps");
	assert_eq!(out_of_range(|spec| spec.batch_size = 0), "batch_size");
	assert_eq!(out_of_range(|spec| spec.max_tokens = 1), "max_tokens");
	assert_eq!(out_of_range(|spec| spec.gradient_clip_norm = 0.0), "gradient_clip_norm");
	assert_eq!(out_of_range(|spec| spec.heldout_permille = 501), "heldout_permille");
	assert_eq!(out_of_range(|spec| spec.prompt_field.clear()), "prompt_field");
	assert_eq!(out_of_range(|spec| spec.completion_field = "x".repeat(65)), "completion_field");
}

#[test]
fn what_contradicts_itself_should_be_refused_by_name() {
	let check = |change: fn(&mut TrainingSpec)| {
		let mut spec = TrainingSpec::default();
		change(&mut spec);
		spec.check().unwrap_err()
	};
	let error = check(|spec| (spec.batch_size, spec.max_tokens) = (512, 512));
	assert!(matches!(error, SpecError::BatchTooLarge { tokens: 262_144 }), "{error}");
	let error = check(|spec| spec.target_modules.clear());
	assert!(matches!(error, SpecError::NoTargetModules), "{error}");
	let error = check(|spec| spec.target_modules.push(TargetModule::QProj));
	assert!(matches!(error, SpecError::RepeatedTargetModule { module: "q_proj" }), "{error}");
	let error = check(|spec| spec.prompt_field = "completion".into());
	assert!(matches!(error, SpecError::SameField { .. }), "{error}");
	let error = check(|spec| spec.packing = true);
	assert!(matches!(error, SpecError::PackingNotImplemented), "{error}");
	let error = check(|spec| spec.version = 0);
	assert!(matches!(error, SpecError::UnsupportedVersion { found: 0 }), "{error}");
}

#[test]
fn steps_should_cover_all_epochs() {
	let spec = |epochs, batch_size| TrainingSpec {
		length: TrainingLength::Epochs(epochs),
		batch_size,
		..TrainingSpec::default()
	};
	assert_eq!(spec(3, 4).steps(10), 8);
	assert_eq!(spec(1, 16).steps(3), 1);
	assert_eq!(spec(1, 16).steps(0), 1);
	assert_eq!(spec(1_000, 1).steps(usize::MAX), MAX_STEPS);
}

proptest! {
	#[test]
	fn no_bytes_should_make_parse_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
		let _ = TrainingSpec::parse(&bytes);
	}

	#[test]
	fn what_parse_accepts_should_come_back_from_its_own_json(
		rank in any::<u32>(), alpha in any::<f64>(), rate in any::<f64>(), seed in any::<u64>(),
	) {
		let spec = TrainingSpec { rank, alpha, learning_rate: rate, seed, ..Default::default() };
		let json = serde_json::to_vec(&spec).unwrap();
		if let Ok(parsed) = TrainingSpec::parse(&json) {
			prop_assert!(spec.check().is_ok());
			// JSON numbers may come back a last bit off.
			prop_assert!((parsed.alpha / alpha - 1.0).abs() < 1e-15);
			prop_assert_eq!((parsed.rank, parsed.seed), (rank, seed));
		}
	}
}
