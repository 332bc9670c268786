//! What types cannot say: names that name nothing, zones that an address contradicts, numbers out of range.

mod computing;
mod names;
mod numbers;
mod providers;
mod rules;

use crate::RouterConfig;
use crate::error::Report;
use crate::json::{Node, Path, Place};

/// Checks what was read, each thing at its place in the tree.
pub(crate) fn check(config: &RouterConfig, tree: &Node, report: &mut Report) {
    let mut check = Check { tree, report };
    check.version(config);
    providers::check(config, &mut check);
    names::check(config, &mut check);
    rules::check(config, &mut check);
    numbers::check(config, &mut check);
}

struct Check<'a> {
    tree: &'a Node,
    report: &'a mut Report,
}

impl Check<'_> {
    fn version(&mut self, config: &RouterConfig) {
        let known = |version: &str| matches!(version, "1" | "1.0");
        if config
            .version
            .as_deref()
            .is_some_and(|version| !known(version))
        {
            let path = Path::of(["version"]);
            self.error(
                &path,
                "is not a version that this program knows; it knows \"1\"",
            );
        }
    }

    fn error(&mut self, path: &Path, message: impl Into<String>) {
        self.report.error(self.place(path), path, message);
    }

    fn warn(&mut self, path: &Path, message: impl Into<String>) {
        self.report.warn(self.place(path), path, message);
    }

    /// An error about a thing as a whole, at its name.
    fn error_at_name(&mut self, path: &Path, message: impl Into<String>) {
        let place = self.tree.find(&path.0).map(|(place, _)| place);
        self.report.error(place, path, message);
    }

    /// The place of a value, or of the nearest thing around it.
    fn place(&self, path: &Path) -> Option<Place> {
        let mut path = path.0.as_slice();
        loop {
            if let Some((_, node)) = self.tree.find(path) {
                return Some(node.place);
            }
            path = path.split_last()?.1;
        }
    }
}

#[cfg(test)]
mod tests;
