//! The tree of a file into structs, with every problem of the file and the place of each.

mod fault;
mod source;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::de::DeserializeOwned;

use crate::error::Report;
use crate::json::{Node, Path, Value};
use fault::Fault;
pub(crate) use fault::near;
use source::Source;

/// How many problems of one file are looked for.
const MOST: usize = 100;

/// Reads a tree. What cannot be read is reported and left out, and the rest is read again, until nothing is wrong.
pub(crate) fn read<T: DeserializeOwned>(tree: &mut Node, report: &mut Report) -> Option<T> {
    duplicates(tree, report);
    for _ in 0..MOST {
        let fault = match T::deserialize(Source(tree)) {
            Ok(value) => return Some(value),
            Err(fault) => fault,
        };
        let path = fault.path();
        tell(tree, &path, &fault, report);
        match tree.find_mut(&path.0) {
            Some(node) if !path.0.is_empty() => node.value = Value::Gone,
            _ => return None,
        }
    }
    None
}

fn tell(tree: &Node, path: &Path, fault: &Fault, report: &mut Report) {
    let Some((name_place, node)) = tree.find(&path.0) else {
        return report.error(None, path, "cannot be read"); // no fault comes from outside the tree
    };
    // What is missing may have been wrong, and left out for it: that was told.
    let told = |name: &str| {
        matches!(&node.value, Value::Object(members)
            if members.iter().any(|member| member.name == name && member.node.value == Value::Gone))
    };
    if fault.missing().is_some_and(told) {
        return;
    }
    let place = if fault.is_unknown() {
        name_place
    } else {
        node.place
    };
    let message = fault.message(path, node);
    if path.0.is_empty() {
        report.error(Some(place), path, format!("the file {message}"));
    } else {
        report.error(Some(place), path, message);
    }
}

/// Reports names that an object has twice, and keeps the first.
pub(crate) fn duplicates(tree: &mut Node, report: &mut Report) {
    tree.walk(&mut Path::default(), &mut |path, node| {
        let Value::Object(members) = &mut node.value else {
            return;
        };
        let mut first = HashMap::new();
        members.retain(|member| match first.entry(member.name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(member.place.line);
                true
            }
            Entry::Occupied(line) => {
                let message = format!("is given twice, first on line {}", line.get());
                report.error(Some(member.place), &path.name(&member.name), message);
                false
            }
        });
    });
}
