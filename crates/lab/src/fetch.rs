//! The lab's own transfer client: a JSON line every so often, and one at the end.
//!
//! A transfer is one TCP connection from start to end: a lost connection is the end of the transfer, never
//! repaired, because whether it survives is what the lab wants to know. Beside it a second connection
//! echoes one byte at a time and measures the round trip that a program sees.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::scenario::BitRate;
use crate::web::{Pace, Pattern};

/// What to transfer.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    pub server: SocketAddr,
    pub upload: bool,
    /// The client leaves after this time.
    pub time: Duration,
    pub limit: Option<BitRate>,
    /// Time between two lines.
    pub interval: Duration,
    /// Stop after this many bytes; `None` = only the time ends it.
    pub octets: Option<u64>,
}

/// A line of output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Line {
    /// State so far.
    Progress {
        t_ms: u64,
        bytes: u64,
        /// Mean since the line before.
        mbps: f64,
        /// Echoes that came back since the line before, in order.
        rtt_ms: Vec<f64>,
    },
    /// What became of one kind of packet, where several are sent.
    Kind { kind: String, sent: u64, intact: u64, damaged: u64 },
    /// The end; `error` is empty for a transfer that lived until its time was over.
    End { t_ms: u64, bytes: u64, error: Option<String> },
}

/// Runs a transfer and hands every line to `print`; `true` = it lived until its end.
pub fn run(fetch: Fetch, mut print: impl FnMut(&Line)) -> Result<bool> {
    let start = Instant::now();
    let stream = connect(fetch.server)?;
    let progress = Arc::new(Progress::default());
    if fetch.upload {
        let _first = progress.upload.set(stream.try_clone()?);
    }
    let ended = start_transfer(fetch, stream, Arc::clone(&progress));
    start_echo(fetch.server, Arc::clone(&progress));
    let mut last = (Instant::now(), 0);
    loop {
        let end = match ended.recv_timeout(fetch.interval) {
            Ok(result) => Some(result.err().map(|error| format!("{error:#}"))),
            Err(RecvTimeoutError::Timeout) => (start.elapsed() >= fetch.time).then_some(None),
            Err(RecvTimeoutError::Disconnected) => Some(Some("the transfer stopped".to_owned())),
        };
        let bytes = progress.arrived();
        print(&progress_line(start, &mut last, bytes, &progress));
        if let Some(error) = end {
            let survived = error.is_none();
            print(&Line::End { t_ms: millis(start.elapsed()), bytes, error });
            return Ok(survived);
        }
    }
}

#[derive(Default)]
struct Progress {
    /// Read, or taken by the kernel.
    octets: AtomicU64,
    arrived: AtomicU64,
    /// The connection of an upload.
    upload: OnceLock<TcpStream>,
    echoes: Mutex<Vec<Duration>>,
}

impl Progress {
    /// Octets that are at the other end: of an upload those that it has acknowledged. The kernel takes megabytes that
    /// it cannot send, so counting those would hide a silence of seconds.
    fn arrived(&self) -> u64 {
        let taken = self.octets.load(Ordering::Relaxed);
        let waiting = self.upload.get().map_or(0, unacknowledged);
        let arrived = taken.saturating_sub(waiting);
        self.arrived.fetch_max(arrived, Ordering::Relaxed).max(arrived)
    }
}

/// Octets in the queue of a connection that its other end has not acknowledged. Source: tcp(7), `SIOCOUTQ`.
fn unacknowledged(stream: &TcpStream) -> u64 {
    let mut octets: libc::c_int = 0;
    // SAFETY: the descriptor is open for the whole call, and the request writes one `int` to a live one.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) };
    if result == 0 { u64::try_from(octets).unwrap_or(0) } else { 0 }
}

fn progress_line(
    start: Instant,
    last: &mut (Instant, u64),
    bytes: u64,
    progress: &Progress,
) -> Line {
    let seconds = last.0.elapsed().as_secs_f64();
    let bits = u32::try_from((bytes - last.1) * 8).unwrap_or(u32::MAX);
    *last = (Instant::now(), bytes);
    let echoes = progress.echoes.lock().map(|mut echoes| std::mem::take(&mut *echoes));
    let rtt_ms = echoes.unwrap_or_default().iter().map(|rtt| rtt.as_secs_f64() * 1e3).collect();
    Line::Progress {
        t_ms: millis(start.elapsed()),
        bytes,
        mbps: f64::from(bits) / seconds / 1e6,
        rtt_ms,
    }
}

fn connect(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, CONNECT_WAIT)
        .with_context(|| format!("cannot connect to {server}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn start_transfer(
    fetch: Fetch,
    stream: TcpStream,
    progress: Arc<Progress>,
) -> Receiver<Result<()>> {
    let (sender, ended) = channel();
    thread::spawn(move || {
        let done = if fetch.upload {
            upload(fetch, &stream, &progress)
        } else {
            download(fetch, stream, &progress)
        };
        sender.send(done)
    });
    ended
}

fn download(fetch: Fetch, mut stream: TcpStream, progress: &Progress) -> Result<()> {
    let path = fetch.octets.map_or("/stream".to_owned(), |count| format!("/bytes/{count}"));
    let pace = fetch.limit.map_or(String::new(), |rate| format!("?mbps={}", mbps(rate)));
    write!(stream, "GET {path}{pace} HTTP/1.1\r\nHost: lab\r\n\r\n")?;
    let mut reader = BufReader::with_capacity(65_536, stream);
    read_header(&mut reader, "200")?;
    let mut pattern = Pattern::default();
    let mut left = fetch.octets.unwrap_or(u64::MAX);
    while left > 0 {
        let bytes = reader.fill_buf()?;
        anyhow::ensure!(!bytes.is_empty(), "the server closed the connection");
        anyhow::ensure!(pattern.continues(bytes), "bytes differ from what was sent");
        let octets = bytes.len();
        reader.consume(octets);
        let octets = u64::try_from(octets).unwrap_or(0);
        left = left.saturating_sub(octets);
        progress.octets.fetch_add(octets, Ordering::Relaxed);
    }
    Ok(())
}

/// Counts what the kernel took; the server checks what arrives.
fn upload(fetch: Fetch, stream: &TcpStream, progress: &Progress) -> Result<()> {
    let count = fetch.octets.unwrap_or(u64::MAX);
    let mut writer = stream;
    let length = fetch.octets.map_or(String::new(), |count| format!("Content-Length: {count}\r\n"));
    write!(writer, "POST /sink HTTP/1.1\r\nHost: lab\r\n{length}\r\n")?;
    let mut sent = 0;
    let (mut pattern, mut pace) = (Pattern::default(), Pace::new(fetch.limit));
    while sent < count {
        let chunk =
            pattern.take(usize::try_from(count - sent).unwrap_or(UPLOAD_CHUNK).min(UPLOAD_CHUNK));
        pace.wait_for(chunk.len());
        writer.write_all(chunk)?;
        sent += u64::try_from(chunk.len()).unwrap_or(0);
        progress.octets.store(sent, Ordering::Relaxed);
    }
    read_header(&mut BufReader::new(stream), "200")
}

fn read_header(reader: &mut impl BufRead, status: &str) -> Result<()> {
    let mut line = String::new();
    reader.read_line(&mut line).context("no answer")?;
    anyhow::ensure!(line.split(' ').nth(1) == Some(status), "the server says: {}", line.trim_end());
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    Ok(())
}

/// An echo that cannot connect is tried again: it observes the transfer and is not part of it.
fn start_echo(server: SocketAddr, progress: Arc<Progress>) {
    thread::spawn(move || {
        loop {
            let _ended = echo(server, &progress);
            thread::sleep(ECHO_RETRY);
        }
    });
}

fn echo(server: SocketAddr, progress: &Progress) -> Result<()> {
    let mut stream = connect(server)?;
    stream.set_read_timeout(Some(ECHO_WAIT))?;
    stream.write_all(b"GET /echo HTTP/1.1\r\nHost: lab\r\n\r\n")?;
    let mut reader = BufReader::new(stream.try_clone()?);
    read_header(&mut reader, "101")?;
    loop {
        let sent = Instant::now();
        stream.write_all(b"e")?;
        reader.read_exact(&mut [0])?;
        if let Ok(mut echoes) = progress.echoes.lock() {
            echoes.push(sent.elapsed());
        }
        thread::sleep(ECHO_INTERVAL.saturating_sub(sent.elapsed()));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn mbps(rate: BitRate) -> f64 {
    Duration::from_micros(rate.bits_per_second()).as_secs_f64()
}

/// Between two tries to connect.
const ECHO_RETRY: Duration = Duration::from_millis(200);
const ECHO_INTERVAL: Duration = Duration::from_millis(100);
/// An echo later than this is a connection worth replacing.
const ECHO_WAIT: Duration = Duration::from_secs(10);
const CONNECT_WAIT: Duration = Duration::from_secs(10);
const UPLOAD_CHUNK: usize = 16_384;
