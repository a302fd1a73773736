//! Finds iteration over hash tables: its order differs between processes, so it must never show.
//!
//! Types are not resolved: a field, binding or parameter counts as a hash table if it is declared as one
//! in the same file under that name.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use crate::source::{Source, is_cfg_test};

const ITERATING: [&str; 9] = [
    "iter",
    "iter_mut",
    "keys",
    "values",
    "values_mut",
    "into_iter",
    "into_keys",
    "into_values",
    "drain",
];

/// The loops and iterators over hash tables in one file, outside `#[cfg(test)]`.
pub fn findings_of(source: &Source) -> Vec<String> {
    let mut declared = Declared::default();
    declared.visit_file(&source.syntax);
    let mut search = Search { path: &source.path, tables: declared.0, findings: Vec::new() };
    search.visit_file(&source.syntax);
    search.findings
}

#[derive(Default)]
struct Declared(BTreeSet<String>);

impl Declared {
    fn add(&mut self, name: &syn::Ident, kind: &syn::Type) {
        if is_hash_table(kind) {
            self.0.insert(name.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Declared {
    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.add(name, &field.ty);
        }
    }

    fn visit_pat_type(&mut self, pattern: &'ast syn::PatType) {
        if let syn::Pat::Ident(name) = pattern.pat.as_ref() {
            self.add(&name.ident, &pattern.ty);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && let syn::Expr::Call(call) = init.expr.as_ref()
            && let syn::Expr::Path(path) = call.func.as_ref()
            && path.path.segments.iter().any(names_hash_table)
        {
            self.0.insert(name.ident.to_string());
        }
        visit::visit_local(self, local);
    }
}

fn is_hash_table(kind: &syn::Type) -> bool {
    match kind {
        syn::Type::Reference(reference) => is_hash_table(&reference.elem),
        syn::Type::Path(path) => path.path.segments.last().is_some_and(names_hash_table),
        _ => false,
    }
}

fn names_hash_table(segment: &syn::PathSegment) -> bool {
    segment.ident == "HashMap" || segment.ident == "HashSet"
}

struct Search<'a> {
    path: &'a str,
    tables: BTreeSet<String>,
    findings: Vec<String>,
}

impl Search<'_> {
    fn judge(&mut self, expression: &syn::Expr) {
        let Some(name) = last_name(expression) else { return };
        if self.tables.contains(&name.to_string()) {
            let line = name.span().start().line;
            let what = format!("iterates over the hash table `{name}`: use a BTreeMap");
            self.findings.push(format!("{}:{line}: {what}", self.path));
        }
    }
}

fn last_name(expression: &syn::Expr) -> Option<&syn::Ident> {
    match expression {
        syn::Expr::Reference(reference) => last_name(&reference.expr),
        syn::Expr::Paren(paren) => last_name(&paren.expr),
        syn::Expr::Path(path) => path.path.get_ident(),
        syn::Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => Some(name),
            syn::Member::Unnamed(_) => None,
        },
        _ => None,
    }
}

impl<'ast> Visit<'ast> for Search<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_cfg_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_expr_for_loop(&mut self, looping: &'ast syn::ExprForLoop) {
        self.judge(&looping.expr);
        visit::visit_expr_for_loop(self, looping);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if ITERATING.iter().any(|method| call.method == method) {
            self.judge(&call.receiver);
        }
        visit::visit_expr_method_call(self, call);
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
    fn loops_and_iterators_over_hash_tables_are_found() {
        check("struct S { m: HashMap<u8, u8> } fn f(s: S) { for x in &s.m {} }", 1);
        check("fn f(m: &HashMap<u8, u8>) { m.values().sum(); }", 1);
        check("fn f() { let m = HashSet::new(); m.drain(); }", 1);
    }

    #[test]
    fn looking_up_is_free_and_so_is_an_ordered_table() {
        check("fn f(m: &HashMap<u8, u8>) { m.get(&1); }", 0);
        check("fn f(m: &BTreeMap<u8, u8>) { for x in m {} }", 0);
    }
}
