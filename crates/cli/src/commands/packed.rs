//! Packed weights as the commands see them: which there are, and whose they are.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use inhouse_engine::pack::{PackFolder, PackInfo, PackState, Unusable};
use inhouse_models::Installed;
use serde::Serialize;

use super::Context;

/// The folder with the packs.
pub(super) fn folder(context: &Context) -> PackFolder {
    PackFolder::new(&context.settings.packed.folder)
}

/// The pack of the model in `model`, if there is one.
pub(super) fn of_model(model: &Path, context: &Context) -> Option<PathBuf> {
    // Without a model folder, there is none to be found by it.
    let path = folder(context).path_of(model).ok()?;
    path.is_file().then_some(path)
}

/// Removes a pack and says how many bytes it had.
pub(super) fn remove(path: &Path) -> anyhow::Result<u64> {
    PackFolder::remove(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// A pack, as it is shown.
#[derive(Serialize)]
pub(super) struct Pack {
    /// The model's name, where the store has it.
    pub(super) model: Option<String>,
    /// The model's folder, where the pack can tell.
    pub(super) folder: Option<PathBuf>,
    pub(super) file: PathBuf,
    pub(super) bytes: u64,
    pub(super) state: &'static str,
    /// Why it would not be used.
    pub(super) problem: Option<String>,
}

impl Pack {
    pub(super) fn new(info: PackInfo, installed: &[Installed]) -> Self {
        let is_its = |model: &&Installed| {
            let folder = model.folder.canonicalize().ok();
            folder.is_some() && folder == info.model
        };
        let (state, problem) = said(&info.state);
        Self {
            model: installed
                .iter()
                .find(is_its)
                .map(|model| model.name.clone()),
            folder: info.model,
            file: info.path,
            bytes: info.bytes,
            state,
            problem,
        }
    }

    /// What it is called: by its model, or by its file where that is all there is.
    pub(super) fn title(&self) -> String {
        let file = || self.file.file_name().unwrap_or_default();
        match &self.model {
            Some(name) => name.clone(),
            None => file().to_string_lossy().into_owned(),
        }
    }
}

/// The state in a word or two, and what is wrong.
fn said(state: &PackState) -> (&'static str, Option<String>) {
    let why = match state {
        PackState::Ready => return ("ready", None),
        PackState::SourceGone => return ("source gone", None),
        PackState::Unfinished => return ("unfinished", None),
        PackState::Unusable(why) => why,
    };
    match why {
        Unusable::Stale(how) => ("stale", Some(how.clone())),
        Unusable::Version(whose) => ("other version", Some(whose.clone())),
        Unusable::Foreign | Unusable::CutShort { .. } | Unusable::Damaged(_) => {
            ("damaged", Some(why.to_string()))
        }
        Unusable::Absent | Unusable::Unreadable(_) => ("unreadable", Some(why.to_string())),
    }
}
