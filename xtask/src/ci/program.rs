//! The program that simulations, stories and the soak run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::cargo::{cargo, target_folder};
use super::process::run;
use crate::source;

/// A first build on two cores, with room to spare.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Which build of `srwan` the steps run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The one that the tests have: rooms that carry packets are optimised in it, overflow and assertions are
    /// checked, and it is there already. The gate's, because a release build takes as long as all tests.
    #[default]
    Dev,
    /// What a newcomer gets by `cargo run --release`.
    Release,
}

impl Profile {
    /// Builds the program, if it is not there, and says where it is.
    ///
    /// **Errors:** it does not build.
    pub fn program(self) -> Result<PathBuf> {
        let (words, place): (&[&str], _) = match self {
            // As the step `test` has it: tests ask for features of dependencies that a build alone would not have.
            Self::Dev => (&["test", "--locked", "--workspace", "--no-run"], "debug/srwan"),
            Self::Release => (&["build", "--locked", "--release"], "release/srwan"),
        };
        run(&mut cargo(words), BUILD_LIMIT)?;
        Ok(target_folder(&source::root()).join(place))
    }
}
