//! From files and environment to a configuration.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use inhouse_policy::Zone;

use crate::error::Report;
use crate::json::{self, Node, Place, Value};
use crate::{ConfigError, Env, Problem, ProviderKind, RouterConfig};
use crate::{check, complete, read, substitute};

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
        Some((file, text)) => {
            let shown = file
                .strip_prefix(cwd)
                .unwrap_or(&file)
                .display()
                .to_string();
            let mut loaded = parse(&text, &shown, env)?;
            if file.starts_with(cwd) && !is_named(asked_for, env) {
                loaded
                    .warnings
                    .extend(keys_to_strangers(&loaded.config, &shown));
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

/// Whether somebody said which file is meant.
fn is_named(asked_for: Option<&Path>, env: &dyn Env) -> bool {
    let variable = |name| env.get(name).is_some_and(|path| !path.is_empty());
    asked_for.is_some() || NAMING.into_iter().any(variable)
}

/// Variables that name the file.
const NAMING: [&str; 2] = ["INHOUSE_CONFIG", "AGENTIC_FLOW_ROUTER_CONFIG"];

/// Keys that go where a file says that nobody asked for: it may have come with a stranger's folder.
fn keys_to_strangers(config: &RouterConfig, file: &str) -> Vec<Problem> {
    let told = config.enabled_providers().filter_map(|(name, provider)| {
        let address = provider.base_url.as_ref()?;
        let leaves = address.nearest_zone() == Zone::Cloud && provider.keys().next().is_some();
        (leaves && provider.kind().needs_key()).then(|| Problem {
            file: file.to_owned(),
            place: None,
            key: format!("providers.{name}.baseUrl"),
            message: format!(
                "sends its key and its prompts to {address}; this file was found in the folder, not asked for: \
                 name it with --config if that is meant"
            ),
        })
    });
    told.collect()
}

/// Reads the text of a file; `name` is what messages call it.
pub fn parse(text: &str, name: &str, env: &dyn Env) -> Result<Loaded, ConfigError> {
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
    substitute::substitute(&mut tree, env, &mut report);
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
    const NAME: &str = "router.config.json";
    let folder = |name: &str| {
        env.get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = folder("HOME").or_else(|| folder("USERPROFILE"));
    let settings = folder("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let mut places = vec![cwd.join(NAME), cwd.join("config").join(NAME)];
    places.extend(settings.map(|folder| folder.join("inhouse").join(NAME)));
    places.extend(home.map(|folder| folder.join(".agentic-flow").join(NAME)));
    places
}

/// The file to load and its text. One that is named must be there.
fn find(
    asked_for: Option<&Path>,
    cwd: &Path,
    env: &dyn Env,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let variable = |name: &'static str| {
        let path = env.get(name).filter(|path| !path.is_empty())?;
        Some((name, PathBuf::from(path)))
    };
    let named = asked_for
        .map(|path| ("--config", path.to_owned()))
        .or_else(|| NAMING.into_iter().find_map(variable));
    if let Some((asked_by, path)) = named {
        let file = cwd.join(path);
        return match text_of(&file) {
            Ok(text) => Ok(Some((file, text))),
            Err(cause) => Err(ConfigError::Unreadable {
                file,
                asked_by,
                cause,
            }),
        };
    }
    for file in places(cwd, env) {
        match text_of(&file) {
            Ok(text) => return Ok(Some((file, text))),
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
