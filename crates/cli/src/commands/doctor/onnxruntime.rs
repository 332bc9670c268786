//! ONNX Runtime on this machine: which library is used, which are passed over, and what it can compute on.

use inhouse_backends::library::{self, Candidate};
use inhouse_backends::provider::{self, Probe, State};
use inhouse_backends::{ExecutionProvider, Search};
use serde::Serialize;

use crate::output::{Align, Table, plain};

#[derive(Serialize)]
pub(super) struct OnnxRuntime {
    /// The one that is used; its absence is no fault.
    library: Option<Library>,
    /// Why there is none.
    problem: Option<String>,
    /// Others that were found.
    others: Vec<Other>,
    providers: Vec<Provider>,
}

#[derive(Serialize)]
struct Library {
    path: String,
    version: Option<String>,
    found_in: String,
}

#[derive(Serialize)]
struct Other {
    path: String,
    version: Option<String>,
    found_in: String,
    /// Why it cannot be used; `None` where it could be.
    problem: Option<String>,
}

#[derive(Serialize)]
struct Provider {
    name: &'static str,
    works: bool,
    device: Option<String>,
    /// What is missing, and what to do about it.
    problem: Option<String>,
    advice: Option<String>,
}

impl OnnxRuntime {
    /// Loads the library, if there is one, and tries every execution provider: so it is one that has the most wanted.
    pub(super) fn look(search: &Search) -> Self {
        let search = &Search {
            wanted: ExecutionProvider::ALL.to_vec(),
            ..search.clone()
        };
        let loaded = library::load(search);
        let library = loaded.as_ref().ok();
        let others = library::find(search).into_iter();
        // Of one that was named and cannot be used, the problem tells.
        let others = others.filter(|other| match library {
            Some(library) => library.path != other.path,
            None => !other.place.is_named(),
        });
        Self {
            others: others.map(Other::from).collect(),
            providers: match library {
                Some(library) => provider::probe(library, search)
                    .into_iter()
                    .map(Provider::from)
                    .collect(),
                None => Vec::new(),
            },
            library: library.map(|library| Library {
                path: library.path.display().to_string(),
                version: library.version.map(|version| version.to_string()),
                found_in: library.place.to_string(),
            }),
            problem: loaded.err().map(|error| error.to_string()),
        }
    }

    /// Whether it computes on this.
    pub(super) fn works_on(&self, provider: ExecutionProvider) -> bool {
        let mut providers = self.providers.iter();
        providers.any(|known| known.name == provider.name() && known.works)
    }

    /// Why it computes nothing.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The library on one line.
    pub(super) fn describe(&self) -> String {
        match (&self.library, &self.problem) {
            (Some(library), _) => format!(
                "{}, {}: {}",
                library
                    .version
                    .as_deref()
                    .unwrap_or("of an unknown version"),
                library.found_in,
                library.path
            ),
            (None, problem) => format!("none: {}", problem.as_deref().unwrap_or_default()),
        }
    }

    pub(super) fn tables(&self) -> Vec<Table> {
        let mut tables = Vec::new();
        if !self.providers.is_empty() {
            tables.push(providers(&self.providers));
        }
        if !self.others.is_empty() {
            tables.push(others(&self.others));
        }
        tables
    }
}

impl From<Candidate> for Other {
    fn from(candidate: Candidate) -> Self {
        let verdict = candidate.verdict;
        Self {
            path: candidate.path.display().to_string(),
            version: candidate.version.map(|version| version.to_string()),
            found_in: candidate.place.to_string(),
            problem: (!verdict.is_usable()).then(|| verdict.to_string()),
        }
    }
}

impl From<Probe> for Provider {
    fn from(probe: Probe) -> Self {
        let works = probe.works();
        Self {
            name: probe.provider.name(),
            works,
            problem: (!works).then_some(probe.why),
            advice: (!works).then_some(probe.advice),
            device: match probe.state {
                State::Works { device } => device,
                State::Missing(_) => None,
            },
        }
    }
}

fn providers(providers: &[Provider]) -> Table {
    let mut table = Table::new(&[("execution provider", Align::Left), ("works", Align::Left)]);
    for provider in providers {
        let problem = provider.problem.as_deref().unwrap_or_default();
        let advice = provider.advice.as_deref().unwrap_or_default();
        let works = match (provider.works, &provider.device) {
            (true, Some(device)) => format!("yes, on {device}"),
            (true, None) => "yes".to_owned(),
            (false, _) => format!("no: {problem}; {advice}"),
        };
        table.row([provider.name, &plain(&works)]);
    }
    table
}

fn others(others: &[Other]) -> Table {
    let mut table = Table::new(&[
        ("other ONNX Runtimes", Align::Left),
        ("version", Align::Left),
        ("found in", Align::Left),
        ("", Align::Left),
    ]);
    for other in others {
        table.row([
            plain(&other.path),
            other.version.clone().unwrap_or_else(|| "-".to_owned()),
            other.found_in.clone(),
            match &other.problem {
                Some(problem) => plain(problem),
                None => "could be used instead".to_owned(),
            },
        ]);
    }
    table
}
