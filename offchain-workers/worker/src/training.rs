//! Training an adapter: data and specification from the store, the trainer's run, the adapter into
//! the store.

use crate::{
	compute::Context,
	events::{Event, EventLog},
	failure::{Failure, Stopped},
	hexadecimal::show,
	job::{JobKind, Ticket},
	models::adapter_metadata,
	sources,
};
use openledger_attribution::SpanIndex;
use openledger_primitives::{
	training::{Metrics, TrainingResult},
	worker_api::{Report, TrainingOrder},
	H256,
};
use openledger_trainer::{
	micronats, CheckpointError, CheckpointPolicy, Dataset, ProgressEvent, TrainError, Trained,
	TrainingMetrics, TrainingRun, TrainingSpec,
};

/// Trains an adapter.
pub fn train(
	context: &Context,
	ticket: &Ticket,
	order: &TrainingOrder,
	log: &mut EventLog,
) -> Result<Report, Stopped> {
	let spec = sources::fetch(&context.store, order.spec, Failure::SpecMissing)?;
	let spec = TrainingSpec::parse(&spec).map_err(Failure::from)?;
	let contributions = sources::fetch_all(&context.store, &order.sources)?;
	let model = context.models.training_base(order.base)?;
	let records = sources::training_records(&contributions);
	let dataset = Dataset::from_records(&model, &spec, &records).map_err(Failure::from)?;
	drop(records);
	let index = SpanIndex::build(contributions)
		.map_err(|error| Failure::NotIndexable(error.to_string()))?;
	let span_index_root = index.root();
	context.models.keep_index(index, order.sources.clone());

	// From here on the chain may be told that training goes on: nothing that the creator got wrong
	// comes up any more.
	context.board.started(ticket);
	tracing::info!(
		examples = dataset.training.len(),
		heldout = dataset.heldout.len(),
		truncated = dataset.report.truncated,
		dropped = dataset.report.dropped,
		steps = spec.steps(dataset.training.len()),
		"training"
	);
	let base_model = show(order.base.weights);
	let policy = CheckpointPolicy {
		directory: context.board.journal().checkpoints(ticket.id),
		every_steps: None,
		every: Some(context.checkpoint_every),
	};
	let run = TrainingRun {
		model: &model,
		base_model: &base_model,
		spec: &spec,
		dataset: &dataset,
		checkpoints: Some(&policy),
		cancel: &ticket.cancelled,
	};
	let mut trained = run.train(&mut |event| observe(context, ticket, log, &event));
	if let Err(TrainError::Checkpoint(error)) = &trained {
		if is_of_another_run(error) {
			tracing::warn!(%error, "the checkpoint cannot be used: training begins anew");
			context.board.journal().remove_checkpoints(ticket.id)?;
			trained = run.train(&mut |event| observe(context, ticket, log, &event));
		}
	}
	let trained = trained?;
	let adapter_hash = keep_adapter(context, order, &trained)?;
	let metrics = measured(&trained.metrics);
	tracing::info!(
		adapter = %show(adapter_hash),
		heldout_before_micro = metrics.heldout_loss_before_micro,
		heldout_after_micro = metrics.heldout_loss_after_micro,
		steps = metrics.steps,
		tokens = metrics.trained_tokens,
		"trained"
	);
	Ok(Report::Trained(TrainingResult {
		adapter_hash,
		span_index_root,
		influence_root: H256::zero(),
		metrics,
	}))
}

/// Passes an event on, and lets answers go first.
fn observe(context: &Context, ticket: &Ticket, log: &mut EventLog, event: &ProgressEvent) {
	if let ProgressEvent::Step { step, of, tokens, seconds, .. } = *event {
		let permille = u64::from(step) * 1_000 / u64::from(of.max(1));
		context.board.progress(ticket, u16::try_from(permille).unwrap_or(1_000));
		context.metrics.step_seconds.observe(seconds);
		context.metrics.training_tokens.inc_by(tokens);
	}
	if let ProgressEvent::Started { resumed_at: resumed_at @ 1.., .. } = event {
		tracing::info!(resumed_at, "training goes on from a checkpoint");
	}
	if let Some(event) = Event::of_training(event) {
		log.tell(&event);
	}
	while let Some(waiting) = context.board.next_of(JobKind::Inference) {
		context.work_on(&waiting);
	}
}

/// After an update of the worker, or of the base model, the same order can be another run.
fn is_of_another_run(error: &CheckpointError) -> bool {
	matches!(
		error,
		CheckpointError::OtherModel { .. }
			| CheckpointError::OtherSpec { .. }
			| CheckpointError::OtherData { .. }
	)
}

/// Puts the adapter into the store, with the names of everything it came from.
fn keep_adapter(
	context: &Context,
	order: &TrainingOrder,
	trained: &Trained,
) -> Result<H256, Stopped> {
	let list = context.models.store_source_list(&order.sources)?;
	let metadata = adapter_metadata(order.base, order.spec, list);
	let blob =
		trained.adapter.to_bytes(&metadata).map_err(|error| Failure::Export(error.to_string()))?;
	Ok(context.store.put(&blob)?)
}

/// What was measured, in whole numbers. Without held-out records both losses are zero.
fn measured(metrics: &TrainingMetrics) -> Metrics {
	let micro = |loss: Option<f64>| {
		loss.map_or(0, |loss| u32::try_from(micronats(loss)).unwrap_or(u32::MAX))
	};
	Metrics {
		heldout_loss_before_micro: micro(metrics.heldout_before),
		heldout_loss_after_micro: micro(metrics.heldout_after),
		trained_tokens: metrics.tokens,
		steps: metrics.steps,
	}
}
