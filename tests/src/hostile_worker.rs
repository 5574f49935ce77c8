//! A worker that misbehaves when it is told to: it stands between a node and an honest worker, hands
//! everything on, and from time to time says about jobs what a test wants.

use std::{
	io::{self, BufRead, BufReader, Write},
	net::{Shutdown, TcpListener, TcpStream},
	sync::{
		atomic::{AtomicUsize, Ordering},
		Arc, Mutex,
	},
	thread,
	time::Duration,
};

/// What it answers to whatever is asked about jobs.
#[derive(Clone, Debug)]
pub enum Manners {
	/// What the honest worker answers.
	Honest,
	/// These bytes as a report.
	Report(Vec<u8>),
	/// A body that never ends.
	Endless,
	/// Nothing: the connection stays open.
	Silent,
	/// Not even HTTP.
	Noise,
	/// It breaks the connection off in the middle of a body.
	BreakOff,
}

/// The worker. Its threads end with the test.
pub struct HostileWorker {
	port: u16,
	manners: Arc<Mutex<Manners>>,
	misled: Arc<AtomicUsize>,
}

impl HostileWorker {
	/// Listens on a free port, for a worker that listens at `honest`, such as `127.0.0.1:9955`.
	pub fn before(honest: String) -> Self {
		let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
		let port = listener.local_addr().expect("a bound socket has an address").port();
		let manners = Arc::new(Mutex::new(Manners::Honest));
		let misled = Arc::new(AtomicUsize::new(0));
		let shared = (manners.clone(), misled.clone());
		thread::spawn(move || {
			for stream in listener.incoming().flatten() {
				let ((manners, misled), honest) = (shared.clone(), honest.clone());
				thread::spawn(move || {
					// Whoever breaks off a connection to a worker like this has every right to.
					let _ = answer(stream, &honest, &manners, &misled);
				});
			}
		});
		Self { port, manners, misled }
	}

	/// Where it listens.
	pub fn url(&self) -> String {
		format!("http://127.0.0.1:{}", self.port)
	}

	/// From now on it answers like this.
	pub fn behave(&self, manners: Manners) {
		*self.manners.lock().expect("no thread panics with it") = manners;
	}

	/// How often it has misbehaved.
	pub fn misled(&self) -> usize {
		self.misled.load(Ordering::Relaxed)
	}
}

fn answer(
	mut stream: TcpStream,
	honest: &str,
	manners: &Mutex<Manners>,
	misled: &AtomicUsize,
) -> io::Result<()> {
	stream.set_read_timeout(Some(Duration::from_secs(30)))?;
	let mut reader = BufReader::new(stream.try_clone()?);
	let mut request = Vec::new();
	reader.read_until(b'\n', &mut request)?;
	let is_about_jobs = String::from_utf8_lossy(&request).contains("/v1/jobs");
	loop {
		let mut line = String::new();
		let is_last = reader.read_line(&mut line)? == 0 || line.trim().is_empty();
		if is_last {
			// One request for each connection, so that each is looked at.
			request.extend_from_slice(b"connection: close\r\n\r\n");
			break;
		}
		if !line.to_ascii_lowercase().starts_with("connection:") {
			request.extend_from_slice(line.as_bytes());
		}
	}

	let manners = manners.lock().expect("no thread panics with it").clone();
	if is_about_jobs && !matches!(manners, Manners::Honest) {
		misled.fetch_add(1, Ordering::Relaxed);
	}
	match manners {
		_ if !is_about_jobs => hand_on(reader, &mut stream, honest, &request),
		Manners::Honest => hand_on(reader, &mut stream, honest, &request),
		Manners::Report(bytes) => reply(&mut stream, &bytes),
		Manners::Endless => {
			stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")?;
			loop {
				stream.write_all(&[0x41; 65_536])?;
			}
		},
		Manners::Silent => {
			thread::sleep(Duration::from_secs(3_600));
			Ok(())
		},
		Manners::Noise => stream.write_all(b"\x00\xff\x13\x37 I am not a web server\r\n\r\n"),
		Manners::BreakOff => {
			stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\nhalf of")
		},
	}
}

/// Hands a request on, whose head was read and whose body still comes, and the answer back.
fn hand_on(
	mut body: BufReader<TcpStream>,
	stream: &mut TcpStream,
	honest: &str,
	head: &[u8],
) -> io::Result<()> {
	let mut worker = TcpStream::connect(honest)?;
	worker.write_all(head)?;
	let mut to_worker = worker.try_clone()?;
	thread::spawn(move || io::copy(&mut body, &mut to_worker));
	io::copy(&mut worker, stream)?;
	stream.shutdown(Shutdown::Both)
}

fn reply(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
	let head = format!(
		"HTTP/1.1 200 OK\r\ncontent-type: application/x-scale\r\ncontent-length: {}\r\nconnection: \
		 close\r\n\r\n",
		body.len()
	);
	stream.write_all(head.as_bytes())?;
	stream.write_all(body)
}
