//! Pulling from a hub, through the cache that the Python library shares.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::pull::{Place, Pull, Ready, check_folder};
use crate::download::{self, Job, partial_of};
use crate::error::{StoreError, StoreErrorKind};
use crate::hash::Expected;
use crate::http::Subject;
use crate::hub::cache::RepoCache;
use crate::hub::{Choice, Hub, MAIN, TreeFile, choose};
use crate::lock::Lock;
use crate::name;
use crate::progress::Event;
use crate::record::{FileRecord, HubFiles};
use crate::source::is_gguf;
use crate::space::Needs;

impl Pull<'_> {
    pub(super) fn hub_model(
        &self,
        repo: &str,
        folder: &str,
        revision: Option<&str>,
    ) -> Result<Ready, StoreError> {
        let revision = revision.unwrap_or(MAIN);
        let cache = RepoCache::new(&self.store.options.hf_cache, repo);
        if self.store.options.offline {
            return self.cached_model(&cache, repo, folder, revision);
        }
        let hub = Hub::new(self.context, repo, revision);
        let commit = hub.commit()?;
        let listed = self.list(&hub, repo, &commit.sha, folder)?;
        let choice = choose(repo, folder, listed)?;
        let fetch = Fetch {
            pull: self,
            hub: &hub,
            cache: &cache,
            repo,
            revision,
            commit: &commit.sha,
        };
        fetch.all(choice.files(), choice.gguf().map(|file| file.size))?;
        cache.set_commit(revision, &commit.sha)?;
        self.ready(&cache, repo, choice, commit.sha, commit.licence)
    }

    /// What is in the cache, without asking anyone.
    fn cached_model(
        &self,
        cache: &RepoCache,
        repo: &str,
        folder: &str,
        revision: &str,
    ) -> Result<Ready, StoreError> {
        let commit = cache.commit_of(revision).ok_or_else(|| self.offline())?;
        let choice = choose(repo, folder, cache.listing(&commit)).map_err(|_| self.offline())?;
        if let Some(missing) = choice
            .files()
            .iter()
            .find(|file| !cache.has(file.blob.text(), file.size))
        {
            return Err(StoreError::new(
                StoreErrorKind::Offline,
                format!(
                    "{} is not here as a whole ({} is missing), and the network is out of bounds: run `inhouse pull \
                     {}` once without --offline",
                    self.name, missing.path, self.source
                ),
            ));
        }
        self.ready(cache, repo, choice, commit, None)
    }

    fn ready(
        &self,
        cache: &RepoCache,
        repo: &str,
        choice: Choice,
        commit: String,
        licence: Option<String>,
    ) -> Result<Ready, StoreError> {
        let snapshot = cache.snapshot(&commit);
        let hub = HubFiles {
            cache: self.store.options.hf_cache.clone(),
            repo: repo.to_owned(),
            commit: commit.clone(),
            files: choice
                .files()
                .iter()
                .map(|file| file.path.clone())
                .collect(),
        };
        let (place, files, converted_from) = match choice {
            Choice::Gguf(file) => {
                let folder = self.convert(&snapshot.join(name::inside(&file.path)?))?;
                let files = self.scan(&folder)?;
                (Place::Staged(folder), files, Some(record_of(&file, "")))
            }
            Choice::Folder { folder, files } => {
                let place = if folder.is_empty() {
                    snapshot
                } else {
                    snapshot.join(name::inside(&folder)?)
                };
                check_folder(&place)?;
                let files = files.iter().map(|file| record_of(file, &folder)).collect();
                (Place::Elsewhere(place), files, None)
            }
        };
        Ok(Ready {
            place,
            revision: Some(commit),
            licence,
            files,
            converted_from,
            hub: Some(hub),
        })
    }

    /// Lists a folder; one that is not there is an error that names those that are.
    fn list(
        &self,
        hub: &Hub<'_>,
        repo: &str,
        sha: &str,
        folder: &str,
    ) -> Result<Vec<TreeFile>, StoreError> {
        let listed = if is_gguf(folder) {
            folder.rsplit_once('/').map_or("", |(parent, _)| parent)
        } else {
            folder
        };
        match hub.tree(sha, listed) {
            Err(error) if error.kind() == StoreErrorKind::NotFound && !listed.is_empty() => {
                let all = hub.tree(sha, "")?;
                // The error of choosing from everything names what is there.
                match choose(repo, "", all) {
                    Err(named) if named.kind() == StoreErrorKind::NotFound => Err(StoreError::new(
                        StoreErrorKind::NotFound,
                        format!("hf:{repo} has no {folder:?}; {named}"),
                    )),
                    Ok(Choice::Folder { folder: other, .. }) => Err(StoreError::new(
                        StoreErrorKind::NotFound,
                        format!("hf:{repo} has no {folder:?}; its model is hf:{repo}/{other}"),
                    )),
                    _ => Err(error),
                }
            }
            other => other,
        }
    }
}

fn record_of(file: &TreeFile, folder: &str) -> FileRecord {
    let below = file
        .path
        .strip_prefix(folder)
        .and_then(|rest| rest.strip_prefix('/'));
    let path = if folder.is_empty() {
        &file.path
    } else {
        below.unwrap_or(&file.path)
    };
    let sha256 = match &file.blob {
        Expected::Sha256(sha256) => Some(sha256.clone()),
        Expected::GitBlob(_) => None,
    };
    FileRecord {
        path: path.to_owned(),
        size: file.size,
        sha256,
    }
}

/// Files of one commit on their way into the cache.
struct Fetch<'a> {
    pull: &'a Pull<'a>,
    hub: &'a Hub<'a>,
    cache: &'a RepoCache,
    repo: &'a str,
    revision: &'a str,
    commit: &'a str,
}

impl Fetch<'_> {
    /// Fetches what is not here, several files at once. `gguf` is the size of a file that will be converted.
    fn all(&self, files: &[TreeFile], gguf: Option<u64>) -> Result<(), StoreError> {
        self.announce(files, gguf)?;
        // The largest first: the small ones then fill the other connections while it runs.
        let mut order: Vec<_> = files.iter().collect();
        order.sort_by_key(|file| std::cmp::Reverse(file.size));
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<StoreError>> = Mutex::new(None);
        let workers = self
            .pull
            .store
            .options
            .parallel
            .clamp(1, order.len().max(1));
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(file) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.one(file) {
                            self.fail(&failed, error);
                            break;
                        }
                    }
                });
            }
        });
        let failed = failed
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        failed.map_or(Ok(()), Err)
    }

    /// Keeps the first error and stops the other files; their own end is only a consequence.
    fn fail(&self, failed: &Mutex<Option<StoreError>>, error: StoreError) {
        let mut failed = failed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        failed.get_or_insert(error);
        self.pull.context.stop.store(true, Ordering::Relaxed);
    }

    fn announce(&self, files: &[TreeFile], gguf: Option<u64>) -> Result<(), StoreError> {
        let bytes = files.iter().map(|file| file.size).sum::<u64>();
        let present = files
            .iter()
            .map(|file| self.cache.present(file.blob.text(), file.size))
            .sum::<u64>();
        let mut needs = Needs::default();
        needs.add(
            &self.pull.store.options.hf_cache,
            bytes.saturating_sub(present),
        );
        if let Some(gguf) = gguf {
            needs.add(&self.pull.store.models_folder(), self.pull.room_for(gguf));
        }
        needs.check(&self.pull.name, self.pull.store.options.system.as_ref())?;
        self.pull.context.sink.event(&Event::Plan {
            files: files.len(),
            bytes,
            present,
        });
        Ok(())
    }

    fn one(&self, file: &TreeFile) -> Result<(), StoreError> {
        self.pull.context.check()?;
        let id = file.blob.text();
        let sink = self.pull.context.sink;
        {
            let options = &self.pull.store.options;
            let _lock = Lock::wait(&self.cache.lock(id), options, || {
                sink.event(&Event::Note(&format!(
                    "waiting: another process fetches {}",
                    file.path
                )));
            })?;
            if self.cache.has(id, file.size) {
                sink.event(&Event::FileStarted {
                    file: &file.path,
                    size: Some(file.size),
                    present: file.size,
                });
                sink.event(&Event::FileDone { file: &file.path });
            } else {
                download::fetch(self.pull.context, &self.job(file, &self.cache.blob(id)))?;
            }
        }
        self.cache.link(self.commit, &file.path, id)
    }

    fn job<'a>(&'a self, file: &'a TreeFile, blob: &Path) -> Job<'a> {
        Job {
            label: &file.path,
            url: self.hub.file_address(self.commit, &file.path),
            subject: Subject::Hub {
                repo: self.repo,
                revision: self.revision,
                path: &file.path,
            },
            partial: partial_of(blob),
            place: blob.to_owned(),
            size: Some(file.size),
            likely_size: None,
            expected: Some(file.blob.clone()),
        }
    }
}
