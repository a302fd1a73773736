//! What must hold of any bytes in each format: reading never panics, and what is read encodes to the same bytes.
//!
//! Shared by the fuzz targets and by the plain test that replays their corpora.

use borsh::{BorshDeserialize, BorshSerialize};
use srwan_wire::handshake::{self, FrameView, Macs};
use srwan_wire::id::{LinkIndex, NodeId};
use srwan_wire::oam::{Oam, RelayedHandshake};
use srwan_wire::pulse::{ErrorEstimate, Measured, Pulse, Row, RowCell, RowHeader, SignedRow};
use srwan_wire::receipt::{Delivery, LinkStatement, Quote, Receipt, contradicts};
use srwan_wire::report::Report;
use srwan_wire::roster::{Roster, SignedJoinRequest, SignedRoster};
use srwan_wire::segment::{AAD_LEN_MAX, HeaderView, rewrite_for_next_hop};
use srwan_wire::sid::SEGMENTS_MAX;
use srwan_wire::time::Timestamp;

/// A header's parts are the packet, and a relay changes nothing that the endpoint authenticates.
pub fn segment(bytes: &[u8]) -> bool {
    let Ok(view) = HeaderView::parse(bytes) else { return false };
    assert_eq!([view.tagged(), &view.link_tag(), view.payload()].concat(), bytes);
    assert!(view.segments_left() <= view.listed() && view.listed() < SEGMENTS_MAX);
    (0..=SEGMENTS_MAX).for_each(|at| assert_eq!(view.sid(at).is_some(), at < view.listed()));
    let left = u8::try_from(view.segments_left().saturating_sub(1)).expect("at most three");
    let mut relayed = bytes.to_vec();
    rewrite_for_next_hop(&mut relayed, left, LinkIndex(!view.link().0));
    let next = HeaderView::parse(&relayed).expect("a relayed header is a header");
    assert_eq!((next.link(), next.lane()), (LinkIndex(!view.link().0), view.lane()));
    let (mut before, mut after) = ([0; AAD_LEN_MAX], [0; AAD_LEN_MAX]);
    assert_eq!(view.write_aad(&mut before), next.write_aad(&mut after));
    assert_eq!(before, after);
    true
}

/// A frame is rebuilt from its parts.
pub fn handshake(bytes: &[u8]) -> bool {
    let Ok(frame) = FrameView::parse(bytes) else { return false };
    let rebuilt = match frame {
        FrameView::Initiation(view) => {
            with_macs(&mut handshake::initiation(view.sender, view.noise), view.macs)
        }
        FrameView::Response(view) => {
            let mut frame = handshake::response(view.sender, view.receiver, view.noise);
            with_macs(&mut frame, view.macs)
        }
        FrameView::CookieReply(view) => {
            handshake::cookie_reply(view.receiver, view.nonce, view.sealed).to_vec()
        }
    };
    assert_eq!(rebuilt, bytes);
    true
}

fn with_macs(frame: &mut [u8], macs: Macs<'_>) -> Vec<u8> {
    handshake::write_macs(
        frame,
        |covered| {
            assert_eq!(covered, macs.covered_by_mac1);
            *macs.mac1
        },
        |covered| {
            assert_eq!(covered, macs.covered_by_mac2);
            *macs.mac2
        },
    );
    frame.to_vec()
}

/// A control message, and the body of a pulse in it.
pub fn oam(bytes: &[u8]) -> bool {
    let Ok(message) = Oam::decode(bytes) else { return false };
    assert_eq!(message.encode(), bytes);
    if let Oam::Pulse(body) = &message {
        pulse(body);
    }
    true
}

/// A relayed handshake, and the frame in it.
pub fn relayed_handshake(bytes: &[u8]) -> bool {
    let Ok(message) = RelayedHandshake::decode(bytes) else { return false };
    assert_eq!(message.encode(), bytes);
    handshake(&message.frame);
    true
}

/// A pulse, and the row that it tells with and without a base.
pub fn pulse(bytes: &[u8]) -> bool {
    let Ok(pulse) = Pulse::decode(bytes) else { return false };
    assert_eq!(pulse.encode(), bytes);
    let base = pulse.coding.base().map(base_row);
    let measurer = NodeId::new(1).expect("one is a node");
    if let Ok(SignedRow { row, .. }) = pulse.signed_row(measurer, base.as_ref()) {
        assert_eq!(Row::from_bytes(&row.to_bytes()), Ok(row));
    }
    assert!(base.is_none() || pulse.signed_row(measurer, None).is_err());
    true
}

/// The row that differences in this corpus are taken from: members 2 to 9 with the same measurement.
pub fn base_row(seq: u32) -> Row {
    let header = RowHeader {
        measurer: NodeId::new(1).expect("one is a node"),
        seq,
        measured: Timestamp::from_nanos(1_700_000_000_000_000_000),
        interval_ms: 10_000,
        clock: ErrorEstimate::from_bits(0x8001),
        clock_epoch: 7,
    };
    let measured = Measured {
        raw: srwan_wire::time::Owd::from_nanos(40_000_000),
        jitter: core::time::Duration::from_micros(300),
        loss: srwan_wire::pulse::Loss::NONE,
        age_steps: 1,
    };
    let cells = (2..10).filter_map(NodeId::new).map(|from| RowCell::new(from, measured)).collect();
    Row::new(header, cells).expect("ascending and few")
}

/// A row's canonical bytes.
pub fn row(bytes: &[u8]) -> bool {
    let Ok(row) = Row::from_bytes(bytes) else { return false };
    assert_eq!(row.to_bytes(), bytes);
    row.cells().iter().for_each(|cell| assert_eq!(row.cell(cell.from()), Some(cell)));
    true
}

/// Whatever is signed about money: the four kinds have four lengths.
pub fn receipt(bytes: &[u8]) -> bool {
    let statement = same::<LinkStatement>(bytes);
    if let Some(statement) = &statement {
        assert!(!contradicts(&statement.body, &statement.body));
    }
    same::<Receipt>(bytes).is_some()
        || same::<Delivery>(bytes).is_some()
        || same::<Quote>(bytes).is_some()
        || statement.is_some()
}

/// A roster that is read keeps its rules.
pub fn roster(bytes: &[u8]) -> bool {
    if let Ok(signed) = SignedRoster::from_bytes(bytes) {
        assert_eq!(signed.to_bytes(), bytes);
    }
    let Ok(roster) = Roster::decode(bytes) else { return false };
    assert_eq!(roster.check(), Ok(()));
    roster.members.iter().for_each(|m| assert_eq!(roster.member(m.node), Some(m)));
    assert!(same::<Roster>(bytes).is_some());
    true
}

/// A join request's claims and signature are judged without harm.
pub fn join(bytes: &[u8]) -> bool {
    let Some(signed) = same::<SignedJoinRequest>(bytes) else { return false };
    let _ = (signed.request.profile.check(), signed.is_authentic());
    true
}

/// A report, and the rows in it.
pub fn report(bytes: &[u8]) -> bool {
    let Ok(report) = Report::decode(bytes) else { return false };
    for opened in report.rows.iter().filter_map(|row| row.open().map(|signed| (row, signed))) {
        assert_eq!(opened.1.row.to_bytes(), opened.0.bytes);
    }
    assert!(same::<Report>(bytes).is_some());
    true
}

/// The value in `bytes`, if they are one; asserts that they are its only encoding.
fn same<T: BorshSerialize + BorshDeserialize>(bytes: &[u8]) -> Option<T> {
    let value: T = borsh::from_slice(bytes).ok()?;
    assert_eq!(borsh::to_vec(&value).expect("writing to memory cannot fail"), bytes);
    Some(value)
}
