//! `${VAR}` and `${VAR:-default}` in strings.

use crate::Env;
use crate::error::Report;
use crate::json::{Node, Origin, Path, Value};

/// Puts variables in their places, in values that are strings and nowhere else. What comes in stays text: it is never
/// read as JSON, so that no variable can add a key.
pub(crate) fn substitute(tree: &mut Node, env: &dyn Env, report: &mut Report) {
    tree.walk(&mut Path::default(), &mut |path, node| {
        let Value::String(words) = &mut node.value else {
            return;
        };
        match filled(&words.text, env) {
            Ok(Some((text, origin))) => {
                words.text = text;
                words.origin = origin;
            }
            Ok(None) => {}
            Err(message) => {
                report.error(Some(node.place), path, message);
                node.value = Value::Gone;
            }
        }
    });
}

/// The text with its variables in place; `None` where it has none.
fn filled(text: &str, env: &dyn Env) -> Result<Option<(String, Origin)>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut result = String::with_capacity(text.len());
    let mut origin = Origin::File;
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, from) = rest.split_at(dollar);
        result.push_str(before);
        if let Some(after) = from.strip_prefix("$${") {
            result.push_str("${");
            rest = after;
        } else if let Some(after) = from.strip_prefix("${") {
            let (inside, after) = after
                .split_once('}')
                .ok_or("has a ${ without its }; a ${ that is meant is written $${")?;
            let whole = rest.len() == text.len() && before.is_empty() && after.is_empty();
            origin = if whole {
                Origin::Variable
            } else {
                Origin::Mixed
            };
            result.push_str(&value_of(inside, env)?);
            rest = after;
        } else {
            result.push('$');
            rest = from.strip_prefix('$').unwrap_or_default();
        }
    }
    result.push_str(rest);
    Ok(Some((result, origin)))
}

fn value_of(inside: &str, env: &dyn Env) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty()
        || !name.chars().all(letter)
        || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(
            "has a ${..} that names no variable; write ${VAR} or ${VAR:-default}".to_owned(),
        );
    }
    match (env.get(name).filter(|value| !value.is_empty()), default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "needs the variable {name}, which is not set or empty; set it, or write ${{{name}:-default}}"
        )),
    }
}

#[cfg(test)]
mod tests;
