//! The command `openledger-worker`.

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use openledger_engine::serving::Precision;
use openledger_worker::{
	base_model::BaseModel,
	config::{
		DEFAULT_ADAPTER_BYTES, DEFAULT_CACHE_TOKENS, DEFAULT_DRAIN, DEFAULT_INDEX_BYTES,
		DEFAULT_LISTEN, DEFAULT_MAX_ADAPTERS, DEFAULT_MAX_BLOB_BYTES, DEFAULT_MAX_QUEUE,
	},
	gateway::{
		amounts::{parse_open, show_open, Planks},
		keys::{self, SpendLimit},
		ledger, GatewayError,
	},
	http::base_json,
	Config, Daemon, GatewayConfig, Patience, ServingConfig, StartError,
};
use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};
use tokio::signal::unix::{signal, SignalKind};
use tracing_subscriber::EnvFilter;

const EXIT_CODES: &str = "Exit codes:
  0  stopped by SIGTERM or SIGINT, or done
  1  an unexpected fault
  2  wrong arguments, among them a listening address that is not loopback, a gateway elsewhere than
     on loopback without API keys, and two base models of one name for a gateway
  3  a base model cannot be read, or is not one
  4  the data folder cannot be used: its disk, its permissions, or another worker has it
  5  the address cannot be listened on

Environment:
  RUST_LOG  what is logged, as in `info` (the default) or `openledger_worker=debug`";

/// Trains adapters and answers with them, for the node on this machine.
#[derive(Parser)]
#[command(
	version,
	after_help = EXIT_CODES,
	args_conflicts_with_subcommands = true,
	subcommand_negates_reqs = true
)]
struct Arguments {
	#[command(subcommand)]
	command: Option<Command>,
	#[command(flatten)]
	serve: Serve,
	/// How the log is written.
	#[arg(long, value_enum, default_value = "text", global = true)]
	log_format: LogFormat,
}

#[derive(clap::Args)]
struct Serve {
	/// Base model: a GGUF file or a Hugging Face directory. Can be given several times.
	#[arg(long, value_name = "PATH", required = true)]
	base: Vec<PathBuf>,
	/// Folder for blobs, jobs and evidence. It is made if it is not there.
	#[arg(long, value_name = "DIR", required = true)]
	data: Option<PathBuf>,
	/// Loopback address to listen on; port 0 takes a free one.
	#[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN, value_parser = loopback)]
	listen: SocketAddr,
	/// Threads of the engine; all cores when 0.
	#[arg(long, value_name = "N", default_value_t = 0)]
	threads: usize,
	/// Jobs that may wait.
	#[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_QUEUE)]
	max_queue: usize,
	/// The largest blob that is taken in, in bytes.
	#[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_BLOB_BYTES)]
	max_blob_bytes: u64,
	/// Seconds between two checkpoints of training: what a crash costs at most.
	#[arg(long, value_name = "SECONDS", default_value_t = 15)]
	checkpoint_every: u64,
	/// Answer to OpenAI's API on this address. Without API keys (`openledger-worker keys`) it has to be
	/// a loopback address.
	#[arg(long, value_name = "ADDRESS")]
	gateway: Option<SocketAddr>,
	/// Seconds for which answers at the gateway may go on after SIGTERM.
	#[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_DRAIN.as_secs())]
	gateway_drain: u64,
	/// How answers are computed: f32 is exact, and keeps quantised weights as they are; bf16 rounds weights and
	/// adapters, and answers many requests at a time faster where the CPU multiplies bf16. Receipts say
	/// `deterministic` or `deterministic-bf16`.
	#[arg(long, value_enum, default_value = "f32")]
	precision: PrecisionName,
	/// Tokens whose keys and values are kept in memory for each base model.
	#[arg(long, value_name = "TOKENS", default_value_t = DEFAULT_CACHE_TOKENS)]
	cache_tokens: usize,
	/// Adapters that are kept in memory for each base model.
	#[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_ADAPTERS)]
	max_adapters: usize,
	/// Bytes of memory for them.
	#[arg(long, value_name = "BYTES", default_value_t = DEFAULT_ADAPTER_BYTES)]
	adapter_bytes: usize,
	/// Bytes of memory for span indexes, by which answers are attributed, with the records in them.
	#[arg(long, value_name = "BYTES", default_value_t = DEFAULT_INDEX_BYTES)]
	index_bytes: usize,
}

#[derive(Subcommand)]
enum Command {
	/// Prints by what the chain knows a base model.
	Hash {
		/// A GGUF file or a Hugging Face directory.
		path: PathBuf,
		/// How it is printed.
		#[arg(long, value_enum, default_value = "text")]
		format: Format,
	},
	/// API keys of the gateway. A running worker sees changes at once.
	Keys {
		#[command(subcommand)]
		command: Keys,
		/// The worker's data folder.
		#[arg(long, value_name = "DIR", global = true)]
		data: Option<PathBuf>,
	},
}

#[derive(Subcommand)]
enum Keys {
	/// Makes a key and prints it, this once.
	Add {
		/// Whose it is: 1 to 64 letters, digits, `-`, `_`, `.` or `@`.
		name: String,
		#[command(flatten)]
		limit: Limit,
	},
	/// Lists the keys, and what each has spent.
	List,
	/// Takes a key back.
	Remove {
		/// Whose it is.
		name: String,
	},
	/// Changes what a key may spend in all; without a limit, everything.
	Limit {
		/// Whose it is.
		name: String,
		#[command(flatten)]
		limit: Limit,
	},
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct Limit {
	/// Tokens of prompts and answers that it may spend in all.
	#[arg(long, value_name = "TOKENS")]
	tokens: Option<u64>,
	/// OPEN that it may spend in all at the models' prices.
	#[arg(long, value_name = "OPEN", value_parser = parse_open)]
	open: Option<u128>,
}

impl From<Limit> for Option<SpendLimit> {
	fn from(limit: Limit) -> Self {
		let open = limit.open.map(|planks| SpendLimit::Planks(Planks(planks)));
		limit.tokens.map(SpendLimit::Tokens).or(open)
	}
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
	Text,
	Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionName {
	F32,
	Bf16,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
	Text,
	Json,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
	let address: SocketAddr = text.parse().map_err(|_| "write it as 127.0.0.1:9955".to_owned())?;
	if address.ip().is_loopback() {
		Ok(address)
	} else {
		Err(StartError::NotLoopback(address).to_string())
	}
}

fn main() -> ExitCode {
	let arguments = Arguments::parse();
	set_up_log(arguments.log_format);
	let result = match arguments.command {
		Some(Command::Hash { path, format }) => print_hashes(path, format),
		Some(Command::Keys { command, data }) => manage_keys(command, data),
		None => serve(arguments.serve),
	};
	match result {
		Ok(()) => ExitCode::SUCCESS,
		Err(error) => {
			eprintln!("openledger-worker: {error:#}");
			exit_code(&error)
		},
	}
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
	match error.downcast_ref() {
		Some(
			StartError::NotLoopback(_)
			| StartError::GatewayNeedsKeys(_)
			| StartError::SameName { .. },
		) => 2.into(),
		Some(StartError::BaseModel(_)) => 3.into(),
		Some(
			StartError::Store(_) | StartError::Disk(_) | StartError::Gateway(GatewayError::Disk(_)),
		) => 4.into(),
		Some(StartError::Listen { .. }) => 5.into(),
		_ => ExitCode::FAILURE,
	}
}

/// Logs to the standard error, panics included, so that a log in JSON is all JSON.
fn set_up_log(format: LogFormat) {
	let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
	let log = tracing_subscriber::fmt()
		.with_env_filter(filter)
		// A log that cannot be written, on a full disk say, must not end the worker.
		.log_internal_errors(false)
		.with_ansi(std::io::stderr().is_terminal())
		.with_writer(std::io::stderr);
	match format {
		LogFormat::Text => log.init(),
		LogFormat::Json => log.json().init(),
	}
	std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

fn print_hashes(path: PathBuf, format: Format) -> anyhow::Result<()> {
	let (base, _) = BaseModel::open(&path, Precision::F32).map_err(StartError::from)?;
	match format {
		Format::Json => println!("{:#}", base_json(&base)),
		Format::Text => print_base(&base),
	}
	Ok(())
}

fn print_base(base: &BaseModel) {
	println!("{}", base.path.display());
	println!("  weights       {:#x}", base.hashes.weights);
	println!("  tokenizer     {:#x}", base.hashes.tokenizer);
	println!("  architecture  {}", base.architecture);
	println!("  parameters    {}", base.parameters);
	println!("  context       {} tokens", base.max_context);
}

fn manage_keys(command: Keys, data: Option<PathBuf>) -> anyhow::Result<()> {
	let data = &data.context("--data is missing")?;
	match command {
		Keys::Add { name, limit } => println!("{}", keys::add(data, &name, limit.into())?),
		Keys::Remove { name } => keys::remove(data, &name)?,
		Keys::Limit { name, limit } => keys::set_limit(data, &name, limit.into())?,
		Keys::List => {
			let spent = ledger::read(data)?;
			for key in keys::list(data)? {
				let spent = spent.get(&key.id).copied().unwrap_or_default();
				let limit = match key.limit {
					None => "no limit".into(),
					Some(SpendLimit::Tokens(tokens)) => format!("{tokens} tokens"),
					Some(SpendLimit::Planks(planks)) => show_open(planks.0),
				};
				println!("{}  {}", key.name, key.id);
				println!("  limit  {limit}");
				println!(
					"  spent  {} tokens of prompts, {} of answers, {}",
					spent.input_tokens,
					spent.output_tokens,
					show_open(spent.planks.0)
				);
			}
		},
	}
	Ok(())
}

fn serve(arguments: Serve) -> anyhow::Result<()> {
	let Serve {
		base,
		data,
		listen,
		threads,
		max_queue,
		max_blob_bytes,
		checkpoint_every,
		gateway,
		gateway_drain,
		precision,
		cache_tokens,
		max_adapters,
		adapter_bytes,
		index_bytes,
	} = arguments;
	let data = data.context("--data is missing")?;
	let config = Config {
		listen,
		threads,
		max_queue,
		max_blob_bytes,
		patience: Patience::default(),
		checkpoint_every: Duration::from_secs(checkpoint_every),
		serving: ServingConfig {
			precision: match precision {
				PrecisionName::F32 => Precision::F32,
				PrecisionName::Bf16 => Precision::Bf16,
			},
			cache_tokens,
			max_adapters,
			adapter_bytes,
			index_bytes,
		},
		gateway: gateway
			.map(|listen| GatewayConfig { listen, drain: Duration::from_secs(gateway_drain) }),
		..Config::new(base, data)
	};
	tokio::runtime::Builder::new_multi_thread()
		.enable_all()
		.build()
		.context("cannot start the runtime")?
		.block_on(run(config))
}

async fn run(config: Config) -> anyhow::Result<()> {
	let mut terminate = signal(SignalKind::terminate())?;
	let mut interrupt = signal(SignalKind::interrupt())?;
	// A limit on the size of files then is an error like a full disk, and does not kill.
	let _too_large = signal(SignalKind::from_raw(SIGXFSZ))?;
	let data = config.data.clone();
	let daemon = Daemon::start(config).await?;
	println!("openledger-worker {}", env!("CARGO_PKG_VERSION"));
	println!("listening on http://{}", daemon.address());
	if let Some(address) = daemon.gateway_address() {
		println!("gateway on http://{address}");
	}
	println!("data in {}", data.display());
	println!("jobs waiting from before: {}", daemon.queued());
	println!("base models:");
	daemon.base_models().into_iter().for_each(print_base);
	tokio::select! {
		_ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
		_ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
	}
	daemon.stop().await;
	tracing::info!("stopped; jobs that had not ended go on at the next start");
	Ok(())
}

/// "File size limit exceeded", on every Linux but those on Alpha, MIPS, PA-RISC and SPARC.
const SIGXFSZ: i32 = 25;
