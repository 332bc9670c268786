//! Pulling from a plain address: a `.gguf` file, or a `.zip` of a model folder.

use std::fs;

use super::pull::{Place, Pull, Ready};
use crate::archive::{Archive, common_folder};
use crate::download::{self, Fetched, Job, partial_of};
use crate::error::StoreError;
use crate::hash::Expected;
use crate::http::{self, Subject};
use crate::progress::Event;
use crate::record::FileRecord;
use crate::retry::asking;
use crate::source::is_gguf;
use crate::space::Needs;

impl Pull<'_> {
    pub(super) fn address_model(
        &self,
        url: &str,
        sha256: Option<&str>,
    ) -> Result<Ready, StoreError> {
        let path = http::shown(url);
        let file = path.rsplit('/').next().unwrap_or(path);
        let expected = sha256.and_then(Expected::of_blob);
        let size = self.size_of(url)?;
        let place = self.staging.downloads().join(if is_gguf(file) {
            "model.gguf"
        } else {
            "model.zip"
        });
        let job = Job {
            label: file,
            url: url.to_owned(),
            subject: Subject::Address,
            partial: partial_of(&place),
            place: place.clone(),
            // It may change until it is fetched: the server then sends all of the new one.
            size: None,
            likely_size: size,
            expected,
        };
        self.check_download_room(&job, size)?;
        let fetched = download::fetch(self.context, &job)?;
        self.unpack(&job, &fetched)
            .inspect_err(|_| download::keep(&job, &fetched))
    }

    fn unpack(&self, job: &Job<'_>, fetched: &Fetched) -> Result<Ready, StoreError> {
        let (folder, converted_from) = if is_gguf(job.label) {
            let sha256 = Some(fetched.sha256.clone());
            let record = FileRecord {
                path: job.label.to_owned(),
                size: fetched.size,
                sha256,
            };
            (self.convert(&job.place)?, Some(record))
        } else {
            let mut archive = Archive::open(&job.place)?;
            let members = archive.members("")?;
            let inner = common_folder(&members).unwrap_or_default();
            (self.folder_of(&mut archive, &inner)?, None)
        };
        let files = self.scan(&folder)?;
        Ok(Ready {
            place: Place::Staged(folder),
            revision: fetched.etag.clone(),
            licence: None,
            files,
            converted_from,
            hub: None,
        })
    }

    /// Asks how large the file is, before anything is written.
    fn size_of(&self, url: &str) -> Result<Option<u64>, StoreError> {
        asking(self.context, http::shown(url), || {
            // Not every server answers HEAD; the body of this GET is not read.
            let reply = self.context.client.get(url, &[], &self.store.options)?;
            match http::status_failure(&reply, &Subject::Address, url, self.context) {
                Some(failure) => Err(failure),
                None => Ok(http::number(&reply.headers, "content-length")),
            }
        })
    }

    fn check_download_room(&self, job: &Job<'_>, size: Option<u64>) -> Result<(), StoreError> {
        let Some(size) = size else { return Ok(()) };
        let present = fs::metadata(&job.partial)
            .map_or(0, |metadata| metadata.len())
            .min(size);
        let made = if is_gguf(job.label) {
            self.room_for(size)
        } else {
            size
        };
        let mut needs = Needs::default();
        needs.add(
            &self.store.models_folder(),
            (size - present).saturating_add(made),
        );
        needs.check(&self.name, self.store.options.system.as_ref())?;
        self.context.sink.event(&Event::Plan {
            files: 1,
            bytes: size,
            present,
        });
        Ok(())
    }
}
