//! The scenarios that come with the program.

/// Their names and texts; the first is the default story.
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    SHIPPED
}

const SHIPPED: &[(&str, &str)] = &[
    ("small", include_str!("../scenarios/small.toml")),
    ("world", include_str!("../scenarios/world.toml")),
    ("path-death", include_str!("../scenarios/path-death.toml")),
    ("deaths", include_str!("../scenarios/deaths.toml")),
    ("asymmetric", include_str!("../scenarios/asymmetric.toml")),
    ("skewed", include_str!("../scenarios/skewed.toml")),
    ("isolated", include_str!("../scenarios/isolated.toml")),
    ("router-dies", include_str!("../scenarios/router-dies.toml")),
    ("chain6", include_str!("../scenarios/chain6.toml")),
    ("kills", include_str!("../scenarios/kills.toml")),
    ("validators4", include_str!("../scenarios/validators4.toml")),
    ("validator-dies", include_str!("../scenarios/validator-dies.toml")),
    ("validator-wiped", include_str!("../scenarios/validator-wiped.toml")),
    ("validators-halt", include_str!("../scenarios/validators-halt.toml")),
    ("two-paths", include_str!("../scenarios/two-paths.toml")),
    ("mtu-1280", include_str!("../scenarios/mtu-1280.toml")),
    ("one-ended", include_str!("../scenarios/one-ended.toml")),
    ("variety", include_str!("../scenarios/variety.toml")),
    ("variety-bare", include_str!("../scenarios/variety-bare.toml")),
    ("variety-9000", include_str!("../scenarios/variety-9000.toml")),
    ("variety-1280", include_str!("../scenarios/variety-1280.toml")),
];
