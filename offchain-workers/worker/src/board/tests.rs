use super::*;
use openledger_primitives::{
	content::Content,
	jobs::FailureReason,
	worker_api::{BaseModelHashes, InferenceOrder, TrainingOrder, Work},
	ModelId, RequestId, TrainingJobId,
};
use tempfile::TempDir;

const REPORT: Report = Report::Failed(FailureReason::EngineFault);
const MINUTE: Duration = Duration::from_secs(60);

fn open(folder: &TempDir, max_queue: usize) -> Board {
	let metrics = Arc::new(Metrics::new().unwrap());
	Board::open(folder.path().join("jobs"), max_queue, metrics).unwrap()
}

fn order(number: u8, kind: JobKind) -> Order {
	let base = BaseModelHashes { weights: H256::zero(), tokenizer: H256::zero() };
	let work = match kind {
		JobKind::Inference => Work::Inference(InferenceOrder {
			request: RequestId(number.into()),
			model: ModelId(0),
			base,
			adapter: H256::zero(),
			span_index: H256::zero(),
			prompt: Content::Hash(H256::zero()),
			max_input_tokens: 1,
			max_output_tokens: 1,
		}),
		JobKind::Training => Work::Training(TrainingOrder {
			job: TrainingJobId(number.into()),
			base,
			spec: H256::zero(),
			sources: Vec::new(),
		}),
	};
	Order { id: H256([number; 32]), expires: time::now() + 1_000, work }
}

fn training(number: u8) -> Order {
	order(number, JobKind::Training)
}

fn inference(number: u8) -> Order {
	order(number, JobKind::Inference)
}

#[test]
fn answers_should_go_before_training_and_older_jobs_before_newer() {
	let folder = tempfile::tempdir().unwrap();
	let board = open(&folder, 10);
	for order in [training(1), inference(2), training(3), inference(4)] {
		assert_eq!(board.post(&order).unwrap(), Posted::New);
	}
	let taken: Vec<u8> = (0..4).map(|_| board.next().unwrap().id.0[0]).collect();
	assert_eq!(taken, [2, 4, 1, 3]);
	assert!(board.next_of(JobKind::Inference).is_none());
	assert_eq!(board.counts(), Counts { queued: 0, running: 4, waiting_for_disk: 0 });

	// Whoever is killed now starts from the same.
	drop(board);
	let board = open(&folder, 10);
	let taken: Vec<u8> = (0..4).map(|_| board.next().unwrap().id.0[0]).collect();
	assert_eq!(taken, [2, 4, 1, 3]);
}

#[test]
fn a_job_should_end_once() {
	let folder = tempfile::tempdir().unwrap();
	let board = open(&folder, 10);
	let order = training(1);
	board.post(&order).unwrap();
	let ticket = board.next().unwrap();
	assert_eq!(board.report(order.id).unwrap(), Some(Report::Queued));
	board.started(&ticket);
	board.progress(&ticket, 500);
	assert_eq!(board.report(order.id).unwrap(), Some(Report::Running { permille: 500 }));
	board.finish(&ticket, &REPORT).unwrap();
	assert_eq!(board.report(order.id).unwrap(), Some(REPORT));
	assert_eq!(board.post(&order).unwrap(), Posted::Known);
	drop(board);
	let board = open(&folder, 10);
	assert_eq!(board.report(order.id).unwrap(), Some(REPORT));
	assert!(board.next_of(JobKind::Training).is_none());
}

#[test]
fn work_on_a_forgotten_job_should_come_to_nothing() {
	let folder = tempfile::tempdir().unwrap();
	let board = open(&folder, 10);
	let order = training(1);
	board.post(&order).unwrap();
	let old = board.next().unwrap();
	assert!(board.forget(order.id).unwrap());
	assert!(old.cancelled.is_cancelled());
	assert!(!board.forget(order.id).unwrap());

	// The same job again is another one, which the old work cannot touch.
	assert_eq!(board.post(&order).unwrap(), Posted::New);
	board.started(&old);
	board.release(&old);
	board.finish(&old, &REPORT).unwrap();
	assert_eq!(board.report(order.id).unwrap(), Some(Report::Queued));
	assert!(!board.next().unwrap().cancelled.is_cancelled());
}

#[test]
fn jobs_that_wait_should_fill_the_queue_and_those_that_run_or_ended_should_not() {
	let folder = tempfile::tempdir().unwrap();
	let board = open(&folder, 1);
	assert_eq!(board.post(&training(1)).unwrap(), Posted::New);
	assert_eq!(board.post(&training(2)).unwrap(), Posted::Full);
	let ticket = board.next().unwrap();
	assert_eq!(board.post(&training(2)).unwrap(), Posted::New);
	board.finish(&ticket, &REPORT).unwrap();
	assert_eq!(board.post(&training(3)).unwrap(), Posted::Full);
}

#[test]
fn a_job_should_wait_for_what_is_missing_no_longer_than_patience_lasts() {
	let folder = tempfile::tempdir().unwrap();
	let board = open(&folder, 10);
	board.post(&training(1)).unwrap();
	let ticket = board.next().unwrap();
	assert_eq!(board.await_missing(&ticket, Duration::ZERO, MINUTE), PutBack::First);
	let ticket = board.next().unwrap();
	assert_eq!(board.await_missing(&ticket, MINUTE, MINUTE), PutBack::Again);
	assert!(board.next_of(JobKind::Training).is_none(), "it is not to be looked at yet");
	assert_eq!(board.await_missing(&ticket, MINUTE, Duration::ZERO), PutBack::Exhausted);
}

#[test]
fn jobs_should_be_forgotten_when_nobody_needs_them_any_more() {
	let folder = tempfile::tempdir().unwrap();
	let board = open(&folder, 10);
	board.post(&inference(1)).unwrap();
	board.post(&training(2)).unwrap();
	let done = board.next().unwrap();
	board.finish(&done, &REPORT).unwrap();
	let running = board.next().unwrap();
	let expires = time::now() + 1_000;
	board.sweep(expires - 10);
	assert_eq!(board.newest(10).len(), 2);
	board.sweep(expires + 1);
	assert!(running.cancelled.is_cancelled());
	assert_eq!(board.newest(10).iter().map(|job| job.id).collect::<Vec<_>>(), [done.id]);
	board.sweep(expires + REMEMBERED - 10);
	assert_eq!(board.newest(10).len(), 1);
	board.sweep(expires + REMEMBERED + 1);
	assert_eq!(board.newest(10).len(), 0);

	let mut late = training(3);
	late.expires = time::now();
	assert_eq!(board.post(&late).unwrap(), Posted::Expired);
}

#[test]
fn a_board_that_stops_should_let_go_of_its_jobs_and_keep_them() {
	let folder = tempfile::tempdir().unwrap();
	let board = open(&folder, 10);
	board.post(&training(1)).unwrap();
	let ticket = board.next().unwrap();
	board.stop();
	assert!(ticket.cancelled.is_cancelled());
	board.release(&ticket);
	assert!(board.next().is_none());
	drop(board);
	assert_eq!(open(&folder, 10).next().unwrap().id, ticket.id);
}
