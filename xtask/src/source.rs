//! The Rust files of the repository, parsed, and which of them are tests.
//!
//! A file is a test if it lies in a `tests`, `benches` or `examples` folder, or if a parent declares it as
//! `#[cfg(test)] mod name;`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One Rust file.
pub struct Source {
    /// Relative to the repository, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
    /// What that means.
    pub syntax: syn::File,
    /// Whether it is compiled for tests only.
    pub is_test: bool,
}

/// The repository's folder.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask lies in the repository").to_path_buf()
}

/// All Rust files of the crates, of the fuzz targets and of xtask itself, in the order of their paths.
///
/// **Errors:** a file that cannot be read, or that is no Rust.
pub fn all() -> Result<Vec<Source>> {
    let root = root();
    let mut paths = Vec::new();
    for folder in ["crates", "fuzz", "xtask"] {
        collect(&root.join(folder), &mut paths)?;
    }
    paths.sort();
    let mut sources = paths.iter().map(|path| read(&root, path)).collect::<Result<Vec<_>>>()?;
    let test_only: Vec<String> = sources.iter().flat_map(test_only_children).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs");
        let declared =
            test_only.iter().any(|child| stem == child || stem.starts_with(&format!("{child}/")));
        source.is_test = declared || lies_in_test_folder(&source.path);
    }
    Ok(sources)
}

/// Whether one of `attributes` is `#[cfg(test)]`, or more than that one.
pub fn is_cfg_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all (test"))
    })
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let skipped = ["target", "node_modules", "corpus", "artifacts"];
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            if !skipped.iter().any(|skip| name == *skip) {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

fn read(root: &Path, path: &Path) -> Result<Source> {
    let relative = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
    let text = fs::read_to_string(path).with_context(|| format!("reading {relative}"))?;
    let syntax = syn::parse_file(&text)
        .map_err(|error| anyhow::anyhow!("{relative}:{}: {error}", error.span().start().line))?;
    Ok(Source { path: relative, text, syntax, is_test: false })
}

fn lies_in_test_folder(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples"))
}

/// The paths, without `.rs`, of the files that `source` declares as modules for tests.
fn test_only_children(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let folder = match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => folder,
        _ => stem,
    };
    let declares = |item: &syn::Item| match item {
        syn::Item::Mod(module) if module.content.is_none() && is_cfg_test(&module.attrs) => {
            Some(format!("{folder}/{}", module.ident))
        }
        _ => None,
    };
    source.syntax.items.iter().filter_map(declares).collect()
}
