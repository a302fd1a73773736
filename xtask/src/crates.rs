//! Which crates are pure, and which of our crates each of those may name: the arrows of ARCHITECTURE.md.

/// A crate that does no IO and knows no clock.
pub struct PureCrate {
    /// Its folder under `crates/`; the package is `srwan-<folder>`.
    pub folder: &'static str,
    /// The folders of the crates of ours that it may depend on directly.
    pub may_know: &'static [&'static str],
}

/// All pure crates.
pub const PURE: &[PureCrate] = &[
    PureCrate { folder: "wire", may_know: &[] },
    PureCrate { folder: "dataplane", may_know: &["wire"] },
    PureCrate { folder: "control", may_know: &["wire"] },
    PureCrate { folder: "node", may_know: &["wire", "dataplane", "control"] },
    PureCrate { folder: "ledger", may_know: &["wire"] },
    PureCrate { folder: "ditex", may_know: &["wire", "control", "ledger"] },
    PureCrate { folder: "scenario", may_know: &[] },
    PureCrate {
        folder: "sim",
        may_know: &["wire", "dataplane", "control", "node", "ledger", "ditex", "scenario"],
    },
];

/// Whether the file at `path` (relative to the repository) belongs to a pure crate.
pub fn is_pure(path: &str) -> bool {
    PURE.iter().any(|pure| path.starts_with(&format!("crates/{}/", pure.folder)))
}
