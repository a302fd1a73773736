//! A small HTTP/1.1 client for the daemons' APIs: one request per connection, bounded, blocking.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::netns;

/// Asks over a unix socket.
pub fn get_unix(socket: &Path, path: &str) -> Result<Value> {
    let stream =
        UnixStream::connect(socket).with_context(|| format!("nobody at {}", socket.display()))?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    get(stream, path)
}

/// Asks over TCP from inside a namespace.
pub fn get_inside(namespace: &Path, server: SocketAddr, path: &str) -> Result<Value> {
    let connected = netns::within(namespace, || TcpStream::connect_timeout(&server, WAIT))?;
    let stream = connected.with_context(|| format!("nobody at {server}"))?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    get(stream, path)
}

/// Asks over TCP.
pub fn get_tcp(server: SocketAddr, path: &str) -> Result<Value> {
    let stream =
        TcpStream::connect_timeout(&server, WAIT).with_context(|| format!("nobody at {server}"))?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    get(stream, path)
}

fn get(mut stream: impl Read + Write, path: &str) -> Result<Value> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_OCTETS_MAX).read_to_end(&mut answer)?;
    let (head, body) = split(&answer).context("the answer is not HTTP")?;
    let status = head.split(' ').nth(1).unwrap_or("?");
    anyhow::ensure!(status == "200", "{path}: status {status}");
    let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        unchunk(body).context("the answer is cut")?
    } else {
        body.to_vec()
    };
    serde_json::from_slice(&body).context("the answer is not JSON")
}

fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&answer[..end]).ok()?, &answer[end + 4..]))
}

/// RFC 9112, 7.1.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}

/// The other side is a process on this machine; the ledger's answer may wait for a block.
const WAIT: Duration = Duration::from_secs(2);
/// A matrix of 100 routers is 3 MB of JSON.
const ANSWER_OCTETS_MAX: u64 = 16 * 1024 * 1024;
