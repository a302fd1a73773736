//! What went wrong, why, and what a person can do about it: one shape for every failure that reaches an operator.
//!
//! Packets that are refused are no faults (they are counted by the node); a `Fault` is for files, kernels and peers'
//! services. Codes are frozen: `SRW-K` config, `SRW-R` router, `SRW-D` host and doctor.

use std::fmt;

use srwan_api::router::HealthItem;

/// A failure an operator can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The frozen code, for example `SRW-R001`.
    pub code: &'static str,
    /// What did not work, in one sentence.
    pub what: String,
    /// The cause as far as it is known.
    pub why: String,
    /// The command or edit that most likely helps.
    pub fix: String,
}

impl Fault {
    /// A fault with its four parts.
    pub fn new(
        code: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { code, what: what.into(), why: why.into(), fix: fix.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {} (why: {}; fix: {})", self.code, self.what, self.why, self.fix)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for HealthItem {
    fn from(fault: Fault) -> Self {
        Self {
            code: fault.code.into(),
            state: "degraded".into(),
            what: fault.what,
            why: fault.why,
            fix: fault.fix,
        }
    }
}

/// The file could not be read.
pub const CONFIG_UNREADABLE: &str = "SRW-K001";
/// The file is not TOML, or a value has the wrong type.
pub const CONFIG_SYNTAX: &str = "SRW-K002";
/// A key that no version of this program knows.
pub const CONFIG_UNKNOWN_KEY: &str = "SRW-K003";
/// A value out of its range.
pub const CONFIG_RANGE: &str = "SRW-K004";
/// An endpoint that no peer could reach.
pub const CONFIG_ENDPOINT: &str = "SRW-K005";

/// The process lacks `CAP_NET_ADMIN`.
pub const NOT_PERMITTED: &str = "SRW-R001";
/// The TUN device cannot be made.
pub const TUN_MISSING: &str = "SRW-R002";
/// The UDP port is taken.
pub const PORT_TAKEN: &str = "SRW-R003";
/// A key file is damaged, or readable by others.
pub const KEY_FILE: &str = "SRW-R004";
/// The state directory cannot be used.
pub const STATE_DIR: &str = "SRW-R005";
/// A route, rule or sysctl was refused by the kernel.
pub const KERNEL_ROUTE: &str = "SRW-R006";
/// The kernel refused the packet filter rules.
pub const KERNEL_FILTER: &str = "SRW-R007";
/// The receipts journal could not be written: nothing is acknowledged until it can.
pub const JOURNAL_WRITE: &str = "SRW-R008";
/// The receipts journal holds records whose checksum is wrong.
pub const JOURNAL_DAMAGED: &str = "SRW-R009";
/// The controller does not answer.
pub const CONTROLLER_UNREACHABLE: &str = "SRW-R010";
/// The controller refused the registration.
pub const JOIN_REFUSED: &str = "SRW-R011";
/// The ledger does not answer.
pub const LEDGER_UNREACHABLE: &str = "SRW-R012";
/// The ledger refused a transaction.
pub const LEDGER_REFUSED: &str = "SRW-R013";
/// Another router runs on the same state directory.
pub const ALREADY_RUNNING: &str = "SRW-R014";
/// The operator's geo or ASN files cannot be read.
pub const GEO_FILES: &str = "SRW-R015";
/// A signed roster does not verify.
pub const ROSTER_INVALID: &str = "SRW-R016";
/// The UDP socket cannot be set up.
pub const SOCKET: &str = "SRW-R017";
/// The file that keeps handshake timestamps from going back cannot be written.
pub const HANDSHAKE_STAMP: &str = "SRW-R018";
/// Lanes are refused because the escrow has too few coins.
pub const ESCROW_USED_UP: &str = "SRW-R019";
/// The receipts journal holds as many lanes as it may: receipts of others are not acknowledged.
pub const JOURNAL_FULL: &str = "SRW-R020";
/// A validator in the list is of another ledger than the first.
pub const LEDGER_OTHER: &str = "SRW-R021";
/// The XDP relay does not run: the router relays in user space.
pub const XDP: &str = "SRW-R022";
/// An interface of the XDP relay takes no frames from it.
pub const XDP_TARGET: &str = "SRW-R023";

/// The kernel has no SRv6, though the configuration asks for it.
pub const KERNEL_SEG6: &str = "SRW-R024";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_why_and_how_to_fix_it() {
        let fault = Fault::new(PORT_TAKEN, "port 1 is taken", "another program", "stop it");
        let text = fault.to_string();
        for part in ["SRW-R003", "port 1 is taken", "another program", "stop it"] {
            assert!(text.contains(part), "{part} missing in {text}");
        }
    }
}
