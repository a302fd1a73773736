//! What changed between two JSON documents, as a JSON Patch that a page can apply.
//!
//! Objects are compared member by member, arrays of equal length element by element; an array whose
//! length changed is replaced whole. The patch is correct, not minimal.
//!
//! Source: RFC 6902 (operations `add`, `remove`, `replace`), RFC 6901 (pointers).

use serde::Serialize;
use serde_json::Value;

/// Longest patch made; beyond it a snapshot is shorter. A full row and column of a group of 100
/// change in one pulse.
pub const OPERATIONS_MAX: usize = 2_000;

/// One operation of a JSON Patch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Sets a member that was not there.
    Add {
        /// Pointer to it.
        path: String,
        /// What it is.
        value: Value,
    },
    /// Sets a member or element that was there.
    Replace {
        /// Pointer to it.
        path: String,
        /// What it becomes.
        value: Value,
    },
    /// Removes a member.
    Remove {
        /// Pointer to it.
        path: String,
    },
}

/// The patch that turns `from` into `to`, empty if they are equal; `None` if it needs too many
/// operations.
pub fn diff(from: &Value, to: &Value) -> Option<Vec<Operation>> {
    let mut operations = Vec::new();
    walk(&mut String::new(), from, to, &mut operations)?;
    Some(operations)
}

fn walk(path: &mut String, from: &Value, to: &Value, out: &mut Vec<Operation>) -> Option<()> {
    match (from, to) {
        _ if from == to => Some(()),
        (Value::Object(old), Value::Object(new)) => {
            for name in old.keys().filter(|name| !new.contains_key(*name)) {
                nested(path, name, |path| push(out, Operation::Remove { path: path.clone() }))?;
            }
            for (name, value) in new {
                nested(path, name, |path| match old.get(name) {
                    Some(before) => walk(path, before, value, out),
                    None => push(out, Operation::Add { path: path.clone(), value: value.clone() }),
                })?;
            }
            Some(())
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (before, value)) in old.iter().zip(new).enumerate() {
                nested(path, &index.to_string(), |path| walk(path, before, value, out))?;
            }
            Some(())
        }
        _ => push(out, Operation::Replace { path: path.clone(), value: to.clone() }),
    }
}

fn push(out: &mut Vec<Operation>, operation: Operation) -> Option<()> {
    out.push(operation);
    (out.len() <= OPERATIONS_MAX).then_some(())
}

fn nested<T>(path: &mut String, name: &str, body: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push('/');
    path.push_str(&name.replace('~', "~0").replace('/', "~1"));
    let result = body(path);
    path.truncate(length);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn only_what_changed_is_named() {
        let from =
            json!({"status": {"uptime": 1, "name": "a"}, "cells": [[1, 2], [3, 4]], "gone": 1});
        let to =
            json!({"status": {"uptime": 2, "name": "a"}, "cells": [[1, 2], [3, 5]], "x/~": []});
        let expected = json!([
            {"op": "remove", "path": "/gone"},
            {"op": "replace", "path": "/cells/1/1", "value": 5},
            {"op": "replace", "path": "/status/uptime", "value": 2},
            {"op": "add", "path": "/x~1~0", "value": []},
        ]);
        assert_eq!(serde_json::to_value(diff(&from, &to).unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_patch_that_is_too_long_is_not_made() {
        let from: Value = (0..OPERATIONS_MAX + 1).collect();
        let to: Value = (1..OPERATIONS_MAX + 2).collect();
        assert_eq!(diff(&from, &to), None);
    }

    proptest! {
        #[test]
        fn applying_the_patch_gives_the_new_document(from in document(), to in document()) {
            let mut patched = from.clone();
            for operation in diff(&from, &to).unwrap() {
                apply(&mut patched, operation);
            }
            prop_assert_eq!(patched, to);
        }
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0..4u8).prop_map(Value::from),
            "[a~/]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab~/]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn apply(document: &mut Value, operation: Operation) {
        match operation {
            Operation::Replace { path, value } => *document.pointer_mut(&path).unwrap() = value,
            Operation::Add { path, value } => {
                let (parent, name) = split(&path);
                document.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name, value);
            }
            Operation::Remove { path } => {
                let (parent, name) = split(&path);
                document.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(&name);
            }
        }
    }

    fn split(path: &str) -> (&str, String) {
        let (parent, name) = path.rsplit_once('/').unwrap();
        (parent, name.replace("~1", "/").replace("~0", "~"))
    }
}
