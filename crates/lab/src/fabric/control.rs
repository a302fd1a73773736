//! The fabric's control socket: one JSON object per line each way.
//!
//! A thread per connection reads requests and hands them to the packet thread through a bounded channel; a
//! byte on a pipe wakes that thread. So links change between two packets, and no lock is on their way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::scenario::{Direction, Impairment, LinkChange, LinkShape};

use super::lateness::LatenessSummary;
use super::link::LinkCounters;
use super::net::NetCounters;

/// What a client may ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Puts a fault on links.
    Impair { links: Vec<Direction>, fault: Impairment },
    /// Takes faults off links.
    Heal { links: Vec<Direction> },
    /// Changes what links are without faults.
    Change { links: Vec<Direction>, change: LinkChange },
    /// Reads figures.
    Stats,
}

/// What the fabric answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Reply {
    Done,
    Stats(Box<Stats>),
    Refused { what: String },
}

/// Figures since the fabric started.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// How late packets left the fabric.
    pub delivery: LatenessSummary,
    /// How long packets may have waited before the fabric read them: time between looks while busy.
    pub pickup: LatenessSummary,
    pub realtime: bool,
    pub net: NetCounters,
    pub links: Vec<LinkStats>,
}

/// Figures of one link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkStats {
    #[serde(flatten)]
    pub direction: Direction,
    pub shape: LinkShape,
    pub impaired: bool,
    pub counters: LinkCounters,
}

/// A request with the way back for its answer.
pub struct Ask {
    pub request: Request,
    pub reply: SyncSender<Reply>,
}

/// A client of the control socket.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to a running fabric.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("cannot reach the fabric at {}", socket.display()))?;
        stream.set_read_timeout(Some(REPLY_WAIT))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks and waits for the answer.
    ///
    /// **Errors** if the fabric is gone or refuses.
    pub fn ask(&mut self, request: &Request) -> Result<Reply> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).context("the fabric is gone")?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer).context("the fabric does not answer")?;
        match serde_json::from_str(&answer).context("the fabric is gone")? {
            Reply::Refused { what } => Err(anyhow::anyhow!("the fabric refuses: {what}")),
            reply @ (Reply::Done | Reply::Stats(_)) => Ok(reply),
        }
    }

    /// Reads the figures.
    pub fn stats(&mut self) -> Result<Stats> {
        match self.ask(&Request::Stats)? {
            Reply::Stats(stats) => Ok(*stats),
            Reply::Done | Reply::Refused { .. } => {
                Err(anyhow::anyhow!("the fabric sent no figures"))
            }
        }
    }
}

/// Listens; requests come out of the receiver after a byte on `wake`.
pub fn listen(socket: &Path, wake: UnixStream) -> Result<Receiver<Ask>> {
    let listener = UnixListener::bind(socket)
        .with_context(|| format!("cannot listen at {}", socket.display()))?;
    let (asks, receiver) = sync_channel(ASKS_MAX);
    let serve = move || {
        for stream in listener.incoming().flatten() {
            let (asks, Ok(wake)) = (asks.clone(), wake.try_clone()) else { continue };
            thread::spawn(move || serve(stream, &asks, wake));
        }
    };
    thread::Builder::new().name("control".into()).spawn(serve)?;
    Ok(receiver)
}

/// Serves one connection until it closes or sends nonsense.
fn serve(stream: UnixStream, asks: &SyncSender<Ask>, mut wake: UnixStream) {
    let Ok(mut writer) = stream.try_clone() else { return };
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let reply = match serde_json::from_str(&line) {
            Ok(request) => hand_over(request, asks, &mut wake),
            Err(error) => Reply::Refused { what: error.to_string() },
        };
        let Ok(mut answer) = serde_json::to_vec(&reply) else { return };
        answer.push(b'\n');
        if writer.write_all(&answer).is_err() {
            return;
        }
    }
}

fn hand_over(request: Request, asks: &SyncSender<Ask>, wake: &mut UnixStream) -> Reply {
    let (reply, answer) = sync_channel(1);
    let sent = asks.send(Ask { request, reply }).is_ok() && wake.write_all(&[1]).is_ok();
    let answer = if sent { answer.recv_timeout(REPLY_WAIT).ok() } else { None };
    answer.unwrap_or_else(|| Reply::Refused { what: "the fabric is stopping".into() })
}

/// Requests that wait for the packet thread; a person and a story driver send a few a second.
const ASKS_MAX: usize = 16;
/// The packet thread looks at requests after at most one batch of packets, so this means it is stuck.
const REPLY_WAIT: Duration = Duration::from_secs(5);
