//! Tasks of this repository that cargo itself does not know: the gate and its parts.
//!
//! `cargo xtask ci` is what CI runs; every other verb is one of its steps, or writes a file that a step compares.

mod callgrind;
mod ci;
mod crates;
mod fixtures;
mod purity;
mod soak;
mod source;
mod tidy;
mod xdp;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

  ci [--only STEP]... [--skip STEP]...   every check, timed, with a table at the end
  ci --release ..                        simulations, lab and soak by the release build
  ci --list                              the names of the steps
  purity                                 pure crates do no IO: dependency trees and source
  tidy                                   lengths, parameters, names, documents
  tidy --write                           lowers the numbers of ratchet.toml that have fallen
  tidy --accept                          records every sin as it is; say why in the commit
  soak ledger [OPTION]...                kills validators under load, audited (`srwan lab soak -h`)
  xdp                                    the XDP relay's objects are what their source says
  xdp --build                            builds them (clang-19, llvm-19)
  callgrind                              instructions per packet of the hot steps
  callgrind --write                      lowers the numbers of callgrind.toml that have fallen
  callgrind --accept                     records every count as it is; say why in the commit
  fixtures                               pins the encodings anew and writes the fuzzers' seeds";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["ci", options @ ..] => ci::run(options),
        ["purity"] => purity::run(),
        ["tidy"] => tidy::run(tidy::Mode::Check),
        ["tidy", "--write"] => tidy::run(tidy::Mode::Lower),
        ["tidy", "--accept"] => tidy::run(tidy::Mode::Accept),
        ["callgrind"] => callgrind::run(callgrind::Mode::Check),
        ["callgrind", "--write"] => callgrind::run(callgrind::Mode::Lower),
        ["callgrind", "--accept"] => callgrind::run(callgrind::Mode::Accept),
        ["fixtures"] => fixtures::run(),
        ["soak", "ledger", options @ ..] => soak::run(options),
        ["xdp"] => xdp::check().map(|outcome| println!("xdp: {outcome}")),
        ["xdp", "--build"] => xdp::build(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
