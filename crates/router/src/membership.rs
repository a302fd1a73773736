//! This router's place in its group, as the controller last signed it, kept on disk.
//!
//! A router that has joined once starts from here with the controller down (promise I26). The file holds secrets (the
//! member token, the group's pre-shared key), so it is mode 0600 and replaced whole.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use srwan_api::controller::Membership;
use srwan_wire::id::{AccountKey, NodeId, NodeKey};
use srwan_wire::roster::{RosterError, SignedRoster};

use crate::fault::{self, Fault};

/// Name of the file in the state directory.
const FILE: &str = "membership";

/// What the file holds.
#[derive(BorshSerialize, BorshDeserialize)]
struct Stored {
    node: NodeId,
    member_token: [u8; 32],
    pulse_interval_ms: u64,
    signed: SignedRoster,
}

/// The membership in `state_dir`, if there is one that `controller` signed for `node_key`.
///
/// # Errors
/// `SRW-R016` if the file is there but does not verify: a new join is needed, or the key in the configuration is wrong.
pub fn load(
    state_dir: &Path,
    controller: &AccountKey,
    node_key: &NodeKey,
) -> Result<Option<Membership>, Fault> {
    let path = state_dir.join(FILE);
    let octets = match std::fs::read(&path) {
        Ok(octets) => octets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(invalid(&path, error.to_string())),
    };
    let stored: Stored =
        borsh::from_slice(&octets).map_err(|error| invalid(&path, error.to_string()))?;
    open(stored, controller)
        .map_err(|error| invalid(&path, error.to_string()))
        .map(|membership| Some(membership).filter(|m| names(m, node_key)))
}

fn open(stored: Stored, controller: &AccountKey) -> Result<Membership, RosterError> {
    let roster = stored.signed.open(controller)?;
    Ok(Membership {
        node: stored.node,
        group: roster.group,
        roster,
        signed: stored.signed,
        member_token: stored.member_token,
        pulse_interval: Duration::from_millis(stored.pulse_interval_ms),
    })
}

/// Whether the roster lists this router under its number with its key: another key is another router.
fn names(membership: &Membership, node_key: &NodeKey) -> bool {
    let member = membership.roster.member(membership.node);
    member.is_some_and(|member| member.node_key == *node_key)
}

/// Keeps `membership` for the next start.
///
/// # Errors
/// `SRW-R005` if the disk says no; the router goes on without.
pub fn save(state_dir: &Path, membership: &Membership) -> Result<(), Fault> {
    let stored = Stored {
        node: membership.node,
        member_token: membership.member_token,
        pulse_interval_ms: u64::try_from(membership.pulse_interval.as_millis()).unwrap_or(u64::MAX),
        signed: membership.signed.clone(),
    };
    let octets = borsh::to_vec(&stored).expect("writing to memory cannot fail");
    let path = state_dir.join(FILE);
    replace(&path, &octets).map_err(|error| {
        Fault::new(
            fault::STATE_DIR,
            format!("cannot write {}", path.display()),
            error.to_string(),
            "free some space; until then a restart needs the controller",
        )
    })
}

fn replace(path: &PathBuf, octets: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(octets)?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

fn invalid(path: &Path, why: String) -> Fault {
    Fault::new(
        fault::ROSTER_INVALID,
        format!("the stored roster {} cannot be used", path.display()),
        why,
        "check [controller] key; if it is right, remove the file and join again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use srwan_wire::id::GroupId;
    use srwan_wire::roster::{Class, Location, Member, Roster};
    use srwan_wire::sign::AccountSecret;
    use srwan_wire::time::Timestamp;

    const KEY: NodeKey = NodeKey([3; 32]);

    fn controller() -> AccountSecret {
        AccountSecret::from_seed(&[1; 32])
    }

    fn membership() -> Membership {
        let node = NodeId::new(7).unwrap();
        let member = Member {
            node,
            node_key: KEY,
            account_key: AccountKey([4; 32]),
            endpoints: vec![([198, 18, 0, 1], 4766).into()],
            prefixes: Vec::new(),
            location: Location::default(),
            asn: 0,
            class: Class::Public,
            price: None,
            egress: false,
            name: "r".into(),
        };
        let roster = Roster {
            group: GroupId(1),
            seq: 5,
            issued: Timestamp::from_nanos(1),
            psk: [9; 32],
            members: vec![member],
        };
        let signed = roster.sign(&controller()).unwrap();
        let (member_token, pulse_interval) = ([8; 32], Duration::from_secs(10));
        Membership { node, group: GroupId(1), roster, signed, member_token, pulse_interval }
    }

    #[test]
    fn a_membership_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let key = controller().public();
        assert_eq!(load(dir.path(), &key, &KEY), Ok(None));
        save(dir.path(), &membership()).unwrap();
        assert_eq!(load(dir.path(), &key, &KEY), Ok(Some(membership())));
    }

    #[test]
    fn a_membership_of_another_key_or_controller_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &membership()).unwrap();
        assert_eq!(load(dir.path(), &controller().public(), &NodeKey([0; 32])), Ok(None));
        let other = AccountSecret::from_seed(&[2; 32]).public();
        assert_eq!(load(dir.path(), &other, &KEY).unwrap_err().code, fault::ROSTER_INVALID);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), b"junk").unwrap();
        let fault = load(dir.path(), &controller().public(), &KEY).unwrap_err();
        assert_eq!(fault.code, fault::ROSTER_INVALID);
    }
}
