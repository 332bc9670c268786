//! Which model answers, and where it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use inhouse_chat::{BoxError, ModelName};
use inhouse_config::ProviderConfig;
use inhouse_router::KnownModels;

use super::FindModel;
use super::error::CannotRun;

/// The model that is meant where nobody names one: the default of the catalogue.
const DEFAULT: &str = "smollm2-135m";

/// What the table of known models calls this provider.
const KIND: &str = "onnx-local";

/// Which model answers.
pub(super) struct Choice {
    /// The model that configuration names, whatever is asked for, and the field that names it.
    fixed: Option<(Wanted, &'static str)>,
    default: ModelName,
}

/// The model that is to answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    /// As answers name it.
    pub(super) name: ModelName,
    /// Where configuration says it is, made absolute.
    path: Option<PathBuf>,
    /// What the caller should know.
    pub(super) note: Option<String>,
}

/// A model's folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) name: ModelName,
    pub(super) folder: PathBuf,
    /// The folder however it is reached: two ways to one folder are one model.
    pub(super) key: PathBuf,
    /// The graph's file, where it was named.
    pub(super) file: Option<OsString>,
    /// What to do where it cannot be loaded.
    pub(super) advice: String,
}

impl Choice {
    pub(super) fn of(config: &ProviderConfig) -> Self {
        let by_path = || {
            let path = config.model_path.as_deref()?;
            Some((Wanted::at(path), "modelPath"))
        };
        let by_id = || {
            let id = config.model_id.as_deref()?;
            Some((Wanted::named(&id.into()), "modelId"))
        };
        let fixed = by_path().or_else(by_id);
        let default = match &fixed {
            Some((wanted, _)) => wanted.name.clone(),
            None => DEFAULT.into(),
        };
        Self { fixed, default }
    }

    pub(super) fn default_model(&self) -> &ModelName {
        &self.default
    }

    /// What answers a call for `asked`.
    pub(super) fn wanted(&self, asked: &ModelName) -> Wanted {
        let Some((wanted, field)) = &self.fixed else {
            return match asked.as_str() {
                "" | "auto" => Wanted::named(&self.default),
                _ => Wanted::named(asked),
            };
        };
        let other = *asked != wanted.name
            && KnownModels::shipped().name_at(asked, KIND).as_ref() != Some(&wanted.name);
        Wanted {
            note: other.then(|| format!("{} answers, the model that {field} names", wanted.name)),
            ..wanted.clone()
        }
    }
}

impl Wanted {
    fn named(name: &ModelName) -> Self {
        let known = KnownModels::shipped().name_at(name, KIND);
        Self {
            name: known.unwrap_or_else(|| name.clone()),
            path: None,
            note: None,
        }
    }

    /// A model without a name is called as its folder.
    fn at(path: &Path) -> Self {
        // What is relative stays where it was when the program began.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = match is_graph(&path) {
            true => path.parent().unwrap_or(&path),
            false => &path,
        };
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned().into(),
            path: Some(path),
            note: None,
        }
    }

    /// Where it is.
    ///
    /// # Errors
    ///
    /// Where it is not there, and what to do.
    pub(super) fn place(&self, finder: &dyn FindModel) -> Result<Place, BoxError> {
        let name = self.name.clone();
        match &self.path {
            Some(path) => Ok(at_path(name, path)?),
            None => by_name(name, finder),
        }
    }
}

impl Place {
    fn new(name: ModelName, folder: PathBuf, file: Option<OsString>, advice: String) -> Self {
        Self {
            key: folder.canonicalize().unwrap_or_else(|_| folder.clone()),
            name,
            folder,
            file,
            advice,
        }
    }
}

fn by_name(name: ModelName, finder: &dyn FindModel) -> Result<Place, BoxError> {
    let missing = |error: BoxError| {
        let why = CannotRun::of(&*error);
        // The store says it where that helps.
        match why.to_string().contains("inhouse pull") {
            true => why,
            false => CannotRun::new(format!("{why}; `inhouse pull {name}` fetches it")),
        }
    };
    let folder = finder.find(name.as_str()).map_err(missing)?;
    let advice = format!("`inhouse pull {name}` fetches it again");
    Ok(Place::new(name, folder, None, advice))
}

fn at_path(name: ModelName, path: &Path) -> Result<Place, CannotRun> {
    let advice = "modelPath names it".to_owned();
    if path.is_dir() {
        return Ok(Place::new(name, path.to_owned(), None, advice));
    }
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(file)) if is_graph(path) && path.is_file() => {
            let file = Some(file.to_owned());
            Ok(Place::new(name, folder.to_owned(), file, advice))
        }
        _ => Err(CannotRun::new(format!(
            "there is no model at {}, which modelPath names; it must be a folder with genai_config.json, or the .onnx \
             file in it",
            path.display()
        ))),
    }
}

fn is_graph(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
        && !path.is_dir()
}

#[cfg(test)]
impl Place {
    pub(super) fn of_zoo(name: &str) -> Self {
        Self::new(name.into(), super::tests::zoo(name), None, String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which model answers a call for `asked`, and what the caller is told.
    fn check(path: Option<&str>, id: Option<&str>, asked: &str, expected: (&str, Option<&str>)) {
        let config = ProviderConfig {
            model_path: path.map(PathBuf::from),
            model_id: id.map(str::to_owned),
            ..ProviderConfig::default()
        };
        let wanted = Choice::of(&config).wanted(&asked.into());
        assert_eq!((wanted.name.as_str(), wanted.note.as_deref()), expected);
    }

    #[test]
    fn names_of_others_lead_to_our_own() {
        check(None, None, "phi-4-mini", ("phi-4-mini", None));
        check(
            None,
            None,
            "microsoft/Phi-4-mini-instruct-onnx",
            ("phi-4-mini", None),
        );
        check(None, None, "my-own", ("my-own", None));
    }

    #[test]
    fn where_nobody_names_one_the_default_answers() {
        check(None, None, "auto", (DEFAULT, None));
        let default = Choice::of(&ProviderConfig::default());
        assert_eq!(default.default_model().as_str(), DEFAULT);
        assert!(
            KnownModels::shipped()
                .name_at(&DEFAULT.into(), KIND)
                .is_some()
        );
    }

    #[test]
    fn what_configuration_names_answers_everything() {
        let id = Some("Xenova/Phi-3-mini-4k-instruct");
        check(None, id, "phi-3-mini-4k", ("phi-3-mini-4k", None));
        check(
            None,
            id,
            "Xenova/Phi-3-mini-4k-instruct",
            ("phi-3-mini-4k", None),
        );
        let note = "phi-3-mini-4k answers, the model that modelId names";
        check(None, id, "phi-4", ("phi-3-mini-4k", Some(note)));
    }

    #[test]
    fn a_path_goes_before_an_identifier_and_is_called_as_its_folder() {
        let path = Some("./models/phi-4/model.onnx");
        check(path, Some("phi-3-mini-4k"), "phi-4", ("phi-4", None));
        check(Some("models/mine/"), None, "mine", ("mine", None));
    }

    #[test]
    fn what_the_store_advises_is_not_said_twice() {
        struct Store;
        impl FindModel for Store {
            fn find(&self, _: &str) -> Result<PathBuf, BoxError> {
                Err("m is not here: run `inhouse pull m`".into())
            }
        }
        let error = Wanted::named(&"m".into()).place(&Store).unwrap_err();
        assert_eq!(error.to_string(), "m is not here: run `inhouse pull m`");
    }
}
