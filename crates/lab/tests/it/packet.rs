//! IP packets as the fabric sees them: checksums stay right, any bytes are survived.

use std::net::UdpSocket;

use proptest::prelude::*;
use srwan_lab::fabric::packet::{
    checksum, decrement_hops, ends, flip_bit, payload, too_big, transport_checksum,
};

/// An IPv4 + UDP packet with right checksums.
pub fn udp_v4(source: [u8; 4], target: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(28 + data.len()).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 1, 0x40, 0, 64, 17, 0, 0]);
    packet.extend(source);
    packet.extend(target);
    let sum = checksum(0, &packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend([0x10, 0, 0x10, 1]);
    packet.extend((length - 20).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(data);
    let sum = udp_sum(&packet);
    packet[26..28].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Zero over a packet whose checksum is right.
fn udp_sum(packet: &[u8]) -> u16 {
    let mut pseudo = packet[12..20].to_vec();
    pseudo.extend([0, 17]);
    pseudo.extend(u16::try_from(packet.len() - 20).unwrap().to_be_bytes());
    pseudo.extend(&packet[20..]);
    checksum(0, &pseudo)
}

#[test]
fn the_header_checksum_stays_right_down_to_the_last_hop() {
    let mut packet = udp_v4([198, 18, 1, 1], [198, 18, 2, 1], b"x");
    for left in (1..64).rev() {
        assert!(decrement_hops(&mut packet));
        assert_eq!(packet[8], left);
        assert_eq!(checksum(0, &packet[..20]), 0, "hops left: {left}");
    }
    assert!(!decrement_hops(&mut packet), "one hop left is none");
}

#[test]
fn a_kernel_would_accept_what_is_built_here() {
    // Proof that the checksums of this file are those of the kernel: the same data over loopback passes.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
    let packet = udp_v4([127, 0, 0, 1], [127, 0, 0, 1], b"x");
    assert_eq!(udp_sum(&packet), 0);
    let mut empty = packet.clone();
    empty[26..28].fill(0);
    assert_eq!(transport_checksum(&empty, 20, 17).to_be_bytes(), packet[26..28]);
}

#[test]
fn too_big_is_answered_once_and_never_to_an_answer() {
    let packet = udp_v4([198, 18, 1, 1], [198, 18, 2, 1], &[0; 1400]);
    let answer = too_big(&packet, 1280).unwrap();
    assert_eq!(ends(&answer).unwrap().target.to_string(), "198.18.1.1");
    assert_eq!((answer[20], answer[21], &answer[26..28]), (3, 4, &1280u16.to_be_bytes()[..]));
    assert_eq!(checksum(0, &answer[20..]), 0);
    assert_eq!(too_big(&answer, 1280), None);
}

proptest! {
    #[test]
    fn a_flipped_bit_changes_one_bit_of_data_and_mends_the_sum(
        data in prop::collection::vec(any::<u8>(), 1..100),
        draw: u64,
    ) {
        let before = udp_v4([198, 18, 1, 1], [198, 18, 2, 1], &data);
        let mut after = before.clone();
        flip_bit(&mut after, draw);
        let changed: u32 = before[28..].iter().zip(&after[28..]).map(|(a, b)| (a ^ b).count_ones()).sum();
        prop_assert_eq!(changed, 1);
        prop_assert_eq!(&before[..26], &after[..26]);
        prop_assert_eq!(udp_sum(&after), 0);
    }

    #[test]
    fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..80), draw: u64) {
        let _ = (ends(&bytes), payload(&bytes), too_big(&bytes, 1280));
        flip_bit(&mut bytes, draw);
        decrement_hops(&mut bytes);
    }
}
