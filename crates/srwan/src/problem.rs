//! Every failure in one form: code, what, why, fix. Libraries bring theirs; this file knows how to read them.

use crate::text::{COLUMNS, labelled, printable};
use serde_json::json;
use srwan_api::http::ApiError;
use srwan_lab::problem::{Code, Problem};
use srwan_router::fault::Fault;
use std::io;

/// Codes of what the command line itself finds.
pub mod code {
    /// The arguments are not what the command takes.
    pub const USAGE: &str = "SRW-D201";
    /// The system refuses a file or a socket to this user.
    pub const NOT_PERMITTED: &str = "SRW-D202";
    /// A file or directory that is not there, is there already, or cannot be used.
    pub const FILE: &str = "SRW-D203";
    /// A cause that no other code names.
    pub const UNNAMED: &str = "SRW-D204";
    /// A file that is no configuration of any role, or of which role cannot be told.
    pub const ROLE: &str = "SRW-D205";
    /// The login token of the portal cannot be read, or the portal is off.
    pub const PORTAL: &str = "SRW-D206";
    /// A file that cannot be read as evidence.
    pub const NO_EVIDENCE: &str = "SRW-E001";
    /// A ledger does not answer what evidence is made of.
    pub const NO_EXPORT: &str = "SRW-E002";
    /// A validator's answer whose proof does not hold.
    pub const NO_PROOF: &str = "SRW-E003";
    /// A scenario file is wrong: the lab's code for it.
    pub const BAD_SCENARIO: &str = "SRW-B002";
    /// No scenario has this name: the lab's code for it.
    pub const NO_SUCH_SCENARIO: &str = "SRW-B005";
    /// No router of the group has this name or number.
    pub const NO_SUCH_ROUTER: &str = "SRW-R404";
    /// No ticket has this id.
    pub const NO_SUCH_TICKET: &str = "SRW-R405";
}

/// Columns that `  why: ` takes.
const LABEL_COLUMNS: usize = 7;

/// The error object that fits a failure.
pub fn of(error: &anyhow::Error) -> ApiError {
    for cause in error.chain() {
        if let Some(api) = cause.downcast_ref::<ApiError>() {
            return api.clone();
        }
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            let (what, why, fix) = (fault.what.clone(), fault.why.clone(), fault.fix.clone());
            return ApiError::new(0, fault.code, what).why(why).fix(fix);
        }
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            return of_lab(problem);
        }
        if let Some(system) = cause.downcast_ref::<io::Error>() {
            return of_io(error, system);
        }
    }
    ApiError::new(0, code::UNNAMED, format!("{error:#}"))
}

/// The lab's errors, with a status for those that have an exit code of their own.
fn of_lab(problem: &Problem) -> ApiError {
    let status = match problem.code {
        Code::NotPermitted => 403,
        Code::NotFound | Code::NoSuchContender => 404,
        Code::BadScenario
        | Code::NotRunning
        | Code::AlreadyRunning
        | Code::DaemonFailed
        | Code::KernelLacks
        | Code::ProgramMissing
        | Code::Interrupted => 0,
    };
    let (code, what) = (problem.code.text(), problem.what.clone());
    ApiError::new(status, code, what).why(problem.why.clone()).fix(problem.fix.clone())
}

/// What the system refused, with the words that were added on the way here.
fn of_io(error: &anyhow::Error, system: &io::Error) -> ApiError {
    let what = error.to_string();
    match system.kind() {
        io::ErrorKind::PermissionDenied => ApiError::new(403, code::NOT_PERMITTED, what)
            .why(system.to_string())
            .fix("run the command as the user that owns the file, or as root"),
        io::ErrorKind::NotFound => ApiError::new(404, code::FILE, what).why(system.to_string()),
        _ => ApiError::new(0, code::FILE, what).why(system.to_string()),
    }
}

/// The error for people, each line within the columns.
pub fn text(error: &ApiError) -> String {
    let head = format!("error[{}]: {}", error.code, error.what);
    let mut lines = vec![if head.len() > COLUMNS { labelled("", &head, 0) } else { head }];
    for (name, text) in [("  why: ", &error.why), ("  fix: ", &error.fix)] {
        if !text.is_empty() {
            lines.push(labelled(name, text, LABEL_COLUMNS));
        }
    }
    printable(&lines.join("\n"))
}

/// The error for programs.
pub fn json(error: &ApiError) -> String {
    let mut object = json!(error);
    object["schema"] = json!("srwan.error/1");
    object.to_string()
}

/// What clap refused, as an error object.
pub fn of_usage(error: &clap::Error) -> ApiError {
    let said = error.render().to_string();
    let mut blocks = said.split("\n\n").map(str::trim);
    let what = blocks.next().unwrap_or_default().trim_start_matches("error: ");
    let mut refused = ApiError::new(400, code::USAGE, joined(what));
    for block in blocks {
        if let Some(usage) = block.strip_prefix("Usage: ") {
            refused = refused.why(format!("usage: {}", joined(usage)));
        } else if let Some(tip) = block.strip_prefix("tip: ") {
            refused = refused.fix(joined(tip));
        }
    }
    if refused.fix.is_empty() {
        refused.fix("add --help to see what the command takes")
    } else {
        refused
    }
}

fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use anyhow::Context;

    #[test]
    fn faults_and_api_errors_keep_their_code_under_context() {
        let fault = Fault::new("SRW-R001", "w", "y", "f");
        let error = Err::<(), _>(fault).context("starting").unwrap_err();
        assert_eq!((of(&error).code.as_str(), Exit::of(&error)), ("SRW-R001", Exit::NotPermitted));
        let api = ApiError::new(402, "SRW-L202", "w");
        let error = Err::<(), _>(api).context("sending").unwrap_err();
        assert_eq!(
            (of(&error).code.as_str(), Exit::of(&error)),
            ("SRW-L202", Exit::InsufficientFunds)
        );
    }

    #[test]
    fn what_the_system_refused_has_a_code_and_the_words_around_it() {
        let system = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Err::<(), _>(system).context("creating /root/x").unwrap_err();
        assert_eq!(of(&error).what, "creating /root/x");
        assert_eq!(Exit::of(&error), Exit::NotPermitted);
        assert_eq!(Exit::of(&anyhow::anyhow!("odd")), Exit::Failed);
    }

    #[test]
    fn an_error_fits_the_columns() {
        let long = "word ".repeat(60);
        let shown = text(&ApiError::new(0, "SRW-D204", long.clone()).why(long.clone()).fix(long));
        assert!(shown.lines().all(|line| line.len() <= COLUMNS), "{shown}");
        assert!(shown.contains("\n  why: word") && shown.contains("\n  fix: word"), "{shown}");
    }
}
