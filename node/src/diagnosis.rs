//! Turns failures an operator can act on into plain advice: ports in use, a database that cannot be
//! read.

use std::{
	io::{self, ErrorKind},
	net::{IpAddr, SocketAddr, TcpListener},
	panic,
	path::{Path, PathBuf},
	process,
	sync::OnceLock,
};

use sc_cli::Error;
use sc_network::{multiaddr::Protocol, Multiaddr};
use sc_service::{config::Configuration, DatabaseSource, Error as ServiceError};
use sp_blockchain::Error as ClientError;

/// Fails if a port the node was told to listen on belongs to another process.
///
/// The SDK does not: its network goes on without the address, its RPC server picks a random port, its
/// Prometheus server logs a line. Each leaves a node that runs and cannot be reached.
pub fn require_free_ports(config: &Configuration) -> Result<(), Error> {
	let peer_to_peer = config.network.listen_addresses.iter().filter_map(tcp_address);
	for address in peer_to_peer {
		require_free_port(address, "peer-to-peer", "--port")?;
	}
	let rpc = config.rpc.addr.iter().flatten().filter(|endpoint| !endpoint.is_optional);
	for endpoint in rpc {
		require_free_port(endpoint.listen_addr, "JSON-RPC", "--rpc-port")?;
	}
	if let Some(prometheus) = &config.prometheus_config {
		require_free_port(prometheus.port, "Prometheus", "--prometheus-port")?;
	}
	Ok(())
}

/// Port 0 means any free port. Failures other than a taken port (no IPv6 on this machine, say) are left to
/// the server itself.
fn require_free_port(address: SocketAddr, service: &str, option: &str) -> Result<(), Error> {
	match TcpListener::bind(address) {
		Err(error) if error.kind() == ErrorKind::AddrInUse => Err(plain(format!(
			"{service} port {} is already in use, perhaps by another node. Stop that process or choose \
			 another port with {option}.",
			address.port(),
		))),
		_ => Ok(()),
	}
}

/// The socket of an address like `/ip4/0.0.0.0/tcp/30333` or `…/tcp/30333/ws`.
fn tcp_address(address: &Multiaddr) -> Option<SocketAddr> {
	let mut protocols = address.iter();
	let ip = match protocols.next()? {
		Protocol::Ip4(ip) => IpAddr::V4(ip),
		Protocol::Ip6(ip) => IpAddr::V6(ip),
		_ => return None,
	};
	match protocols.next()? {
		Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
		_ => None,
	}
}

/// Ends the process with advice when a read from the database fails in a way that nobody can catch.
///
/// The database interface of the SDK has no way to return a failed read, so it panics, possibly in the
/// middle of a runtime call where the panic would be taken for a failure of the runtime. And the tables
/// are mapped into memory, so reading beyond the end of a file that was cut short is a bus error.
///
/// Call after `create_runner`, which sets the SDK's own panic hook.
pub fn watch_database(database: &DatabaseSource) -> Result<(), Error> {
	let path = database_path(database);
	explain_bus_errors(&path)?;
	explain_panics(path);
	Ok(())
}

/// Places whose panics mean that what was read makes no sense. A panic elsewhere is a bug and is reported
/// as one.
const READERS: [&str; 4] = ["parity-db-", "sc-client-db-", "sp-state-machine-", "aux_schema.rs"];

fn explain_panics(path: PathBuf) {
	let report_bug = panic::take_hook();
	panic::set_hook(Box::new(move |info| {
		let source = info.location().map_or("", |location| location.file());
		if !READERS.iter().any(|reader| source.contains(reader)) {
			return report_bug(info);
		}
		let payload = info.payload();
		let message = payload
			.downcast_ref::<String>()
			.map(String::as_str)
			.or_else(|| payload.downcast_ref::<&str>().copied())
			.unwrap_or("no message");
		eprintln!("Error: {}", database_advice(message, &path));
		process::exit(1);
	}));
}

/// What the handler of bus errors prints. It may not allocate, so the text is made beforehand.
static BUS_ERROR_ADVICE: OnceLock<String> = OnceLock::new();

fn explain_bus_errors(path: &Path) -> io::Result<()> {
	let advice = database_advice("a file is shorter than it should be (bus error)", path);
	BUS_ERROR_ADVICE.get_or_init(|| format!("Error: {advice}\n"));

	let handler: extern "C" fn(libc::c_int) = on_bus_error;
	// SAFETY: all zeros is a valid `sigaction`, and the handler, which stays for the life of the process,
	// calls nothing but functions that a signal handler may call. Not through tokio or a crate for
	// signals: they call the handler of the standard library first, which restores the default action.
	let status = unsafe {
		let mut action: libc::sigaction = std::mem::zeroed();
		action.sa_sigaction = handler as libc::sighandler_t;
		action.sa_flags = libc::SA_ONSTACK;
		libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut())
	};
	if status == 0 {
		Ok(())
	} else {
		Err(io::Error::last_os_error())
	}
}

extern "C" fn on_bus_error(_signal: libc::c_int) {
	// SAFETY: `write` and `_exit` may be called in a signal handler, and the text is never changed once it
	// is there.
	unsafe {
		if let Some(advice) = BUS_ERROR_ADVICE.get() {
			libc::write(libc::STDERR_FILENO, advice.as_ptr().cast(), advice.len());
		}
		libc::_exit(1)
	}
}

/// Adds advice to an error on the way to an open database. Nothing has been asked for yet, so an error of the
/// client means that the database does not hold what it should; `Storage` alone comes from a genesis that
/// the chain specification cannot build.
pub fn explain_opening_error(error: ServiceError, database: &DatabaseSource) -> Error {
	match error {
		ServiceError::Client(error) if !matches!(error, ClientError::Storage(_)) => {
			plain(database_advice(&error.to_string(), &database_path(database)))
		},
		other => Error::Service(other),
	}
}

/// Adds advice to an error of a command if it comes from the database, and leaves others alone: a block
/// that does not exist may have been asked for.
pub fn explain_error(error: Error, database: &DatabaseSource) -> Error {
	let client_error = match &error {
		Error::Client(error) | Error::Service(ServiceError::Client(error)) => error,
		_ => return error,
	};
	match client_error {
		ClientError::Backend(_) | ClientError::DatabaseError(_) | ClientError::StateDatabase(_) => {
			plain(database_advice(&client_error.to_string(), &database_path(database)))
		},
		_ => error,
	}
}

fn database_advice(failure: &str, path: &Path) -> String {
	let path = path.display();
	if failure.contains("Database file is in use") {
		return format!(
			"{failure}\nAnother node is running on the database at {path}. Stop it, or choose another \
			 directory with --base-path.",
		);
	}
	format!(
		"the database cannot be used: {failure}\nWhat is at {path} is damaged, or was written by other \
		 software or for another chain.\nTo start over, run `purge-chain` with the same --chain and \
		 --base-path and let the node synchronise again (keys are not touched), or restore the directory \
		 from a backup. If it happens again, check the disk and the memory of this machine.",
	)
}

fn database_path(database: &DatabaseSource) -> PathBuf {
	database.path().map(Path::to_owned).unwrap_or_default()
}

/// An error that is shown as it is, without the category in front that the SDK gives to texts.
fn plain(message: String) -> Error {
	Error::Application(message.into())
}
