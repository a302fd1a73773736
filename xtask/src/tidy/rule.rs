//! The rules, each with its limit: what breaks one is a [`Sin`] with a number that can be compared.

use std::path::Path;

use super::measure;
use crate::crates::is_pure;
use crate::source::Source;

/// Longest line of code. Source: style, section 1.
const LINE_MAX: usize = 100;
/// Longest line of comment: prose and the drawings of headers need more room than code, which rustfmt breaks.
const COMMENT_MAX: usize = 120;
/// Most lines of a function. Source: style, section 1.
const FUNCTION_MAX: usize = 70;
/// Most lines of a file without asking. Source: style, section 1.
const FILE_ASK: usize = 600;
/// Most lines of a file at all.
const FILE_MAX: usize = 1_000;
/// Most parameters of a function, without `self`. Source: style, section 1.
const PARAMETERS_MAX: usize = 5;
/// Names that say nothing about what is inside.
const NAMES_BANNED: [&str; 5] = ["util", "common", "helpers", "misc", "types"];

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// `x as T` in a pure crate: use `from`, `try_from`, saturating or checked arithmetic.
    Cast,
    /// A line of comment that is too long.
    Comment,
    /// A module without `//!`.
    Document,
    /// A file that is too long.
    File,
    /// A function that is too long.
    Function,
    /// A line of code that is too long.
    Line,
    /// A file or folder whose name says nothing.
    Name,
    /// Too many parameters.
    Parameters,
    /// `todo!()`, `unimplemented!()`, or a comment that puts work off.
    Stub,
    /// `.unwrap()` outside tests.
    Unwrap,
}

impl Rule {
    /// All rules, as the ratchet names them.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Cast, "cast"),
        (Self::Comment, "comment"),
        (Self::Document, "document"),
        (Self::File, "file"),
        (Self::Function, "function"),
        (Self::Line, "line"),
        (Self::Name, "name"),
        (Self::Parameters, "parameters"),
        (Self::Stub, "stub"),
        (Self::Unwrap, "unwrap"),
    ];

    /// What the ratchet calls it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(rule, _)| *rule == self).map_or("", |(_, name)| name)
    }

    /// The largest number that an exception can have.
    pub fn limit_of_exceptions(self) -> usize {
        match self {
            Self::File => FILE_MAX,
            Self::Stub | Self::Name => 0,
            Self::Cast
            | Self::Comment
            | Self::Document
            | Self::Function
            | Self::Line
            | Self::Parameters
            | Self::Unwrap => usize::MAX,
        }
    }
}

/// A rule broken at one place.
pub struct Sin {
    /// Which rule.
    pub rule: Rule,
    /// The file, or the file and the function: the ratchet's key.
    pub place: String,
    /// How badly.
    pub number: usize,
    /// For a person: where exactly, and what would be right.
    pub what: String,
}

/// Everything that one file does wrong.
pub fn sins_of(source: &Source) -> Vec<Sin> {
    let mut sins = Vec::new();
    sins.extend(function_sins(source));
    sins.extend(line_sins(source));
    sins.extend(word_sins(source));
    sins.extend(file_sins(source));
    sins
}

fn function_sins(source: &Source) -> Vec<Sin> {
    let mut sins = Vec::new();
    for function in measure::functions(source) {
        let place = format!("{}: {}", source.path, function.name);
        let at = format!("{}:{}: `{}`", source.path, function.line, function.name);
        if function.lines > FUNCTION_MAX {
            let what = format!("{at} has {} lines, at most {FUNCTION_MAX}", function.lines);
            let number = function.lines;
            sins.push(Sin { rule: Rule::Function, place: place.clone(), number, what });
        }
        if function.parameters > PARAMETERS_MAX {
            let number = function.parameters;
            let what = format!("{at} has {number} parameters, at most {PARAMETERS_MAX}");
            sins.push(Sin { rule: Rule::Parameters, place, number, what });
        }
    }
    sins
}

fn line_sins(source: &Source) -> Vec<Sin> {
    let (mut code, mut comments, mut put_off) = (Vec::new(), Vec::new(), Vec::new());
    for (index, line) in source.text.lines().enumerate() {
        let is_comment = line.trim_start().starts_with("//");
        let columns = line.chars().count();
        if is_comment && columns > COMMENT_MAX {
            comments.push(index + 1);
        } else if !is_comment && columns > LINE_MAX {
            code.push(index + 1);
        }
        if is_comment && ["TODO", "FIXME", "XXX"].iter().any(|word| line.contains(word)) {
            put_off.push(index + 1);
        }
    }
    [
        counted(source, Rule::Line, &code, &format!("longer than {LINE_MAX}")),
        counted(source, Rule::Comment, &comments, &format!("longer than {COMMENT_MAX}")),
        counted(source, Rule::Stub, &put_off, "a comment that puts work off"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn word_sins(source: &Source) -> Vec<Sin> {
    let words = measure::words(source);
    let casts = if is_pure(&source.path) { words.casts } else { Vec::new() };
    [
        counted(source, Rule::Cast, &casts, "`as` in a pure crate: convert with a check"),
        counted(
            source,
            Rule::Unwrap,
            &words.unwraps,
            "`unwrap` outside tests: say why in `expect`",
        ),
        counted(source, Rule::Stub, &words.stubs, "a stub"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn counted(source: &Source, rule: Rule, lines: &[usize], what: &str) -> Option<Sin> {
    let first = lines.first()?;
    let rest = if lines.len() > 1 { format!(" (and at {:?})", &lines[1..]) } else { String::new() };
    Some(Sin {
        rule,
        place: source.path.clone(),
        number: lines.len(),
        what: format!("{}:{first}: {what}{rest}", source.path),
    })
}

fn file_sins(source: &Source) -> Vec<Sin> {
    let mut sins = Vec::new();
    let mut add = |rule, number, what: String| {
        let what = format!("{}: {what}", source.path);
        sins.push(Sin { rule, place: source.path.clone(), number, what });
    };
    let lines = source.text.lines().count();
    if lines > FILE_ASK {
        add(Rule::File, lines, format!("{lines} lines; over {FILE_ASK} ask, over {FILE_MAX} no"));
    }
    let path = Path::new(&source.path).with_extension("");
    let banned = path.iter().find(|part| NAMES_BANNED.iter().any(|name| part == name));
    if let Some(part) = banned {
        add(Rule::Name, 1, format!("`{}` says nothing about what is inside", part.display()));
    }
    let is_documented = source.syntax.attrs.iter().any(|a| a.path().is_ident("doc"));
    if !source.is_test && !is_documented {
        add(Rule::Document, 1, "no `//!` says what this module is for".into());
    }
    sins
}
