//! What keeps a router from starting, each with its code; nothing is left on the host.

use std::any::Any;
use std::path::Path;

use srwan_router::fault::{self, Fault};
use srwan_router::kernel::route::Routing;
use srwan_router::{doctor, keys, nft};

use crate::namespace;

fn config(state_dir: &Path) -> String {
    format!(
        "name = \"a\"\nstate_dir = {state_dir:?}\nlisten = \"127.0.0.1:4766\"\n\
         endpoints = [\"198.18.1.1:4766\"]\n[controller]\nurl = \"http://127.0.0.1:1\"\n\
         key = \"0101010101010101010101010101010101010101010101010101010101010101\"\n"
    )
}

/// Runs a router in a fresh namespace until it refuses; returns the fault.
///
/// `prepare` returns the configuration and what has to live until then.
fn check<T: Any>(code: &'static str, prepare: impl FnOnce(&Path) -> (String, T) + Send + 'static) {
    namespace::run(move || {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("router.toml");
        let (text, _alive) = prepare(dir.path());
        std::fs::write(&file, text).unwrap();
        let error = srwan_router::run(&file).unwrap_err();
        let fault = error.downcast_ref::<Fault>().unwrap_or_else(|| panic!("{error:#}"));
        assert_eq!(fault.code, code, "{fault}");
        assert!(!fault.why.is_empty() && !fault.fix.is_empty());
        assert_eq!(Routing::open().unwrap().rules().unwrap(), []);
        // Without the right to look nothing can have been made either.
        assert!(!nft::is_installed().unwrap_or(false));
    });
}

#[test]
fn a_taken_port_is_refused() {
    check(fault::PORT_TAKEN, |dir| {
        let taken = std::net::UdpSocket::bind("127.0.0.1:4766").unwrap();
        (config(&dir.join("state")), taken)
    });
}

#[test]
fn a_second_router_on_one_state_directory_is_refused() {
    check(fault::ALREADY_RUNNING, |dir| {
        let state_dir = dir.join("state");
        std::fs::create_dir(&state_dir).unwrap();
        let file = std::fs::File::create(state_dir.join("lock")).unwrap();
        file.lock().unwrap();
        (config(&state_dir), file)
    });
}

#[test]
fn an_unknown_key_is_refused_before_anything_is_touched() {
    check(fault::CONFIG_UNKNOWN_KEY, |dir| (config(&dir.join("state")) + "pol_ms = 1\n", ()));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    check(fault::KEY_FILE, |dir| {
        use std::os::unix::fs::PermissionsExt;
        let state_dir = dir.join("state");
        std::fs::create_dir(&state_dir).unwrap();
        keys::Keys::load_or_create(&state_dir).unwrap();
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(state_dir.join(keys::NODE_KEY_FILE), open).unwrap();
        (config(&state_dir), ())
    });
}

#[test]
fn a_damaged_journal_is_refused() {
    check(fault::JOURNAL_DAMAGED, |dir| {
        let receipts = dir.join("state/receipts");
        std::fs::create_dir_all(&receipts).unwrap();
        let whole = srwan_router::journal::Journal::open(&dir.join("state")).unwrap();
        let (mut journal, _) = whole;
        journal.keep(srwan_wire::id::LaneId([1; 32]), b"one").unwrap();
        journal.keep(srwan_wire::id::LaneId([2; 32]), b"two").unwrap();
        let mut octets = std::fs::read(receipts.join("journal")).unwrap();
        octets[10] ^= 1;
        std::fs::write(receipts.join("journal"), octets).unwrap();
        (config(&dir.join("state")), ())
    });
}

#[test]
fn without_the_right_to_change_the_network_the_router_says_so() {
    check(fault::NOT_PERMITTED, |dir| {
        drop_net_admin();
        (config(&dir.join("state")), ())
    });
}

#[test]
fn the_doctor_names_what_is_missing() {
    namespace::run(|| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("router.toml");
        std::fs::write(&file, config(&dir.path().join("state"))).unwrap();
        drop_net_admin();
        let findings = doctor(Some(&file)).unwrap();
        let codes: Vec<_> = findings.iter().map(|finding| finding.code.as_str()).collect();
        assert!(codes.contains(&doctor::NO_NET_ADMIN), "{codes:?}");
        assert!(codes.contains(&doctor::CONTROLLER), "{codes:?}");
    });
}

#[test]
fn the_doctor_misses_an_interface_that_is_to_face_the_sr_domain() {
    namespace::run(|| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("router.toml");
        namespace::veth("up0", [198, 18, 1, 1]).unwrap();
        let check = |interface: &str| {
            let srv6 = format!(
                "[srv6]\nmode = \"kernel\"\nblock = \"fd53::/48\"\ninterfaces = [\"{interface}\"]\n"
            );
            std::fs::write(&file, config(&dir.path().join("state")) + &srv6).unwrap();
            let findings = doctor(Some(&file)).unwrap();
            findings.iter().any(|finding| finding.code == doctor::SRV6)
        };
        assert_eq!([check("up0"), check("up1")], [false, true]);
    });
}

/// Takes `CAP_NET_ADMIN` from this thread, and from the threads that it starts.
fn drop_net_admin() {
    const VERSION_3: u32 = 0x2008_0522;
    const NET_ADMIN: u32 = 1 << 12;
    let header = [VERSION_3, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: capget and capset read and write a header of two words and two triples of words (capabilities(7)).
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()), 0);
        (sets[0], sets[1]) = (sets[0] & !NET_ADMIN, sets[1] & !NET_ADMIN);
        assert_eq!(libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()), 0);
    }
}
