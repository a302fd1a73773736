//! Finds the names of clocks, files, sockets, the environment and global randomness in source text.

use syn::visit::{self, Visit};

use crate::source::{Source, is_cfg_test};

/// A path that pure code may not name, and what it is to do.
const BANNED: &[(&[&str], &str)] = &[
    (&["Instant", "now"], "take `now` as an argument"),
    (&["SystemTime"], "take `now` as an argument"),
    (&["std", "time", "Instant"], "use `srwan_wire::time::Instant`"),
    (&["std", "thread"], "a pure machine has no threads"),
    (&["thread", "sleep"], "return the time from `poll_timeout`"),
    (&["thread", "spawn"], "a pure machine has no threads"),
    (&["std", "env"], "take the value in the config"),
    (&["env", "var"], "take the value in the config"),
    (&["std", "fs"], "hand the bytes to the shell"),
    (&["std", "process"], "report it to the shell"),
    (&["std", "io", "stdin"], "the shell reads"),
    (&["std", "io", "stdout"], "the shell writes"),
    (&["std", "io", "stderr"], "the shell writes"),
    (&["UdpSocket"], "use `poll_transmit`"),
    (&["TcpStream"], "use `poll_transmit`"),
    (&["TcpListener"], "use `poll_transmit`"),
    (&["UnixStream"], "use `poll_transmit`"),
    (&["thread_rng"], "take the seed at construction"),
    (&["rand", "rng"], "take the seed at construction"),
    (&["rand", "random"], "take the seed at construction"),
    (&["OsRng"], "take the seed at construction"),
    (&["getrandom"], "take the seed at construction"),
    (&["RandomState"], "order must not depend on the process"),
];

/// Macros that print.
const BANNED_MACROS: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];

/// The forbidden names in one file, outside `#[cfg(test)]`.
pub fn findings_of(source: &Source) -> Vec<String> {
    let mut scan = Scan { path: &source.path, findings: Vec::new() };
    scan.visit_file(&source.syntax);
    scan.findings
}

struct Scan<'a> {
    path: &'a str,
    findings: Vec<String>,
}

impl Scan<'_> {
    fn judge(&mut self, words: &[String], line: usize) {
        for (banned, remedy) in BANNED {
            if words.windows(banned.len()).any(|window| window == *banned) {
                let name = banned.join("::");
                self.findings
                    .push(format!("{}:{line}: `{name}` in a pure crate: {remedy}", self.path));
                return;
            }
        }
    }

    fn judge_use(&mut self, before: &[String], tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                self.judge_use(&[before, &[path.ident.to_string()]].concat(), &path.tree);
            }
            syn::UseTree::Name(name) => self.judge_leaf(before, &name.ident),
            syn::UseTree::Rename(rename) => self.judge_leaf(before, &rename.ident),
            syn::UseTree::Glob(glob) => self.judge(before, glob.star_token.spans[0].start().line),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.judge_use(before, item));
            }
        }
    }

    fn judge_leaf(&mut self, before: &[String], leaf: &syn::Ident) {
        self.judge(&[before, &[leaf.to_string()]].concat(), leaf.span().start().line);
    }

    /// Inside a macro there are only tokens: runs of `name::name` are paths.
    fn judge_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Ident(word) => {
                    if colons < 2 {
                        self.judge(&std::mem::take(&mut path), line);
                    }
                    path.push(word.to_string());
                    (line, colons) = (word.span().start().line, 0);
                }
                proc_macro2::TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                proc_macro2::TokenTree::Group(group) => self.judge_tokens(group.stream()),
                proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => colons = 0,
            }
        }
        self.judge(&path, line);
    }
}

impl<'ast> Visit<'ast> for Scan<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_cfg_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_cfg_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_cfg_test(&item.attrs) {
            self.judge_use(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if let Some(first) = path.segments.first() {
            self.judge(&words, first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Some(name) = call.path.segments.last() {
            let line = name.ident.span().start().line;
            if BANNED_MACROS.iter().any(|banned| name.ident == banned) {
                let what = format!("`{}!` in a pure crate: the shell writes", name.ident);
                self.findings.push(format!("{}:{line}: {what}", self.path));
            }
        }
        self.judge_tokens(call.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, findings: usize) {
        let source = Source {
            path: "a.rs".into(),
            text: text.into(),
            syntax: syn::parse_file(text).unwrap(),
            is_test: false,
        };
        assert_eq!(findings_of(&source).len(), findings, "{text}");
    }

    #[test]
    fn clocks_files_and_sockets_are_found_wherever_they_are_named() {
        check("fn f() { let t = std::time::Instant::now(); }", 1);
        check("use std::{fs, net::UdpSocket};", 2);
        check("use std::net::{IpAddr, SocketAddr};", 0);
        check("fn f() { assert!(std::time::SystemTime::now() > x); }", 1);
        check("fn f() { println!(\"x\"); }", 1);
        check("fn f(s: TcpStream) {}", 1);
    }

    #[test]
    fn our_own_time_and_tests_are_free() {
        check("use srwan_wire::time::Instant; fn f(now: Instant) { now.since(Instant::ZERO); }", 0);
        check("#[cfg(test)] mod tests { fn f() { std::fs::read(\"x\"); println!(\"x\"); } }", 0);
        check("// Instant::now()\nfn f() { let text = \"Instant::now\"; }", 0);
    }
}
