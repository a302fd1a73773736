//! Ethernet frames around the datagrams of the corpus, made and taken apart octet by octet.

use std::net::{IpAddr, SocketAddr};

const ETHERNET: usize = 14;
const UDP: usize = 8;

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub source_mac: [u8; 6],
    pub target_mac: [u8; 6],
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub tos: u8,
    pub hops: u8,
    pub payload: Vec<u8>,
}

/// A frame with checksums that are right.
pub fn make(from: SocketAddr, to: SocketAddr, tos: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xee; 12];
    let udp = length(UDP + payload.len());
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            frame.extend([8, 0, 0x45, tos]);
            frame.extend((20 + udp).to_be_bytes());
            frame.extend([0, 7, 0x40, 0, 33, 17, 0, 0]);
            frame.extend(source.octets());
            frame.extend(target.octets());
            set_v4_checksum(&mut frame);
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            frame.extend([0x86, 0xdd, 0x60 | tos >> 4, tos << 4, 3, 4]);
            frame.extend(udp.to_be_bytes());
            frame.extend([17, 33]);
            frame.extend(source.octets());
            frame.extend(target.octets());
        }
        _ => panic!("one family"),
    }
    let start = frame.len();
    frame.extend(from.port().to_be_bytes());
    frame.extend(to.port().to_be_bytes());
    frame.extend(udp.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    let sum = udp_sum(&frame, start);
    frame[start + 6..start + 8].copy_from_slice(&if sum == 0 { 0xffff } else { sum }.to_be_bytes());
    frame
}

/// Writes the checksum of an IPv4 header that was changed.
pub fn set_v4_checksum(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let sum = checksum(&frame[ETHERNET..34], 0);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

/// Takes a frame apart; checksums must be right, but IPv4's UDP checksum must be zero.
pub fn read(frame: &[u8]) -> Seen {
    let is_v4 = frame[12..14] == [8, 0];
    let start = if is_v4 { 34 } else { 54 };
    let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let (source, target): (IpAddr, IpAddr) = if is_v4 {
        assert_eq!(checksum(&frame[ETHERNET..start], 0), 0, "IPv4 checksum");
        assert_eq!(port(start + 6), 0, "UDP over IPv4 has no checksum");
        assert_eq!(frame[18..22], [0, 0, 0x40, 0], "an atomic datagram that is not fragmented");
        (array::<4>(frame, 26).into(), array::<4>(frame, 30).into())
    } else {
        assert_eq!(udp_sum(frame, start), 0, "UDP checksum");
        (array::<16>(frame, 22).into(), array::<16>(frame, 38).into())
    };
    Seen {
        source_mac: array(frame, 6),
        target_mac: array(frame, 0),
        from: (source, port(start)).into(),
        to: (target, port(start + 2)).into(),
        tos: if is_v4 { frame[15] } else { frame[14] << 4 | frame[15] >> 4 },
        hops: if is_v4 { frame[22] } else { frame[21] },
        payload: frame[start + UDP..].to_vec(),
    }
}

fn array<const N: usize>(frame: &[u8], at: usize) -> [u8; N] {
    frame[at..at + N].try_into().unwrap()
}

fn length(octets: usize) -> u16 {
    octets.try_into().unwrap()
}

/// The UDP checksum with its pseudo header; zero if the one in the frame is right.
fn udp_sum(frame: &[u8], start: usize) -> u16 {
    let addresses = if start == 34 { 26 } else { 22 };
    let udp = u32::from(length(frame.len() - start));
    let pseudo =
        frame[addresses..start].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    checksum(&frame[start..], pseudo.sum::<u32>() + 17 + udp)
}

/// The Internet checksum over what is given and what was summed before.
fn checksum(octets: &[u8], before: u32) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = before + octets.chunks(2).map(word).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
