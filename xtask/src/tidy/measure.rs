//! Reads from a syntax tree what the rules ask for: functions with their sizes, and where forbidden words stand.

use syn::visit::{self, Visit};

use crate::source::{Source, is_cfg_test};

/// A function with a body.
pub struct Function {
    /// `name` or `Type::name`.
    pub name: String,
    /// Where it starts.
    pub line: usize,
    /// From its signature to its closing brace.
    pub lines: usize,
    /// Without `self`.
    pub parameters: usize,
    /// Whether it is compiled for tests only.
    pub in_test: bool,
}

/// Lines on which a word stands that a rule forbids.
#[derive(Default)]
pub struct Words {
    /// `x as T`.
    pub casts: Vec<usize>,
    /// `.unwrap()`.
    pub unwraps: Vec<usize>,
    /// `todo!()` and `unimplemented!()`.
    pub stubs: Vec<usize>,
}

/// The functions of a file, in order.
pub fn functions(source: &Source) -> Vec<Function> {
    walk(source).functions
}

/// The forbidden words of a file, outside its tests.
pub fn words(source: &Source) -> Words {
    walk(source).words
}

fn walk(source: &Source) -> Walk {
    let mut walk = Walk { test_depth: u32::from(source.is_test), ..Walk::default() };
    walk.visit_file(&source.syntax);
    walk
}

#[derive(Default)]
struct Walk {
    test_depth: u32,
    owner: Option<String>,
    functions: Vec<Function>,
    words: Words,
}

impl Walk {
    fn function(&mut self, attributes: &[syn::Attribute], signature: &syn::Signature, end: usize) {
        let line = signature.fn_token.span.start().line;
        let name = match &self.owner {
            Some(owner) => format!("{owner}::{}", signature.ident),
            None => signature.ident.to_string(),
        };
        let typed = |input: &&syn::FnArg| matches!(input, syn::FnArg::Typed(_));
        let is_test = attributes.iter().any(|attribute| attribute.path().is_ident("test"));
        self.functions.push(Function {
            name,
            line,
            lines: end.saturating_sub(line) + 1,
            parameters: signature.inputs.iter().filter(typed).count(),
            in_test: self.test_depth > 0 || is_test,
        });
    }

    fn in_tests_if(&mut self, is_test: bool, inside: impl FnOnce(&mut Self)) {
        self.test_depth += u32::from(is_test);
        inside(self);
        self.test_depth -= u32::from(is_test);
    }
}

fn end_of(block: &syn::Block) -> usize {
    block.brace_token.span.close().end().line
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.in_tests_if(is_cfg_test(&module.attrs), |walk| visit::visit_item_mod(walk, module));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match item.self_ty.as_ref() {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.owner, owner);
        self.in_tests_if(is_cfg_test(&item.attrs), |walk| visit::visit_item_impl(walk, item));
        self.owner = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.attrs, &item.sig, end_of(&item.block));
        let is_test =
            is_cfg_test(&item.attrs) || item.attrs.iter().any(|a| a.path().is_ident("test"));
        self.in_tests_if(is_test, |walk| visit::visit_item_fn(walk, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.attrs, &item.sig, end_of(&item.block));
        self.in_tests_if(is_cfg_test(&item.attrs), |walk| visit::visit_impl_item_fn(walk, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.attrs, &item.sig, end_of(block));
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_cast(&mut self, cast: &'ast syn::ExprCast) {
        if self.test_depth == 0 {
            self.words.casts.push(cast.as_token.span.start().line);
        }
        visit::visit_expr_cast(self, cast);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if self.test_depth == 0 && call.method == "unwrap" {
            self.words.unwraps.push(call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let stub = call.path.get_ident().filter(|name| *name == "todo" || *name == "unimplemented");
        self.words.stubs.extend(stub.map(|name| name.span().start().line));
        visit::visit_macro(self, call);
    }
}
