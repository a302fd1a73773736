//! The receipts journal on a file system that runs full.

use nix::mount::{MsFlags, mount};
use srwan_router::fault;
use srwan_router::journal::Journal;
use srwan_wire::id::LaneId;

use crate::namespace;

#[test]
fn a_full_disk_stops_acknowledging_and_loses_nothing() {
    namespace::run(|| {
        let dir = tempfile::tempdir().unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=64k"))
            .unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        let payload = vec![7; 4_000];
        let kept = (0..32_u8).take_while(|n| journal.keep(LaneId([*n; 32]), &payload).is_ok());
        let kept = u8::try_from(kept.count()).unwrap();
        assert!((10..=16).contains(&kept), "{kept} records fit");
        let refused = journal.keep(LaneId([99; 32]), &payload).unwrap_err();
        assert_eq!(refused.code, fault::JOURNAL_WRITE);
        journal.sync().unwrap();
        let (_, recovered) = Journal::open(dir.path()).unwrap();
        assert_eq!(recovered.torn_octets, 0);
        assert_eq!(recovered.payloads.len(), usize::from(kept));
    });
}
