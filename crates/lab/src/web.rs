//! The lab's own web server and client: plain TCP sockets and HTTP/1.1, so that no curl is needed.
//!
//! `GET /stream` sends until the client leaves, `GET /bytes/N` sends N bytes, `POST /sink` takes bytes,
//! `GET /echo` answers 101 and from then on sends back what comes. `?mbps=N` paces the sender. The bytes
//! are a known pattern, so that both sides see any that are wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::scenario::BitRate;

/// Serves until the process ends.
pub fn serve(listen: SocketAddr) -> Result<()> {
    let listener =
        TcpListener::bind(listen).with_context(|| format!("cannot listen at {listen}"))?;
    eprintln!("ready web {}", listener.local_addr()?);
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        if open.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        let open = Arc::clone(&open);
        thread::spawn(move || {
            // A client that leaves in the middle is how most transfers end.
            let _left = answer(stream);
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
    Ok(())
}

/// Position in the pattern that both sides know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pattern(u64);

impl Pattern {
    /// The next bytes of the pattern, at most as many as one block.
    pub fn take(&mut self, octets: usize) -> &'static [u8] {
        let start = usize::try_from(self.0 % PERIOD).expect("a period fits");
        let octets = octets.min(BLOCK);
        self.0 += u64::try_from(octets).expect("a block fits");
        &PATTERN[start..start + octets]
    }

    /// Whether these bytes continue the pattern.
    pub fn continues(&mut self, bytes: &[u8]) -> bool {
        bytes.chunks(BLOCK).all(|chunk| self.take(chunk.len()) == chunk)
    }
}

/// Keeps a sender at a rate.
pub struct Pace {
    rate: Option<BitRate>,
    start: Instant,
    octets: u64,
}

impl Pace {
    pub fn new(rate: Option<BitRate>) -> Self {
        Self { rate, start: Instant::now(), octets: 0 }
    }

    /// Waits until that many more octets may go.
    ///
    /// After a pause it does not catch up for more than half a second, as a video would not.
    pub fn wait_for(&mut self, octets: usize) {
        let Some(rate) = self.rate else { return };
        let due = self.start + rate.time_for(self.octets);
        let now = Instant::now();
        if due > now {
            thread::sleep(due - now);
        } else if now - due > CATCH_UP_MAX {
            (self.start, self.octets) = (now, 0);
        }
        self.octets += u64::try_from(octets).unwrap_or(u64::MAX);
    }
}

/// A request line and the length of the body.
struct Request {
    method: String,
    path: String,
    pace: Option<BitRate>,
    body: Option<u64>,
}

fn answer(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(BLOCK, stream.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        respond(&request, &mut reader, &stream)?;
    }
    Ok(())
}

fn respond(request: &Request, reader: &mut impl Read, stream: &TcpStream) -> Result<()> {
    let bytes = request.path.strip_prefix("/bytes/").and_then(|count| count.parse::<u64>().ok());
    match (request.method.as_str(), request.path.as_str(), bytes) {
        ("GET", "/stream", _) => send(stream, u64::MAX, request.pace),
        ("GET", _, Some(count)) => send(stream, count, request.pace),
        ("GET", "/echo", _) => echo(reader, stream),
        ("POST", "/sink", _) => sink(reader, stream, request.body),
        ("GET", "/", _) => say(stream, "200 OK", "hello from the lab\n"),
        _ => say(stream, "404 Not Found", "no such page\n"),
    }
}

fn read_request(reader: &mut impl BufRead) -> Result<Option<Request>> {
    let mut lines = Vec::new();
    for _ in 0..HEADER_LINES_MAX {
        let mut line = String::new();
        let octets = reader.by_ref().take(HEADER_OCTETS_MAX).read_line(&mut line)?;
        if octets == 0 {
            return Ok(None);
        }
        if line.trim_end().is_empty() {
            return Ok(parse_request(&lines));
        }
        lines.push(line);
    }
    anyhow::bail!("a request of more than {HEADER_LINES_MAX} lines")
}

fn parse_request(lines: &[String]) -> Option<Request> {
    let mut words = lines.first()?.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pace = query.split('&').find_map(|pair| pair.strip_prefix("mbps="));
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some(Request {
        method,
        path: path.to_owned(),
        pace: pace.and_then(|mbps| BitRate::from_mbps(mbps.parse().ok()?)),
        body: length,
    })
}

fn say(mut stream: &TcpStream, status: &str, text: &str) -> Result<()> {
    let length = text.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{text}")?;
    Ok(())
}

fn send(mut stream: &TcpStream, count: u64, rate: Option<BitRate>) -> Result<()> {
    let length = if count == u64::MAX {
        "Connection: close".to_owned()
    } else {
        format!("Content-Length: {count}")
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{length}\r\n\r\n"
    )?;
    send_pattern(stream, count, rate)
}

/// Writes that many bytes of the pattern at a pace.
fn send_pattern(mut stream: &TcpStream, count: u64, rate: Option<BitRate>) -> Result<()> {
    let (mut left, mut pattern, mut pace) = (count, Pattern::default(), Pace::new(rate));
    while left > 0 {
        let chunk = pattern.take(usize::try_from(left).unwrap_or(CHUNK).min(CHUNK));
        pace.wait_for(chunk.len());
        stream.write_all(chunk)?;
        left -= u64::try_from(chunk.len()).unwrap_or(left);
    }
    Ok(())
}

fn echo(reader: &mut impl Read, mut stream: &TcpStream) -> Result<()> {
    stream.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    )?;
    let mut buffer = [0; 1024];
    loop {
        let octets = reader.read(&mut buffer)?;
        anyhow::ensure!(octets > 0, "the client left");
        stream.write_all(&buffer[..octets])?;
    }
}

fn sink(reader: &mut impl Read, stream: &TcpStream, length: Option<u64>) -> Result<()> {
    let (mut buffer, mut pattern, mut total) = (vec![0; BLOCK], Pattern::default(), 0);
    let mut body = reader.take(length.unwrap_or(u64::MAX));
    loop {
        let octets = body.read(&mut buffer)?;
        if octets == 0 {
            return say(stream, "200 OK", &format!("{total} bytes\n"));
        }
        if !pattern.continues(&buffer[..octets]) {
            return say(stream, "422 Unprocessable Content", "bytes differ from the pattern\n");
        }
        total += u64::try_from(octets).unwrap_or(0);
    }
}

static PATTERN: [u8; PERIOD_OCTETS + BLOCK] = {
    let mut bytes = [0; PERIOD_OCTETS + BLOCK];
    let mut at = 0;
    while at < bytes.len() {
        // Truncation is meant: the low byte of a product that differs from its neighbours.
        bytes[at] = (((at % PERIOD_OCTETS) * 167) >> 3) as u8;
        at += 1;
    }
    bytes
};

/// A prime, so that blocks of powers of two never fall on the same bytes.
const PERIOD_OCTETS: usize = 4093;
const PERIOD: u64 = 4093;
/// Bytes per read: a full TCP window of a short path.
const BLOCK: usize = 65_536;
/// Bytes per paced write: 6 ms at 20 Mbit/s, so that pacing is smooth.
const CHUNK: usize = 16_384;
/// Flows of one scenario and their echoes, four times over.
const CONNECTIONS_MAX: usize = 1024;
const HEADER_LINES_MAX: usize = 64;
const HEADER_OCTETS_MAX: u64 = 4096;
const CATCH_UP_MAX: Duration = Duration::from_millis(500);
