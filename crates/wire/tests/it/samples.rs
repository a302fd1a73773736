//! One valid encoding of each format, from drawn values.

use core::time::Duration;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use srwan_wire::handshake::{cookie_reply, initiation, response, write_macs};
use srwan_wire::id::{
    AccountKey, ChainId, GroupId, Height, LaneId, LaneLabel, LinkIndex, NODE_ID_MAX, NodeId,
    NodeKey, Octets, PathHash, PathId, SessionIndex,
};
use srwan_wire::oam::{
    DestinationProbe, LaneAnswer, LaneSetup, LaneVerdict, Oam, PaddedProbe, PathObservation, Probe,
    ProbePurpose, ReceiptAck, Reflection, ReflexiveAddress, RelayedHandshake, Relays,
};
use srwan_wire::padding::Padding;
use srwan_wire::pulse::{ErrorEstimate, Loss, Measured, Pulse, Row, RowCell, RowCoding, RowHeader};
use srwan_wire::receipt::{
    Delivery, DeliveryBody, Direction, LinkCounters, LinkStatement, LinkStatementBody, Price,
    Quote, QuoteBody, Receipt, ReceiptBody,
};
use srwan_wire::report::{Report, ReportPath, ReportRow};
use srwan_wire::roster::{Class, JoinRequest, Location, Member, Profile, Roster};
use srwan_wire::segment::{AEAD_TAG_LEN, Header, LINK_TAG_LEN};
use srwan_wire::sid::{RELAYS_MAX, SegmentList};
use srwan_wire::sign::{AccountSecret, Signature};
use srwan_wire::time::{Owd, Timestamp};

use super::draw::Draw;
use super::exercise::base_row;

fn node(draw: &mut Draw) -> NodeId {
    NodeId::new(draw.below(NODE_ID_MAX) + 1).unwrap()
}

fn relays(draw: &mut Draw) -> Relays {
    let count = draw.below(u32::try_from(RELAYS_MAX).unwrap() + 1);
    Relays::new((0..count).map(|_| node(draw)).collect()).unwrap()
}

fn timestamp(draw: &mut Draw) -> Timestamp {
    Timestamp::from_nanos(draw.word())
}

fn number(draw: &mut Draw) -> u32 {
    u32::from_be_bytes(draw.array())
}

fn secret(draw: &mut Draw) -> AccountSecret {
    AccountSecret::from_seed(&draw.array())
}

pub fn segment(draw: &mut Draw) -> Vec<u8> {
    let path: Vec<NodeId> = (0..draw.below(4)).filter_map(|at| NodeId::new(at + 1)).collect();
    let header = Header {
        oam: draw.chance(),
        link: LinkIndex(u16::from_be_bytes(draw.array())),
        session: SessionIndex(number(draw)),
        path: PathId(draw.array::<1>()[0]),
        counter: draw.word(),
        lane: LaneLabel(number(draw) * draw.below(2)),
        segments: SegmentList::new(&path, NodeId::new(draw.below(99) + 5).unwrap()).unwrap(),
    };
    let mut packet = vec![0; header.len()];
    header.write(&mut packet);
    packet.extend(draw.array::<LINK_TAG_LEN>());
    let payload = draw.below(40);
    packet.extend((0..payload).map(|_| draw.array::<1>()[0]));
    packet.extend(draw.array::<AEAD_TAG_LEN>());
    packet
}

pub fn handshake(draw: &mut Draw) -> Vec<u8> {
    let (sender, receiver) = (SessionIndex(number(draw)), SessionIndex(number(draw)));
    let (first, second) = (draw.array(), draw.array());
    match draw.below(3) {
        0 => {
            let mut frame = initiation(sender, &draw.array());
            write_macs(&mut frame, |_| first, |_| second);
            frame.to_vec()
        }
        1 => {
            let mut frame = response(sender, receiver, &draw.array());
            write_macs(&mut frame, |_| first, |_| second);
            frame.to_vec()
        }
        _ => cookie_reply(receiver, &draw.array(), &draw.array()).to_vec(),
    }
}

pub fn oam(draw: &mut Draw) -> Vec<u8> {
    let message = match draw.below(13) {
        0 => Oam::Pulse(pulse(draw)),
        1 => Oam::Probe(probe(draw)),
        2 => Oam::Reflection(reflection(draw)),
        3 => Oam::LaneSetup(lane_setup(draw)),
        4 => Oam::LaneAnswer(lane_answer(draw)),
        5 => Oam::Receipt(signed_receipt(draw)),
        6 => Oam::Delivery(signed_delivery(draw)),
        7 => {
            Oam::ReceiptAck(ReceiptAck { lane: LaneId(draw.array()), octets: Octets(draw.word()) })
        }
        8 => Oam::LaneEnd(LaneId(draw.array())),
        9 => Oam::LinkStatement(signed_statement(draw)),
        10 => Oam::Reflexive(ReflexiveAddress {
            address: draw.array(),
            port: u16::from_be_bytes(draw.array()),
        }),
        11 => Oam::Destination(DestinationProbe {
            address: draw.array(),
            rtt: draw.chance().then(|| draw.word()),
            answer: draw.chance(),
        }),
        _ => Oam::PaddedProbe(PaddedProbe {
            probe: probe(draw),
            padding: Padding(u16::try_from(draw.below(300)).unwrap()),
        }),
    };
    message.encode()
}

fn purpose(draw: &mut Draw) -> ProbePurpose {
    match draw.below(5) {
        0 => ProbePurpose::Liveness,
        1 => ProbePurpose::Confirmation,
        2 => ProbePurpose::HopSample,
        3 => ProbePurpose::Ping,
        _ => ProbePurpose::PathMtu,
    }
}

fn probe(draw: &mut Draw) -> Probe {
    Probe {
        purpose: purpose(draw),
        path: PathId(draw.array::<1>()[0]),
        seq: number(draw),
        sent: timestamp(draw),
        relays: relays(draw),
    }
}

fn reflection(draw: &mut Draw) -> Reflection {
    Reflection {
        purpose: purpose(draw),
        path: PathId(draw.array::<1>()[0]),
        seq: number(draw),
        sent: timestamp(draw),
        received: timestamp(draw),
        reflected: timestamp(draw),
        throughput: draw.word(),
    }
}

fn lane_setup(draw: &mut Draw) -> LaneSetup {
    LaneSetup {
        label: LaneLabel(number(draw)),
        lane: LaneId(draw.array()),
        payer: AccountKey(draw.array()),
        path: PathHash(draw.array()),
        previous: node(draw),
        next: draw.chance().then(|| node(draw)),
        headend: node(draw),
        endpoint: node(draw),
        relays: relays(draw),
        price: draw.word(),
        cap: draw.word(),
        expiry: Height(draw.word()),
    }
}

fn lane_answer(draw: &mut Draw) -> LaneAnswer {
    let verdict = match draw.below(4) {
        0 => LaneVerdict::Serving { credit: Octets(draw.word()), counted: Octets(draw.word()) },
        1 => LaneVerdict::NotFinal,
        2 => LaneVerdict::Refused,
        _ => LaneVerdict::Stalled,
    };
    LaneAnswer { label: LaneLabel(number(draw)), lane: LaneId(draw.array()), verdict }
}

pub fn relayed_handshake(draw: &mut Draw) -> Vec<u8> {
    RelayedHandshake { origin: node(draw), relays: relays(draw), frame: handshake(draw) }.encode()
}

fn measured(draw: &mut Draw) -> Measured {
    Measured {
        raw: Owd::from_nanos(i64::from(number(draw)) - i64::from(number(draw))),
        jitter: Duration::from_micros(u64::from(draw.below(200_000))),
        loss: Loss::from_ppm(draw.below(1_000_001)),
        age_steps: draw.array::<1>()[0],
    }
}

/// A row of a few of the members 2 to 13: some of them are in [`base_row`], some are not.
fn any_row(draw: &mut Draw, seq: u32) -> Row {
    let header = RowHeader {
        measurer: NodeId::new(1).unwrap(),
        seq,
        measured: Timestamp::from_nanos(1_700_000_000_000_000_000 + draw.word() % 1_000_000_000),
        interval_ms: draw.below(60_000) + 1,
        clock: ErrorEstimate::from_bits(u16::from_be_bytes(draw.array())),
        clock_epoch: u32::from_be_bytes(draw.array()),
    };
    let cells = (2..14).filter_map(NodeId::new).filter(|_| draw.chance()).collect::<Vec<_>>();
    let cells = cells.into_iter().map(|from| RowCell::new(from, measured(draw))).collect();
    Row::new(header, cells).unwrap()
}

pub fn row(draw: &mut Draw) -> Vec<u8> {
    let seq = number(draw);
    any_row(draw, seq).to_bytes()
}

fn observation(draw: &mut Draw) -> PathObservation {
    PathObservation {
        headend: node(draw),
        relays: relays(draw),
        endpoint: node(draw),
        owd: Owd::from_nanos(i64::from_be_bytes(draw.array())),
        throughput: draw.word(),
    }
}

pub fn pulse(draw: &mut Draw) -> Vec<u8> {
    let seq = draw.below(1_000_000) + 2;
    let row = any_row(draw, seq);
    let coding = match draw.chance() {
        true => RowCoding::whole(&row),
        false => RowCoding::difference(&base_row(seq - 1), &row),
    };
    let pulse = Pulse {
        sent: Timestamp::from_nanos(row.measured.as_nanos() + 250_000),
        clock: row.clock,
        clock_epoch: row.clock_epoch,
        seq: number(draw),
        interval_ms: row.interval_ms,
        holds: number(draw),
        row_seq: row.seq,
        row_age_ns: 250_000,
        coding,
        signature: row.sign(&secret(draw)).signature,
        observations: (0..draw.below(3)).map(|_| observation(draw)).collect(),
    };
    pulse.encode()
}

fn signed_receipt(draw: &mut Draw) -> Receipt {
    let body = ReceiptBody {
        chain: ChainId(draw.array()),
        lane: LaneId(draw.array()),
        path: PathHash(draw.array()),
        octets: Octets(draw.word()),
        price: Price(draw.word()),
        expiry: Height(draw.word()),
    };
    Receipt::new(body, &secret(draw))
}

fn signed_delivery(draw: &mut Draw) -> Delivery {
    let body = DeliveryBody {
        chain: ChainId(draw.array()),
        lane: LaneId(draw.array()),
        path: PathHash(draw.array()),
        octets: Octets(draw.word()),
    };
    Delivery::new(body, &secret(draw))
}

fn signed_quote(draw: &mut Draw) -> Quote {
    let body = QuoteBody {
        chain: ChainId(draw.array()),
        relay: AccountKey(draw.array()),
        direction: if draw.chance() { Direction::Forward } else { Direction::Reverse },
        price: Price(draw.word()),
        until: Height(draw.word()),
        octets_max: Octets(draw.word()),
        nonce: draw.word(),
    };
    Quote::new(body, &secret(draw))
}

fn signed_statement(draw: &mut Draw) -> LinkStatement {
    let body = LinkStatementBody {
        chain: ChainId(draw.array()),
        reporter: AccountKey(draw.array()),
        peer: AccountKey(draw.array()),
        boot_time: timestamp(draw),
        boot_nonce: draw.word(),
        seq: draw.word(),
        counters: LinkCounters {
            out_octets: Octets(draw.word()),
            in_octets: Octets(draw.word()),
            total_traffic_in: Octets(draw.word()),
            total_traffic_out: Octets(draw.word()),
        },
    };
    LinkStatement::new(body, &secret(draw))
}

pub fn receipt(draw: &mut Draw) -> Vec<u8> {
    match draw.below(4) {
        0 => borsh::to_vec(&signed_receipt(draw)),
        1 => borsh::to_vec(&signed_delivery(draw)),
        2 => borsh::to_vec(&signed_quote(draw)),
        _ => borsh::to_vec(&signed_statement(draw)),
    }
    .unwrap()
}

fn endpoints(draw: &mut Draw) -> Vec<SocketAddr> {
    let [a, b] = draw.array();
    let mut endpoints = vec![SocketAddr::from((Ipv4Addr::new(198, 18, a, b), 4_766))];
    if draw.chance() {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, u16::from(a), u16::from(b), 0, 0, 0, 1);
        endpoints.push(SocketAddr::from((v6, 4_766)));
    }
    endpoints
}

fn prefixes(draw: &mut Draw) -> Vec<IpNet> {
    let [a, b] = draw.array();
    let v4 = IpNet::new(Ipv4Addr::new(10, a, b, 0).into(), 24).unwrap();
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, u16::from(a), u16::from(b), 0, 0, 0, 0);
    let all = [v4, IpNet::new(v6.into(), 64).unwrap()];
    all.into_iter().filter(|_| draw.chance()).collect()
}

fn member(draw: &mut Draw, number: u32) -> Member {
    let location = Location {
        city: ["London", "São Paulo", ""][usize::try_from(draw.below(3)).unwrap()].into(),
        country: ["GB", "BR", ""][usize::try_from(draw.below(3)).unwrap()].into(),
        lat_e6: i32::try_from(draw.below(180_000_001)).unwrap() - 90_000_000,
        lon_e6: i32::try_from(draw.below(360_000_001)).unwrap() - 180_000_000,
    };
    Member {
        node: NodeId::new(number).unwrap(),
        node_key: NodeKey(draw.array()),
        account_key: AccountKey(draw.array()),
        endpoints: endpoints(draw),
        prefixes: prefixes(draw),
        location,
        asn: draw.below(100_000),
        class: match draw.below(3) {
            0 => Class::Public,
            1 => Class::Premium,
            _ => Class::Private,
        },
        price: draw.chance().then(|| draw.word()),
        egress: draw.chance(),
        name: format!("r{number}"),
    }
}

/// Endpoints and prefixes of two members could collide; the few of one roster are drawn until they do not.
pub fn roster(draw: &mut Draw) -> Vec<u8> {
    loop {
        let roster = Roster {
            group: GroupId(number(draw)),
            seq: draw.word(),
            issued: timestamp(draw),
            psk: draw.array(),
            members: (0..draw.below(5)).map(|at| member(draw, at * 7 + 1)).collect(),
        };
        if roster.check().is_ok() {
            return borsh::to_vec(&roster).unwrap();
        }
    }
}

pub fn join(draw: &mut Draw) -> Vec<u8> {
    let account = secret(draw);
    let member = member(draw, 1);
    let profile = Profile {
        node_key: member.node_key,
        account_key: account.public(),
        endpoints: member.endpoints,
        prefixes: member.prefixes,
        location: member.location,
        asn: member.asn,
        class: member.class,
        price: member.price,
        egress: member.egress,
        name: member.name,
    };
    let request = JoinRequest {
        controller: AccountKey(draw.array()),
        token: draw.chance().then(|| "a-token".into()),
        issued: timestamp(draw),
        profile,
    };
    borsh::to_vec(&request.sign(&account)).unwrap()
}

pub fn report(draw: &mut Draw) -> Vec<u8> {
    let rows = (0..draw.below(3)).map(|at| any_row(draw, at + 1).to_bytes()).collect::<Vec<_>>();
    let report = Report {
        group: GroupId(number(draw)),
        reporter: node(draw),
        roster_seq: draw.word(),
        issued: timestamp(draw),
        rows: rows
            .into_iter()
            .map(|bytes| ReportRow { bytes, signature: Signature(draw.array()) })
            .collect(),
        paths: (0..draw.below(3))
            .map(|_| ReportPath { observer: node(draw), observation: observation(draw) })
            .collect(),
    };
    borsh::to_vec(&report).unwrap()
}
