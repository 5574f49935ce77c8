//! A worker that misbehaves: it stands where an honest one could, and says what a test wants.

use std::{
	io::{BufRead, BufReader, Read, Write},
	net::{TcpListener, TcpStream},
	sync::{Arc, Mutex},
	thread,
	time::Duration,
};

/// What it answers to whatever is asked about jobs.
#[derive(Clone, Debug)]
pub enum Manners {
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

/// The worker. Its thread ends with the test.
pub struct HostileWorker {
	port: u16,
	manners: Arc<Mutex<Manners>>,
	asked: Arc<Mutex<Vec<String>>>,
}

impl HostileWorker {
	/// Starts to listen on a free port.
	pub fn start(manners: Manners) -> Self {
		let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
		let port = listener.local_addr().expect("a bound socket has an address").port();
		let manners = Arc::new(Mutex::new(manners));
		let asked = Arc::new(Mutex::new(Vec::new()));
		let shared = (manners.clone(), asked.clone());
		thread::spawn(move || {
			for stream in listener.incoming().flatten() {
				let (manners, asked) = shared.clone();
				thread::spawn(move || {
					let _ = answer(stream, &manners, &asked);
				});
			}
		});
		Self { port, manners, asked }
	}

	/// Where it listens.
	pub fn url(&self) -> String {
		format!("http://127.0.0.1:{}", self.port)
	}

	/// From now on it answers like this.
	pub fn behave(&self, manners: Manners) {
		*self.manners.lock().expect("no test holds it") = manners;
	}

	/// The first lines of all requests so far.
	pub fn asked(&self) -> Vec<String> {
		self.asked.lock().expect("no test holds it").clone()
	}
}

fn answer(
	mut stream: TcpStream,
	manners: &Mutex<Manners>,
	asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
	stream.set_read_timeout(Some(Duration::from_secs(30)))?;
	let mut reader = BufReader::new(stream.try_clone()?);
	let mut first = String::new();
	reader.read_line(&mut first)?;
	let mut length = 0;
	loop {
		let mut line = String::new();
		if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
			break;
		}
		if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
			length = value.trim().parse().unwrap_or(0);
		}
	}
	reader.take(length).read_to_end(&mut Vec::new())?;
	let is_about_jobs = first.contains("/v1/jobs");
	asked.lock().expect("no test holds it").push(first.trim().to_owned());
	if !is_about_jobs {
		return reply(&mut stream, b"{\"status\":\"ok\"}");
	}

	let manners = manners.lock().expect("no test holds it").clone();
	match manners {
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

fn reply(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
	let head = format!(
		"HTTP/1.1 200 OK\r\ncontent-type: application/x-scale\r\ncontent-length: {}\r\nconnection: \
		 close\r\n\r\n",
		body.len()
	);
	stream.write_all(head.as_bytes())?;
	stream.write_all(body)
}
