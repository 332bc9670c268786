//! From files and environment to a configuration.

mod strangers;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::Report;
use crate::json::{self, Node, Place, Value};
use crate::{ConfigError, Env, Problem, ProviderKind, RouterConfig};
use crate::{check, complete, read, substitute};
use strangers::Found;

/// No configuration is longer; what is, is some other file.
const MAX_BYTES: u64 = 1 << 20;

/// A configuration, and what is to be said of it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, completed from the environment: every provider has its kind and its one name.
    pub config: RouterConfig,
    /// What looks wrong but stops nothing, to be told once.
    pub warnings: Vec<Problem>,
    /// The file it is from; `None` where the environment alone was enough.
    pub file: Option<PathBuf>,
}

/// Finds the configuration and loads it: the file that is asked for, else the first that is there, else the
/// environment alone. `asked_for` is what `--config` names; relative names start at `cwd`. Variables come from `env`,
/// and where it has none, from the file `.env` in `cwd`.
pub fn load(asked_for: Option<&Path>, cwd: &Path, env: &dyn Env) -> Result<Loaded, ConfigError> {
    let mut report = Report::new(".env");
    let env = &with_dotenv(cwd, env, &mut report);
    let mut loaded = match find(asked_for, cwd, env)? {
        Some((file, text, found)) => {
            let shown = file
                .strip_prefix(cwd)
                .unwrap_or(&file)
                .display()
                .to_string();
            let mut loaded = read_text(&text, &shown, env, env.env, found)?;
            if found == Found::InFolder {
                loaded
                    .warnings
                    .extend(strangers::keys(&loaded.config, &shown));
            }
            Loaded {
                file: Some(file),
                ..loaded
            }
        }
        None => from_env(env)?,
    };
    loaded.warnings.splice(0..0, report.warnings);
    Ok(loaded)
}

/// Variables that name the file.
const NAMING: [&str; 2] = ["INHOUSE_CONFIG", "AGENTIC_FLOW_ROUTER_CONFIG"];

/// Reads the text of a file; `name` is what messages call it.
pub fn parse(text: &str, name: &str, env: &dyn Env) -> Result<Loaded, ConfigError> {
    read_text(text, name, env, env, Found::ByName)
}

/// Reads the text of a file that was found somehow; `own` is the environment without `.env`.
fn read_text(
    text: &str,
    name: &str,
    env: &dyn Env,
    own: &dyn Env,
    found: Found,
) -> Result<Loaded, ConfigError> {
    let mut report = Report::new(name);
    let mut tree = match json::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            report.syntax(error);
            Node {
                place: Place { line: 1, column: 1 },
                value: Value::Gone,
            }
        }
    };
    report.result()?;
    let mut own_tree = tree.clone();
    substitute::substitute(&mut own_tree, own, &mut Report::new(name));
    substitute::substitute(&mut tree, env, &mut report);
    strangers::code(&tree, &own_tree, found, &mut report);
    let config: Option<RouterConfig> = read::read(&mut tree, &mut report);
    report.result()?;
    let Some(mut config) = config else {
        return Err(ConfigError::Invalid(Vec::new())); // what cannot be read was an error already
    };
    complete::fill(&mut config, env, &mut report);
    check::check(&config, &tree, &mut report);
    report.result()?;
    complete::settle(&mut config, env, &tree, &mut report);
    report.result()?;
    report.warnings.sort_by_key(|warning| warning.place);
    Ok(Loaded {
        config,
        warnings: report.warnings,
        file: None,
    })
}

/// A configuration out of the environment alone: every provider whose key is there, and always the engine inside.
pub fn from_env(env: &dyn Env) -> Result<Loaded, ConfigError> {
    let mut report = Report::new("environment");
    let config = complete::environment_alone(env, &mut report);
    report.result()?;
    Ok(Loaded {
        config,
        warnings: report.warnings,
        file: None,
    })
}

/// Where configurations are looked for, in this order, when nobody names one.
pub fn places(cwd: &Path, env: &dyn Env) -> Vec<PathBuf> {
    let all = places_in_folder(cwd).into_iter().chain(places_at_home(env));
    all.collect()
}

const NAME: &str = "router.config.json";

fn places_in_folder(cwd: &Path) -> [PathBuf; 2] {
    [cwd.join(NAME), cwd.join("config").join(NAME)]
}

fn places_at_home(env: &dyn Env) -> Vec<PathBuf> {
    let folder = |name: &str| {
        env.get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = folder("HOME").or_else(|| folder("USERPROFILE"));
    let settings = folder("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let ours = settings.map(|folder| folder.join("inhouse").join(NAME));
    let old = home.map(|folder| folder.join(".agentic-flow").join(NAME));
    ours.into_iter().chain(old).collect()
}

/// The file to load, its text, and how it was found. One that is named must be there.
fn find(
    asked_for: Option<&Path>,
    cwd: &Path,
    env: &WithDotenv<'_>,
) -> Result<Option<(PathBuf, String, Found)>, ConfigError> {
    if let Some((asked_by, path, found)) = named(asked_for, env) {
        let file = cwd.join(path);
        return match text_of(&file) {
            Ok(text) => Ok(Some((file, text, found))),
            Err(cause) => Err(ConfigError::Unreadable {
                file,
                asked_by,
                cause,
            }),
        };
    }
    // Where the user's own files are, is nothing for a folder's `.env` to say.
    let in_folder = places_in_folder(cwd).map(|file| (file, Found::InFolder));
    let at_home = places_at_home(env.env);
    let at_home = at_home.into_iter().map(|file| (file, Found::AtHome));
    for (file, found) in in_folder.into_iter().chain(at_home) {
        match text_of(&file) {
            Ok(text) => return Ok(Some((file, text, found))),
            Err(cause) if is_absent(&cause) => {}
            // Going on to another file would mean other rules than those that are meant.
            Err(cause) => {
                return Err(ConfigError::Unreadable {
                    file,
                    asked_by: "the search for one",
                    cause,
                });
            }
        }
    }
    Ok(None)
}

/// The file that somebody says is meant: who, which, and whether that was the user or only the folder's `.env`.
fn named(asked_for: Option<&Path>, env: &WithDotenv<'_>) -> Option<(&'static str, PathBuf, Found)> {
    if let Some(path) = asked_for {
        return Some(("--config", path.to_owned(), Found::ByName));
    }
    NAMING.into_iter().find_map(|name| {
        let path = env.get(name).filter(|path| !path.is_empty())?;
        let found = match env.env.get(name) {
            Some(_) => Found::ByName,
            None => Found::InFolder,
        };
        Some((name, PathBuf::from(path), found))
    })
}

fn is_absent(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn text_of(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(file)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        let message = format!("it is larger than {} MiB", MAX_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// The environment, and behind it the variables of `.env`.
struct WithDotenv<'a> {
    env: &'a dyn Env,
    file: BTreeMap<String, String>,
}

impl Env for WithDotenv<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.env.get(name).or_else(|| self.file.get(name).cloned())
    }
}

/// Whether a variable of `.env` would send a key of the environment to its own address. Such a file may have come with
/// a stranger's folder.
fn leads_a_key_away(name: &str, env: &dyn Env) -> bool {
    let kind = ProviderKind::ALL
        .into_iter()
        .find(|kind| kind.url_variable() == Some(name));
    let keys = kind.map(ProviderKind::key_variables).unwrap_or_default();
    keys.iter().any(|key| env.get(key).is_some())
}

const LEADS_AWAY: &str = "gives the address of a provider whose key is in the environment; it is not used: \
                          put both in one place";

fn with_dotenv<'a>(cwd: &Path, env: &'a dyn Env, report: &mut Report) -> WithDotenv<'a> {
    let mut file = BTreeMap::new();
    match text_of(&cwd.join(".env")) {
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            for variable in dotenvy::from_read_iter(text.as_bytes()) {
                match variable {
                    Ok((name, _)) if leads_a_key_away(&name, env) => {
                        report.warn(None, &json::Path::default().name(&name), LEADS_AWAY);
                    }
                    Ok((name, value)) => drop(file.insert(name, value)),
                    Err(cause) => {
                        report.warn(line_of(text, &cause), &json::Path::default(), UNREAD)
                    }
                }
            }
        }
        Err(cause) if is_absent(&cause) => {}
        Err(cause) => {
            report.warn(
                None,
                &json::Path::default(),
                format!("cannot be read: {cause}"),
            );
        }
    }
    WithDotenv { env, file }
}

/// The line itself is not shown: it is where keys stand.
const UNREAD: &str = "is not NAME=value here; the line is left out";

fn line_of(text: &str, cause: &dotenvy::Error) -> Option<Place> {
    let dotenvy::Error::LineParse(line, column) = cause else {
        return None;
    };
    let first = line.lines().next()?;
    let at = text.lines().position(|line| line.starts_with(first))?;
    Some(Place {
        line: at + 1,
        column: column + 1,
    })
}

#[cfg(test)]
mod tests;
