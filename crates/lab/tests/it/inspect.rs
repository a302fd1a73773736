//! The judge of captures: accepts what the protocol says, and sees each rule broken.

use std::net::IpAddr;

use srwan_lab::fabric::packet::transport_checksum;
use srwan_lab::inner::{Compared, compare};
use srwan_lab::inspect::{Directory, Inspection, inspect, readable};
use srwan_lab::pcap::{self, Frame};
use srwan_wire::id::{LaneLabel, LinkIndex, NodeId, PathId, SessionIndex};
use srwan_wire::segment::Header;
use srwan_wire::sid::SegmentList;

use crate::packet::udp_v4;

const ROUTER_PORT: u16 = 4766;

fn address(router: u8) -> [u8; 4] {
    [198, 18, router, 1]
}

fn directory() -> Directory {
    let number = |router: u8| NodeId::new(u32::from(router)).unwrap();
    let name = |router: u8| format!("r{router}");
    Directory {
        by_address: (1..=4).map(|router| (IpAddr::from(address(router)), name(router))).collect(),
        by_number: (1..=4).map(|router| (number(router), name(router))).collect(),
    }
}

/// A packet of the path r1, r2, r3, r4 on one of its hops.
fn on_hop(from: u8, to: u8, left: u8, sealed: &[u8]) -> (String, Vec<Frame>) {
    let number = |router: u32| NodeId::new(router).unwrap();
    let header = Header {
        oam: false,
        link: LinkIndex(9),
        session: SessionIndex(77),
        path: PathId(1),
        counter: 5,
        lane: LaneLabel(3),
        segments: SegmentList::new(&[number(2), number(3)], number(4)).unwrap(),
    };
    let mut bytes = vec![0; header.len()];
    header.write(&mut bytes);
    bytes[1] = bytes[1] & 0xf0 | left;
    bytes.extend([0; 8]);
    bytes.extend(sealed);
    let mut packet = udp_v4(address(from), address(to), &bytes);
    packet[20..22].copy_from_slice(&ROUTER_PORT.to_be_bytes());
    (format!("r{from}"), vec![Frame { time_ns: u64::from(10 - left), packet }])
}

fn judged(hops: &[(String, Vec<Frame>)]) -> Inspection {
    inspect(hops, &directory())
}

fn broken(hops: &[(String, Vec<Frame>)], says: &str) {
    let violations = judged(hops).violations;
    assert!(violations.iter().any(|violation| violation.contains(says)), "{violations:?}");
}

#[test]
fn a_packet_that_visits_its_segments_in_order_is_accepted() {
    let sealed = [7; 40];
    let hops = [on_hop(1, 2, 2, &sealed), on_hop(2, 3, 1, &sealed), on_hop(3, 4, 0, &sealed)];
    let inspection = judged(&hops);
    assert_eq!(inspection.violations, Vec::<String>::new());
    let path = ["r1", "r2", "r3", "r4"].map(str::to_owned).to_vec();
    assert_eq!(inspection.paths.get(&path), Some(&1));
    assert_eq!(inspection.sent.get("r2"), Some(&1));
}

#[test]
fn every_broken_rule_is_seen() {
    let sealed = [7; 40];
    broken(
        &[on_hop(1, 2, 2, &sealed), on_hop(2, 4, 1, &sealed)],
        "the next segment is Some(\"r3\")",
    );
    broken(&[on_hop(1, 2, 2, &sealed), on_hop(2, 4, 0, &sealed)], "segments left went from 2 to 0");
    broken(&[on_hop(1, 2, 2, &sealed), on_hop(2, 3, 1, &[8; 40])], "sealed bytes changed");
    broken(&[on_hop(1, 4, 2, &sealed)], "visited first");
    broken(&[on_hop(1, 2, 2, &sealed), on_hop(3, 4, 0, &sealed)], "came to r2 and left from r3");
}

#[test]
fn inner_packets_must_have_been_sent_and_stay_sealed_outside() {
    let frame = |packet: Vec<u8>| Frame { time_ns: 0, packet };
    let data: Vec<u8> = (0..=255).collect();
    let inner = frame(udp_v4([198, 19, 1, 10], [198, 19, 4, 10], &data));
    let mut changed = inner.clone();
    changed.packet[100] ^= 1;
    let source = IpAddr::from([198, 19, 1, 10]);
    let received = [inner.clone(), changed];
    let compared = compare(std::slice::from_ref(&inner), &received, source);
    assert_eq!(compared, Compared { arrived: 2, foreign: 1 });
    let sealed = frame(vec![0x45; 400]);
    assert_eq!(readable(std::slice::from_ref(&inner), &[sealed]), 0);
    let open = frame([vec![0; 80], inner.packet.clone()].concat());
    assert_eq!(readable(&[inner], &[open]), 1);
}

#[test]
fn a_pcap_file_reads_back_what_was_written() {
    let frame = Frame { time_ns: 1_700_000_000_123_456_789, packet: vec![0x45; 60] };
    let mut file = Vec::new();
    pcap::write_header(&mut file).unwrap();
    pcap::write_frame(&mut file, &frame).unwrap();
    assert_eq!(pcap::read(file.as_slice()).unwrap(), [frame]);
    assert!(pcap::read(&file[..file.len() - 1]).is_err());
    assert!(pcap::read(&[0; 30][..]).is_err());
}

/// A TCP segment of one connection.
fn segment(first: u32, data: &[u8]) -> Frame {
    let mut packet = udp_v4([198, 19, 1, 10], [198, 19, 4, 10], &[&[0; 12], data].concat());
    packet[9] = 6;
    packet[20..28].copy_from_slice(&[4, 0, 0, 80, 0, 0, 0, 0]);
    packet[24..28].copy_from_slice(&first.to_be_bytes());
    packet[28..40].copy_from_slice(&[0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    Frame { time_ns: 0, packet }
}

#[test]
fn tcp_data_are_compared_by_their_place_however_they_were_cut() {
    let source = IpAddr::from([198, 19, 1, 10]);
    let sent = [segment(100, b"abcdefgh"), segment(108, b"ijkl")];
    let judge = |received: Frame| compare(&sent, &[received], source).foreign;
    assert_eq!(judge(segment(104, b"efghij")), 0);
    assert_eq!(judge(segment(104, b"efgHij")), 1);
    assert_eq!(judge(segment(110, b"klm")), 1, "the last byte was never sent");
    // An acknowledgement without data is compared whole; the kernel left its checksum to the device.
    let (unfinished, mut finished) = (segment(112, b""), segment(112, b""));
    let sum = transport_checksum(&finished.packet, 20, 6);
    finished.packet[36..38].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(compare(&[unfinished], &[finished], source), Compared { arrived: 1, foreign: 0 });
}
