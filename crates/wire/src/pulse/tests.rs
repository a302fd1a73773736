use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::sign::AccountSecret;

/// 32 kbit/s for 99 pulses in 10 s, less 100 octets of headers, tags and UDP around each.
const MEAN_OCTETS_MAX: usize = 32_000 * 10 / 8 / 99 - 100;

fn node(raw: u32) -> NodeId {
    NodeId::new(raw).unwrap()
}

fn header(seq: u32) -> RowHeader {
    RowHeader {
        measurer: node(1),
        seq,
        measured: Timestamp::from_nanos(1_700_000_000_000_000_000),
        interval_ms: 10_000,
        clock: ErrorEstimate::new(true, Duration::from_micros(500)),
        clock_epoch: 77,
    }
}

fn cell(from: u32, raw_us: i64, jitter_us: u64, loss_ppm: u32, age_steps: u8) -> RowCell {
    let measured = Measured {
        raw: Owd::from_nanos(raw_us.saturating_mul(1_000)),
        jitter: Duration::from_micros(jitter_us),
        loss: Loss::from_ppm(loss_ppm),
        age_steps,
    };
    RowCell::new(node(from), measured)
}

fn pulse_of(row: &Row, coding: RowCoding) -> Pulse {
    Pulse {
        sent: Timestamp::from_nanos(row.measured.as_nanos() + 250_000),
        clock: row.clock,
        clock_epoch: row.clock_epoch,
        seq: 1_000,
        interval_ms: row.interval_ms,
        holds: 990,
        row_seq: row.seq,
        row_age_ns: 250_000,
        coding,
        signature: Signature([9; 64]),
        observations: Vec::new(),
    }
}

prop_compose! {
    fn any_row(seq: u32)(
        cells in prop::collection::btree_map(
            2_u32..140,
            (any::<i32>(), 0_u64..1_000_000, 0_u32..=1_000_000, any::<u8>()),
            0..CELLS_MAX,
        )
    ) -> Row {
        let cells = cells
            .into_iter()
            .map(|(from, (raw, jitter, loss, age))| cell(from, i64::from(raw), jitter, loss, age))
            .collect();
        Row::new(header(seq), cells).unwrap()
    }
}

prop_compose! {
    fn any_observation()(
        headend in 1_u32..1_000_000,
        relays in prop::collection::vec(1_u32..1_000_000, 0..=RELAYS_MAX),
        owd: i64,
        throughput: u64,
    ) -> PathObservation {
        PathObservation {
            headend: node(headend),
            relays: Relays::new(relays.into_iter().map(node).collect()).unwrap(),
            endpoint: node(1),
            owd: Owd::from_nanos(owd),
            throughput,
        }
    }
}

proptest! {
    #[test]
    fn a_whole_row_is_read_back(
        row in any_row(5),
        observations in prop::collection::vec(any_observation(), 0..=OBSERVATIONS_MAX),
    ) {
        let pulse = Pulse { observations, ..pulse_of(&row, RowCoding::whole(&row)) };
        let read = Pulse::decode(&pulse.encode()).unwrap();
        prop_assert_eq!(&read, &pulse);
        prop_assert_eq!(read.signed_row(node(1), None).unwrap().row, row.clone());
        prop_assert_eq!(Row::from_bytes(&row.to_bytes()), Ok(row));
    }

    #[test]
    fn a_difference_gives_the_same_row_and_signature(base in any_row(5), row in any_row(6)) {
        let secret = AccountSecret::from_seed(&[3; 32]);
        let signed = row.clone().sign(&secret);
        let pulse = Pulse {
            signature: signed.signature,
            ..pulse_of(&row, RowCoding::difference(&base, &row))
        };
        let read = Pulse::decode(&pulse.encode()).unwrap();
        prop_assert_eq!(&read, &pulse);
        let got = read.signed_row(node(1), Some(&base)).unwrap();
        prop_assert_eq!(got.verify(&secret.public()), Ok(()));
        prop_assert_eq!(got.row, row);
        prop_assert_eq!(read.signed_row(node(1), None), Err(PulseError::UnknownBase(5)));
    }

    #[test]
    fn bytes_that_are_read_are_the_only_encoding(
        base in any_row(5),
        row in any_row(6),
        at in 0_usize..2_000,
        bit in 0_u8..8,
        is_difference: bool,
    ) {
        let whole = RowCoding::whole(&row);
        let coding = if is_difference { RowCoding::difference(&base, &row) } else { whole };
        let mut bytes = pulse_of(&row, coding).encode();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(read) = Pulse::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
            let _ = read.signed_row(node(1), Some(&base));
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Pulse::decode(&bytes);
        let _ = Row::from_bytes(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = VERSION << 4 | (*first & 1);
        }
        let _ = Pulse::decode(&bytes);
    }
}

#[test]
fn a_signature_holds_for_its_row_only() {
    let secret = AccountSecret::from_seed(&[3; 32]);
    let mut signed = Row::new(header(4), vec![cell(2, 40_000, 100, 0, 1)]).unwrap().sign(&secret);
    assert_eq!(signed.verify(&secret.public()), Ok(()));
    signed.row.seq = 5;
    assert!(signed.verify(&secret.public()).is_err());
}

#[test]
fn cells_out_of_order_are_no_row() {
    let twice = vec![cell(2, 1, 0, 0, 0), cell(2, 1, 0, 0, 0)];
    assert_eq!(Row::new(header(4), twice), Err(PulseError::Malformed));
}

/// A small deterministic generator: the size must not depend on a library's choice of numbers.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Triangular around zero, within `bound`.
    fn around(&mut self, bound: u64) -> i64 {
        i64::try_from(self.below(bound)).unwrap() - i64::try_from(self.below(bound)).unwrap()
    }
}

/// Delays jitter by up to 1 ms around their base, and are told anew when they left what was told by
/// 0.25 ms (the dead band of the measurer); the clocks are up to 10 s apart; a cell in a hundred
/// gets another jitter or loss in each pulse. One whole row in 32.
#[test]
fn a_row_of_a_hundred_routers_fits_its_budget() {
    const PULSES: usize = 320;
    let mut noise = Noise(7);
    let centres: Vec<i64> = (0..99).map(|_| 20_000 + noise.around(10_000_000)).collect();
    let mut told: Vec<(i64, u64, u32)> = centres.iter().map(|c| (*c, 300, 0)).collect();
    let mut base: Option<Row> = None;
    let mut octets = 0;
    for at in 0..PULSES {
        for (centre, tells) in centres.iter().zip(&mut told) {
            let delay = centre + noise.around(1_000);
            if delay.abs_diff(tells.0) > 250 {
                tells.0 = delay;
            }
            if noise.below(100) == 0 {
                tells.1 = 200 + noise.below(400);
                tells.2 = u32::try_from(noise.below(60_000)).unwrap();
            }
        }
        let cells = (2..101).zip(&told).map(|(from, t)| cell(from, t.0, t.1, t.2, 2)).collect();
        let row = Row::new(header(u32::try_from(at + 1).unwrap()), cells).unwrap();
        let coding = match &base {
            Some(held) if at % 32 != 0 => RowCoding::difference(held, &row),
            _ => RowCoding::whole(&row),
        };
        let message = crate::oam::Oam::Pulse(pulse_of(&row, coding).encode()).encode();
        assert!(message.len() <= crate::oam::OAM_LEN_MAX, "{} octets", message.len());
        octets += message.len();
        if at % 32 == 0 {
            base = Some(row);
        }
    }
    let mean = octets / PULSES;
    println!("mean pulse of a group of 100: {mean} octets, at most {MEAN_OCTETS_MAX}");
    assert!(mean <= MEAN_OCTETS_MAX, "{mean} octets on average");
}
