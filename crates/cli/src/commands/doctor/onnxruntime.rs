//! ONNX Runtime on this machine: which library is used, which are passed over, and what it can compute on.

use std::path::Path;

use inhouse_backends::library::{self, Candidate, Verdict};
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
        let mut others = library::find(search);
        tell_failed(&mut others, library.map(|library| library.path.as_path()));
        // Of one that was named and cannot be used, the problem tells.
        let others = others.into_iter().filter(|other| match library {
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

/// Those before the loaded one were tried, and without one all were: unless one was named, which is never replaced.
fn tell_failed(found: &mut [Candidate], loaded: Option<&Path>) {
    let is_loaded = |one: &Candidate| loaded == Some(one.path.as_path());
    let tried = match found.iter().position(is_loaded) {
        Some(at) => at,
        None if found.iter().any(|one| one.place.is_named()) => 0,
        None => found.len(),
    };
    let tried = found.iter_mut().take(tried);
    for one in tried.filter(|one| one.verdict.is_usable()) {
        one.verdict = Verdict::Broken("cannot be loaded".to_owned());
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

#[cfg(test)]
mod tests {
    use inhouse_backends::library::Place;

    use super::*;

    /// What is said of each that was found, where the one of this number was loaded.
    fn check(places: &[Place], loaded: Option<usize>, expected: &[bool]) {
        let path = |number: usize| std::path::PathBuf::from(format!("{number}.so"));
        let found = places.iter().enumerate().map(|(number, place)| Candidate {
            path: path(number),
            place: *place,
            version: None,
            verdict: Verdict::Usable,
        });
        let mut found: Vec<_> = found.collect();
        tell_failed(&mut found, loaded.map(path).as_deref());
        let usable: Vec<_> = found.iter().map(|one| one.verdict.is_usable()).collect();
        assert_eq!(usable, expected, "{places:?} {loaded:?}");
    }

    #[test]
    fn what_was_tried_in_vain_could_not_be_used_instead() {
        let [named, node, system] = [Place::Variable, Place::Node, Place::System];
        check(&[node, system], Some(0), &[true, true]);
        check(&[node, system], Some(1), &[false, true]);
        check(&[node, system], None, &[false, false]);
        check(&[named, system], Some(0), &[true, true]);
        check(&[named, system], None, &[true, true]);
    }
}
