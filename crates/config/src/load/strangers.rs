//! What a file may not say, or not unnoticed, that nobody asked for: it may have come with a stranger's folder.

use std::path::Path as File;

use inhouse_policy::Zone;

use crate::error::Report;
use crate::json::{Node, Path, Place, Value};
use crate::{LOCAL, Problem, RouterConfig};

/// How a file was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// The user named it.
    ByName,
    /// It lay in the working directory, or what lies there named it.
    InFolder,
    /// It is one of the user's own.
    AtHome,
}

const UNASKED: &str =
    "this file was found in the folder, not asked for: name it with --config if that is meant";

/// Keys that go where such a file says.
pub(super) fn keys(config: &RouterConfig, file: &str) -> Vec<Problem> {
    let told = config.enabled_providers().filter_map(|(name, provider)| {
        let address = provider.base_url.as_ref()?;
        let leaves = address.nearest_zone() == Zone::Cloud && provider.keys().next().is_some();
        (leaves && provider.kind().needs_key()).then(|| Problem {
            file: file.to_owned(),
            place: None,
            key: format!("providers.{name}.baseUrl"),
            message: format!("sends its key and its prompts to {address}; {UNASKED}"),
        })
    });
    told.collect()
}

/// Code that would be run in this process, where the user did not say so. `own` is the tree without the variables of
/// the folder's `.env`.
pub(super) fn code(tree: &Node, own: &Node, found: Found, report: &mut Report) {
    for name in ["onnx", LOCAL] {
        let provider = Path::of(["providers", name]);
        let library = provider.name("runtimeLibrary");
        check(tree, own, found, &library, report);
        let relative = text_at(tree, &library).is_some_and(|text| !File::new(text).is_absolute());
        if relative && found == Found::AtHome {
            report.error(place(tree, &library), &library, RELATIVE);
        }
        let options = provider.name("executionProviderOptions");
        for option in that_may_be_files(tree, &options) {
            check(tree, own, found, &option, report);
        }
    }
}

const OF_DOTENV: &str =
    "takes what may be run in this process from the folder's .env; set the variable elsewhere";
const RELATIVE: &str = "must be absolute: this file holds wherever the program is started, \
                        and the folder there may bring a library of its own";

fn check(tree: &Node, own: &Node, found: Found, path: &Path, report: &mut Report) {
    let text = text_at(tree, path);
    if text.is_none() {
        return;
    }
    if found == Found::InFolder {
        let message = format!("says what may be run in this process; {UNASKED}");
        report.error(place(tree, path), path, message);
    } else if text_at(own, path) != text {
        report.error(place(tree, path), path, OF_DOTENV);
    }
}

/// Options that may lead a provider to a library of its own.
fn that_may_be_files(tree: &Node, options: &Path) -> Vec<Path> {
    let mut found = Vec::new();
    for provider in names(tree, options) {
        let provider = options.name(provider);
        for option in names(tree, &provider) {
            let path = provider.name(option);
            let value = text_at(tree, &path);
            if value.is_some_and(|value| may_be_a_file(option, value)) {
                found.push(path);
            }
        }
    }
    found
}

/// By its look, and by the option's name: a library whose name alone is given is searched for.
fn may_be_a_file(option: &str, value: &str) -> bool {
    let option = option.to_ascii_lowercase();
    let parts = ["path", "file", "dir", "lib", "plugin", "config"];
    let of_words = |letter: char| letter.is_ascii_alphanumeric() || "_-+,".contains(letter);
    let harmless = value.chars().all(of_words) || value.parse::<f64>().is_ok();
    !harmless || parts.iter().any(|part| option.contains(part))
}

fn names<'a>(tree: &'a Node, path: &Path) -> Vec<&'a str> {
    match tree.find(&path.0).map(|(_, node)| &node.value) {
        Some(Value::Object(members)) => members.iter().map(|member| &*member.name).collect(),
        _ => Vec::new(),
    }
}

fn text_at<'a>(tree: &'a Node, path: &Path) -> Option<&'a str> {
    match &tree.find(&path.0)?.1.value {
        Value::String(words) => Some(&words.text),
        _ => None,
    }
}

fn place(tree: &Node, path: &Path) -> Option<Place> {
    tree.find(&path.0).map(|(_, node)| node.place)
}

#[cfg(test)]
mod tests;
