//! The same packets through the data plane alone, and through the XDP program with the data plane above it.

use srwan_dataplane::{FibChange, FibLink, LaneEntry};
use srwan_wire::id::{LaneLabel, Octets};
use srwan_wire::time::Instant;

use super::frame;
use super::inner::udp;
use super::twin::{Below, ME, Twins, run};
use super::world::{Datagram, node};

/// Paths from router 1 to router 3 with router 2 at every place of every length, and their lanes.
pub const PATHS: [(&[u32], u32); 6] = [
    (&[2], 71),
    (&[2, 4], 72),
    (&[2, 4, 5], 73),
    (&[4, 2], 74),
    (&[4, 2, 5], 75),
    (&[4, 5, 2], 76),
];

/// A host's packets of many sizes.
fn packets(count: usize) -> Vec<Vec<u8>> {
    let one = |n: usize| udp("10.0.1.5:1", "10.0.3.9:2", &vec![7; n * 157 % 1_300]);
    (0..count).map(one).collect()
}

/// `count` datagrams of a path as they arrive at router 2, whose lane knows their stream already.
pub fn stream(twins: &mut Twins, path: (&[u32], u32), count: usize) -> Vec<Datagram> {
    twins.steer(1, path.0, path.1);
    let mut caught = twins.caught(1, &packets(count + 1));
    assert_eq!(caught.len(), count + 1);
    assert_eq!(twins.give(&caught.remove(0)), Below::Left, "the router must see a new stream");
    caught
}

/// Who comes before router 2 on a path.
fn previous(relays: &[u32]) -> u32 {
    let at = relays.iter().position(|relay| *relay == ME).unwrap();
    if at == 0 { 1 } else { relays[at - 1] }
}

fn header_len(bytes: &[u8]) -> usize {
    if bytes[1] >> 4 < 2 { 24 } else { 32 }
}

/// Makes the link tag right for whatever the header says by now.
fn sign(bytes: &mut [u8], link: &FibLink) {
    let len = header_len(bytes);
    if bytes.len() >= len + 8 {
        let tag =
            siphasher::sip::SipHasher24::new_with_key(link.check.octets()).hash(&bytes[..len]);
        bytes[len..len + 8].copy_from_slice(&tag.to_le_bytes());
    }
}

/// Numbers below a bound, by xorshift.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

#[test]
fn clean_packets_of_every_list_are_carried_below_and_their_replays_are_dropped_there() {
    for is_v6 in [false, true] {
        run(is_v6, |mut twins| {
            for path in PATHS {
                let caught = stream(&mut twins, path, 20);
                for datagram in caught.iter().rev() {
                    assert!(matches!(twins.give(datagram), Below::Sent(_)), "{path:?}");
                }
                for datagram in &caught {
                    assert_eq!(twins.give(datagram), Below::Dropped, "{path:?}");
                }
            }
            let carried = twins.twin.plane(ME).fast_path().unwrap();
            assert_eq!((carried.packets, carried.dropped), (120, 120));
        });
    }
}

#[test]
fn a_frame_that_leaves_where_it_came_in_is_sent_back_by_the_driver() {
    run(false, |mut twins| {
        let caught = stream(&mut twins, PATHS[0], 1);
        let Datagram { from, to, tos, bytes } = &caught[0];
        let uplink = twins.uplink;
        let below = twins.run_program(&frame::make(*from, *to, *tos, bytes), uplink);
        assert!(matches!(below, Below::Sent(_)));
    });
}

#[test]
fn every_flipped_bit_of_a_header_is_judged_alike() {
    for is_v6 in [false, true] {
        run(is_v6, |mut twins| {
            for path in PATHS {
                let caught = stream(&mut twins, path, 1);
                for bit in 0..8 * (header_len(&caught[0].bytes) + 8) {
                    let mut changed = caught[0].clone();
                    changed.bytes[bit / 8] ^= 1 << (bit % 8);
                    assert_eq!(twins.give(&changed), Below::Left);
                }
                assert!(matches!(twins.give(&caught[0]), Below::Sent(_)));
            }
        });
    }
}

/// Every list of three out of these SIDs, every length, every place: with a valid tag, as a neighbour could send it.
#[test]
fn authentic_headers_with_any_list_are_judged_alike() {
    let sids = [0x1002, 0x2001, 0x2002, 0x3001, 0x3002, 0x4001, 0x4002, 0x0001, 0x3003_u32];
    run(false, move |mut twins| {
        for path in PATHS {
            stream(&mut twins, path, 1);
        }
        let template = twins.caught(1, &packets(1)).remove(0);
        let mut counter = 1_000_u32;
        for (from, label) in [(1, 71_u32), (1, 72), (4, 74), (1, 99)] {
            let (index, link) = twins.link_from(from);
            for choice in 0..sids.len().pow(3) {
                for place in 0..16 {
                    let mut forged = template.clone();
                    let listed: u8 = [1, 2, 2, 3, 3, 3, 1, 0, 1, 2, 3, 4, 0, 2, 3, 3][place];
                    let left: u8 = [1, 1, 2, 1, 2, 3, 0, 0, 2, 3, 0, 4, 1, 0, 4, 15][place];
                    if listed < 3 && choice >= sids.len().pow(listed.into()) {
                        continue;
                    }
                    counter += 1;
                    forged.bytes[1] = listed << 4 | left;
                    forged.bytes[2..4].copy_from_slice(&index.0.to_be_bytes());
                    forged.bytes[12..16].copy_from_slice(&counter.to_be_bytes());
                    forged.bytes[16..20].copy_from_slice(&label.to_be_bytes());
                    forged.bytes[20..32].fill(0);
                    for at in 0..usize::from(listed.min(3)) {
                        let sid =
                            sids[choice / sids.len().pow(at.try_into().unwrap()) % sids.len()];
                        forged.bytes[20 + 4 * at..24 + 4 * at].copy_from_slice(&sid.to_be_bytes());
                    }
                    sign(&mut forged.bytes, &link);
                    twins.give(&forged);
                }
            }
        }
        assert!(twins.sent > 10 && twins.left > 10_000, "{} {}", twins.sent, twins.left);
    });
}

#[test]
fn packets_cut_anywhere_are_judged_alike() {
    run(false, |mut twins| {
        for path in PATHS {
            let caught = stream(&mut twins, path, 1);
            let (_, link) = twins.link_from(previous(path.0));
            for length in 1..caught[0].bytes.len().min(120) {
                let mut cut = caught[0].clone();
                cut.bytes.truncate(length);
                // Each is a packet of its own, or the first one that fits would make replays of the others.
                if length > 16 {
                    cut.bytes[14] = u8::try_from(length).unwrap();
                    sign(&mut cut.bytes, &link);
                }
                twins.give(&cut);
            }
        }
        assert!(twins.sent > 200, "{} were long enough", twins.sent);
    });
}

#[test]
fn control_messages_handshakes_and_strangers_are_left_to_the_router() {
    run(false, |mut twins| {
        let caught = stream(&mut twins, PATHS[0], 1);
        let (from, to) = (caught[0].from, caught[0].to);
        let mut given: Vec<Vec<u8>> =
            vec![vec![0xa1; 148], vec![0x01; 60], vec![], vec![0x89; 100]];
        let now = twins.world.now;
        for relays in [&[][..], &[ME]] {
            let via: Vec<_> = relays.iter().map(|raw| node(*raw)).collect();
            let target = if relays.is_empty() { ME } else { 3 };
            let mut bytes = Vec::new();
            let plane = twins.world.plane(1);
            plane.seal_oam(node(target), &via, b"message", &mut bytes, now).unwrap();
            given.push(bytes);
        }
        for index in [0_u16, 999, 0xffff] {
            let mut bytes = caught[0].bytes.clone();
            bytes[2..4].copy_from_slice(&index.to_be_bytes());
            given.push(bytes);
        }
        for bytes in given {
            assert_eq!(twins.give(&Datagram { from, to, tos: 0, bytes }), Below::Left);
        }
    });
}

#[test]
fn credit_ends_at_the_same_octet_and_goes_on_when_it_is_raised() {
    run(false, |mut twins| {
        let mut caught = stream(&mut twins, PATHS[0], 30);
        let label = LaneLabel(PATHS[0].1);
        let (previous, next) = (node(1), Some(node(3)));
        for plane in [twins.world.plane(ME), twins.twin.plane(ME)] {
            plane.remove_lane(label);
            let (octets, allowed) = (Octets(7), Octets(5_000));
            plane.install_lane(LaneEntry { label, previous, next, octets, allowed }).unwrap();
        }
        twins.follow();
        assert_eq!(twins.give(&caught.remove(0)), Below::Left);
        let before = twins.sent;
        for datagram in &caught {
            assert_ne!(twins.give(datagram), Below::Left);
        }
        assert!(twins.sent > before && twins.dropped > 0);
        for plane in [twins.world.plane(ME), twins.twin.plane(ME)] {
            plane.raise_lane(label, Octets(1 << 30));
        }
        let before = twins.sent;
        caught.iter().for_each(|datagram| drop(twins.give(datagram)));
        assert!(twins.sent > before, "what was not billed is carried now");
    });
}

#[test]
fn a_lane_that_is_gone_is_left_to_the_router_even_before_the_program_is_told() {
    run(false, |mut twins| {
        let caught = stream(&mut twins, PATHS[0], 3);
        assert!(matches!(twins.give(&caught[0]), Below::Sent(_)));
        for plane in [twins.world.plane(ME), twins.twin.plane(ME)] {
            plane.remove_lane(LaneLabel(PATHS[0].1));
        }
        assert_eq!(twins.give(&caught[1]), Below::Left);
        twins.follow();
        assert_eq!(twins.give(&caught[2]), Below::Left);
    });
}

#[test]
fn a_link_past_its_end_and_a_packet_too_large_for_the_way_are_left_to_the_router() {
    run(false, |mut twins| {
        let caught = stream(&mut twins, PATHS[0], 1);
        let large = udp("10.0.1.5:1", "10.0.3.9:2", &[7; 1_350]);
        let mut datagram = twins.caught(1, &[large]).remove(0);
        datagram.bytes.extend([7; 100]);
        assert_eq!(twins.give(&datagram), Below::Left, "1,502 octets of IP packet");
        let (index, link) = twins.link_from(1);
        let over = FibLink { until: Instant::ZERO, ..link };
        twins.table.apply(FibChange::Link(index, Some(over))).unwrap();
        assert_eq!(twins.give(&caught[0]), Below::Left);
    });
}

#[test]
fn frames_that_are_not_plain_udp_to_our_port_are_left_to_the_kernel() {
    run(false, |mut twins| {
        let caught = stream(&mut twins, PATHS[0], 1);
        let Datagram { from, to, tos, bytes } = &caught[0];
        let good = frame::make(*from, *to, *tos, bytes);
        let mut check = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut changed = good.clone();
            change(&mut changed);
            assert_eq!(twins.run_program(&changed, 1), Below::Left);
        };
        let patch = |at: usize, value: u8| {
            move |frame: &mut Vec<u8>| {
                frame[at] = value;
                frame::set_v4_checksum(frame);
            }
        };
        check(&|frame| drop(frame.splice(12..12, [0x81, 0, 0, 5])));
        check(&|frame| frame[24] ^= 1);
        check(&|frame| frame.push(0));
        check(&patch(14, 0x46));
        check(&patch(20, 0x20));
        check(&patch(21, 0x01));
        check(&patch(23, 6));
        check(&patch(17, good[17].wrapping_sub(1)));
        check(&patch(37, good[37] ^ 1));
        check(&patch(39, good[39].wrapping_add(1)));
        for length in 14..60 {
            check(&|frame| frame.truncate(length));
        }
        assert!(matches!(twins.run_program(&good, 1), Below::Sent(_)));
    });
}

#[test]
fn ipv6_with_extension_headers_or_without_a_checksum_is_left_to_the_kernel() {
    run(true, |mut twins| {
        let caught = stream(&mut twins, PATHS[0], 1);
        let Datagram { from, to, tos, bytes } = &caught[0];
        let good = frame::make(*from, *to, *tos, bytes);
        for (at, value) in [(20, 0), (20, 44), (14, 0x50), (19, good[19].wrapping_add(1))] {
            let mut changed = good.clone();
            changed[at] = value;
            assert_eq!(twins.run_program(&changed, 1), Below::Left);
        }
        let mut unsummed = good.clone();
        unsummed[60..62].fill(0);
        assert_eq!(twins.run_program(&unsummed, 1), Below::Left);
        assert!(matches!(twins.run_program(&good, 1), Below::Sent(_)));
    });
}

/// Packets of all paths, some again, some late, some changed with or without a valid tag, in an order that is drawn.
#[test]
fn a_drawn_mixture_is_judged_alike() {
    for seed in [3, 4] {
        run(seed == 4, move |mut twins| {
            let mut draw = Draw(seed);
            let mut pool = Vec::new();
            for path in PATHS {
                pool.extend(stream(&mut twins, path, 300));
            }
            for _ in 0..4_000 {
                let mut datagram = pool[draw.below(pool.len())].clone();
                if draw.below(4) == 0 {
                    let at = draw.below(40);
                    datagram.bytes[at] ^= 1 << draw.below(8);
                    let (_, link) = twins.link_from([1, 4, 5][draw.below(3)]);
                    if draw.below(16) == 0 {
                        sign(&mut datagram.bytes, &link);
                    }
                }
                datagram.tos = u8::try_from(draw.below(256)).unwrap();
                twins.give(&datagram);
            }
            let counts = (twins.sent, twins.dropped, twins.left);
            assert!(
                counts.0 > 500 && counts.1 > 1_000 && counts.2 > 500,
                "seed {seed}: {counts:?}"
            );
        });
    }
}
