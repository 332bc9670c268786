//! Updating: asking the source whether there is something newer, and fetching only what changed.

use super::Store;
use crate::catalog::Catalog;
use crate::error::{StoreError, StoreErrorKind};
use crate::hash;
use crate::http::{self, Context, Subject};
use crate::hub::{Hub, MAIN};
use crate::name::model_name;
use crate::progress::ProgressSink;
use crate::record::{Installed, State};
use crate::retry::asking;
use crate::source::{Source, is_gguf};

/// What an update found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// Nothing newer is there.
    UpToDate(Installed),
    /// A newer one took its place.
    Replaced {
        /// The revision that was here.
        from: Option<String>,
        /// The model as it is now.
        now: Installed,
    },
}

impl Store {
    /// Brings a model up to date with its source. Until the new one is complete, the old one stays.
    pub fn update(&self, name: &str, sink: &dyn ProgressSink) -> Result<Updated, StoreError> {
        let name = model_name(name)?;
        let _lock = self.lock(&name, sink)?;
        let Some(record) = self.record(&name)? else {
            return Err(self.unknown(&name));
        };
        let old = record.clone().installed(&self.home_of(&name))?;
        let source = self.current_source(&old);
        if source.is_remote() && self.options.offline {
            return Err(StoreError::new(
                StoreErrorKind::Offline,
                format!(
                    "{name} cannot be compared with {source} while the network is out of bounds"
                ),
            ));
        }
        let context = self.context(sink);
        if old.state == State::Ready && source == old.source && self.is_current(&context, &old)? {
            return Ok(Updated::UpToDate(old));
        }
        let now = self.start(&context, name.clone(), source).run()?;
        self.remove_replaced(&name, record.hub)?;
        Ok(Updated::Replaced {
            from: old.revision,
            now,
        })
    }

    /// A catalog name follows the catalog, which may have moved on with the program.
    fn current_source(&self, old: &Installed) -> Source {
        let entry = Catalog::builtin().get(&old.name);
        match (&old.source, entry.map(|entry| &entry.source)) {
            (
                Source::Package { package, path, .. },
                Some(Source::Package {
                    package: new,
                    version,
                    path: to,
                }),
            ) if package == new => {
                let path = if path == to { path } else { to };
                Source::Package {
                    package: new.clone(),
                    version: version.clone(),
                    path: path.clone(),
                }
            }
            _ => old.source.clone(),
        }
    }

    fn is_current(&self, context: &Context<'_>, old: &Installed) -> Result<bool, StoreError> {
        match &old.source {
            Source::Hub { repo, revision, .. } => {
                let revision = revision.as_deref().unwrap_or(MAIN);
                let pinned = old.revision.as_deref() == Some(revision);
                Ok(pinned || old.revision == Some(Hub::new(context, repo, revision).commit()?.sha))
            }
            // A version of a package never changes, nor does what has a given hash.
            Source::Package { .. }
            | Source::Address {
                sha256: Some(_), ..
            } => Ok(true),
            Source::Address { url, sha256: None } => is_same(context, url, old.revision.as_deref()),
            Source::Local(path) if is_gguf(&path.to_string_lossy()) => {
                let found = hash::of_file(path, None, &self.options.cancel)?.sha256;
                Ok(old.revision == Some(found))
            }
            Source::Local(_) => Ok(true),
        }
    }
}

/// Asks a server whether an address still has this version.
fn is_same(context: &Context<'_>, url: &str, etag: Option<&str>) -> Result<bool, StoreError> {
    let Some(etag) = etag else { return Ok(false) };
    let condition = [("If-None-Match", format!("\"{etag}\""))];
    asking(context, http::shown(url), || {
        let reply = context.client.get(url, &condition, context.options)?;
        if reply.status == 304 {
            return Ok(true);
        }
        match http::status_failure(&reply, &Subject::Address, url, context) {
            Some(failure) => Err(failure),
            None => Ok(http::etag(&reply.headers, "etag").as_deref() == Some(etag)),
        }
    })
}
