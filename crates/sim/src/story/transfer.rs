//! A flow of a scenario: two hosts, one connection whose bulk goes one way, and an echo beside it.

use super::tcp::{Receiver, SEGMENT_OCTETS, Sender};
use srwan_scenario::record::{FlowEnd, FlowLog};
use srwan_scenario::{BitRate, Bulk, Flow};
use srwan_wire::time::Instant;
use std::time::Duration;

/// Which host of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one that starts it.
    Starter,
    /// The one that answers.
    Answerer,
}

impl End {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Starter => Self::Answerer,
            Self::Answerer => Self::Starter,
        }
    }
}

/// A packet that a host sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Who sends it.
    pub from: End,
    /// What is in it.
    pub payload: Vec<u8>,
}

/// What is in a packet of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Open,
    Opened,
    Segment(u64),
    Ack { segment: u64, all_before: u64 },
    Echo(u64),
    EchoAnswer(u64),
}

/// Echoes are this far apart, as the lab's client has them.
const ECHO_EVERY: Duration = Duration::from_millis(100);
/// An echo without an answer is sent again after this, then after twice as long, and so on.
const ECHO_AGAIN: Duration = Duration::from_millis(300);
const ECHO_DOUBLINGS: u32 = 5;
/// As TCP's for its first packet; doubles.
const OPEN_AGAIN: Duration = Duration::from_secs(1);
const OPEN_DOUBLINGS: u32 = 6;

/// A request that is repeated until it is answered.
#[derive(Clone, Copy, Debug)]
struct Asking {
    first: Instant,
    next: Instant,
    tries: u32,
}

impl Asking {
    fn at(now: Instant) -> Self {
        Self { first: now, next: now, tries: 0 }
    }

    /// Whether it is due; if so the next one is due twice as long after it.
    fn is_due(&mut self, wait: Duration, doublings: u32, now: Instant) -> bool {
        if self.next > now {
            return false;
        }
        self.next = now + wait * 2_u32.pow(self.tries.min(doublings));
        self.tries += 1;
        true
    }
}

/// A running flow.
#[derive(Clone, Debug)]
pub struct Transfer {
    number: u16,
    flow: Flow,
    /// Time of the world at which the story began.
    origin: Instant,
    opening: Option<Asking>,
    /// When the sending program could begin to write.
    writes_from: Option<Instant>,
    sender: Sender,
    receiver: Receiver,
    acks: Vec<Message>,
    answers: Vec<Message>,
    echo: (u64, Asking),
    log: FlowLog,
}

impl Transfer {
    /// A flow that starts at this moment; `number` tells its packets from others'.
    #[must_use]
    pub fn start(number: u16, flow: &Flow, origin: Instant, now: Instant) -> Self {
        Self {
            number,
            flow: flow.clone(),
            origin,
            opening: Some(Asking::at(now)),
            writes_from: None,
            sender: Sender::new(now),
            receiver: Receiver::default(),
            acks: Vec::new(),
            answers: Vec::new(),
            echo: (0, Asking::at(now)),
            log: FlowLog { started: Some(now.since(origin)), ..FlowLog::default() },
        }
    }

    /// The flow.
    #[must_use]
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// What was seen so far.
    #[must_use]
    pub fn log(&self) -> &FlowLog {
        &self.log
    }

    /// The flow whose packet this is, if it is one.
    #[must_use]
    pub fn number_of(payload: &[u8]) -> Option<u16> {
        payload.first_chunk().map(|octets| u16::from_be_bytes(*octets))
    }

    /// Takes a packet that reached one of the hosts.
    pub fn handle_packet(&mut self, at: End, payload: &[u8], now: Instant) {
        let Some(message) = Message::decode(payload) else { return };
        match message {
            Message::Open => self.answers.push(Message::Opened),
            Message::Opened => self.opening = None,
            Message::Segment(segment) => {
                let all_before = self.receiver.handle_segment(segment);
                self.acks.push(Message::Ack { segment, all_before });
            }
            Message::Ack { segment, all_before } => {
                self.sender.handle_ack(segment, all_before, now);
            }
            Message::Echo(number) => self.answers.push(Message::EchoAnswer(number)),
            Message::EchoAnswer(number) => self.take_echo(number, now),
        }
        // The answering program writes as soon as it was asked, the other one as soon as it knows that it was heard.
        let writes = match (self.flow.bulk, at, message) {
            (Bulk::Download, End::Answerer, Message::Open) => true,
            (Bulk::Upload, End::Starter, Message::Opened) => true,
            (Bulk::Download | Bulk::Upload, ..) => false,
        };
        if writes {
            self.writes_from.get_or_insert(now);
        }
    }

    /// The next packet that a host sends.
    pub fn poll_packet(&mut self, now: Instant) -> Option<Outgoing> {
        if let Some(message) = self.answers.pop() {
            return Some(self.packet(End::Answerer, message));
        }
        if let Some(ack) = self.acks.pop() {
            return Some(self.packet(self.bulk_sender().other(), ack));
        }
        if let Some(asking) = &mut self.opening {
            let is_due = asking.is_due(OPEN_AGAIN, OPEN_DOUBLINGS, now);
            return is_due.then(|| self.packet(End::Starter, Message::Open));
        }
        if self.echo.1.is_due(ECHO_AGAIN, ECHO_DOUBLINGS, now) {
            return Some(self.packet(End::Starter, Message::Echo(self.echo.0)));
        }
        self.sender.handle_timeout(now);
        let written = self.written(now)?;
        let segment = self.sender.poll_segment(written, now)?;
        Some(self.packet(self.bulk_sender(), Message::Segment(segment)))
    }

    /// When to ask for packets again.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let opening = self.opening.map(|asking| asking.next);
        let echo = self.opening.is_none().then_some(self.echo.1.next);
        let paced = self.next_write(now);
        [opening, echo, paced, self.sender.poll_timeout()].into_iter().flatten().min()
    }

    /// Notes how much has arrived.
    pub fn sample(&mut self, now: Instant) {
        self.log.bytes.push((now.since(self.origin), self.receiver.octets()));
    }

    /// The flow's time is over, or the story's.
    pub fn end(&mut self, now: Instant) {
        if self.log.end.is_none() {
            self.sample(now);
            let broke = FlowEnd::Broke { why: "the other host never answered".to_owned() };
            self.log.end = Some(if self.opening.is_some() { broke } else { FlowEnd::Lived });
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.log.end.is_some()
    }

    fn bulk_sender(&self) -> End {
        match self.flow.bulk {
            Bulk::Download => End::Answerer,
            Bulk::Upload => End::Starter,
        }
    }

    fn take_echo(&mut self, number: u64, now: Instant) {
        if number != self.echo.0 {
            return;
        }
        let round_trip = now.since(self.echo.1.first);
        self.log.rtt_ms.push((now.since(self.origin), round_trip.as_secs_f64() * 1e3));
        let next = (self.echo.1.first + ECHO_EVERY).max(now);
        self.echo = (number + 1, Asking::at(next));
    }

    /// Segments that the program has written.
    fn written(&self, now: Instant) -> Option<u64> {
        let since = now.since(self.writes_from?);
        let Some(rate) = self.flow.limit else { return Some(u64::MAX) };
        let bits = u128::from(rate.bits_per_second()) * since.as_nanos() / 1_000_000_000;
        Some(u64::try_from(bits / 8).unwrap_or(u64::MAX) / SEGMENT_OCTETS)
    }

    /// When the program has written one more segment.
    fn next_write(&self, now: Instant) -> Option<Instant> {
        let (from, rate) = (self.writes_from?, self.flow.limit?);
        let next = self.written(now)?.saturating_add(1);
        let after = BitRate::time_for(rate, next.saturating_mul(SEGMENT_OCTETS));
        Some((from + after).max(now + Duration::from_nanos(1)))
    }

    fn packet(&self, from: End, message: Message) -> Outgoing {
        Outgoing { from, payload: message.encode(self.number) }
    }
}

impl Message {
    fn encode(self, flow: u16) -> Vec<u8> {
        let (kind, first, second) = match self {
            Self::Open => (1_u16, 0, 0),
            Self::Opened => (2, 0, 0),
            Self::Segment(segment) => (3, segment, 0),
            Self::Ack { segment, all_before } => (4, segment, all_before),
            Self::Echo(number) => (5, number, 0),
            Self::EchoAnswer(number) => (6, number, 0),
        };
        let mut octets = Vec::with_capacity(HEADER_OCTETS);
        octets.extend(flow.to_be_bytes());
        octets.extend(kind.to_be_bytes());
        octets.extend(u64::to_be_bytes(first));
        octets.extend(u64::to_be_bytes(second));
        if let Self::Segment(_) = self {
            octets.resize(usize::try_from(SEGMENT_OCTETS).unwrap_or(HEADER_OCTETS), 0x5a);
        }
        octets
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        let (kind, rest) = octets.get(2..)?.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (first, second) =
            (u64::from_be_bytes(*first), u64::from_be_bytes(*rest.first_chunk()?));
        Some(match u16::from_be_bytes(*kind) {
            1 => Self::Open,
            2 => Self::Opened,
            3 => Self::Segment(first),
            4 => Self::Ack { segment: first, all_before: second },
            5 => Self::Echo(first),
            6 => Self::EchoAnswer(first),
            _ => return None,
        })
    }
}

/// Flow, kind, two numbers.
const HEADER_OCTETS: usize = 20;
