//! Wheels and zip files: one file or one folder taken out, checked while it is written.

pub(crate) mod tgz;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use crate::catalog::CatalogFile;
use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::hash::{Expected, Hasher};
use crate::http::Context;
use crate::name;
use crate::progress::Event;

/// An archive on the disk.
pub(crate) struct Archive {
    path: PathBuf,
    zip: ZipArchive<File>,
}

/// A file in an archive: its full name there, and the name below the folder that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    name: String,
    relative: String,
    pub(crate) size: u64,
}

impl Archive {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).at("open", path)?;
        let zip = ZipArchive::new(file).map_err(|cause| broken(path, cause))?;
        Ok(Self {
            path: path.to_owned(),
            zip,
        })
    }

    /// The file of this name, or the files below the folder of this name; an empty name is the whole archive.
    pub(crate) fn members(&mut self, wanted: &str) -> Result<Vec<Member>, StoreError> {
        let mut members = Vec::new();
        for index in 0..self.zip.len() {
            let file = self
                .zip
                .by_index(index)
                .map_err(|cause| broken(&self.path, cause))?;
            let name = file
                .name()
                .map_err(|cause| broken(&self.path, cause))?
                .into_owned();
            if file.is_dir() || file.is_symlink() {
                continue;
            }
            let Some(relative) = below(&name, wanted) else {
                continue;
            };
            name::inside(&relative)?;
            members.push(Member {
                relative,
                size: file.size(),
                name,
            });
        }
        if members.is_empty() {
            return Err(StoreError::new(
                StoreErrorKind::NotFound,
                format!("{} holds no {wanted:?}", self.path.display()),
            ));
        }
        Ok(members)
    }

    /// Writes a member to `place`, whose folder is made.
    pub(crate) fn extract(
        &mut self,
        member: &Member,
        place: &Path,
        pinned: Option<&CatalogFile>,
        context: &Context<'_>,
    ) -> Result<String, StoreError> {
        let file = self
            .zip
            .by_name(&member.name)
            .map_err(|cause| broken(&self.path, cause))?;
        write(file, member, &self.path, place, pinned, context)
    }

    /// Writes a folder's members below `folder`.
    pub(crate) fn extract_all(
        &mut self,
        members: &[Member],
        folder: &Path,
        context: &Context<'_>,
    ) -> Result<(), StoreError> {
        for member in members {
            self.extract(
                member,
                &folder.join(name::inside(&member.relative)?),
                None,
                context,
            )?;
        }
        Ok(())
    }
}

/// Writes a member of `archive` to `place`, whose folder is made, and checks it on the way.
fn write(
    file: impl Read,
    member: &Member,
    archive: &Path,
    place: &Path,
    pinned: Option<&CatalogFile>,
    context: &Context<'_>,
) -> Result<String, StoreError> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).at("create the folder", folder)?;
    }
    let expected = pinned.and_then(|pinned| Expected::of_blob(&pinned.sha256));
    context.sink.event(&Event::Verifying {
        file: &member.relative,
        size: member.size,
    });
    let (count, sha256) = copy(file, member, archive, place, context)?;
    let wrong = match (pinned, &expected) {
        (Some(pinned), _) if pinned.size != count => {
            Some(format!("expected {} bytes, found {count}", pinned.size))
        }
        (_, Some(expected)) if expected.text() != sha256 => Some(format!(
            "expected sha256 {}, found {sha256}",
            expected.text()
        )),
        _ if count != member.size => Some(format!("expected {} bytes, found {count}", member.size)),
        _ => None,
    };
    let Some(wrong) = wrong else {
        return Ok(sha256);
    };
    fs::remove_file(place).ok();
    Err(StoreError::new(
        StoreErrorKind::Corrupt,
        format!(
            "{} in {} is not what it should be: {wrong}; it was removed",
            member.name,
            archive.display()
        ),
    ))
}

/// The one folder in which all members lie, if there is one: archives often have such a folder around everything.
pub(crate) fn common_folder(members: &[Member]) -> Option<String> {
    let first = members.first()?.relative.split_once('/')?.0;
    let inside = |member: &Member| {
        member
            .relative
            .split_once('/')
            .is_some_and(|(folder, _)| folder == first)
    };
    members.iter().all(inside).then(|| first.to_owned())
}

fn below(name: &str, wanted: &str) -> Option<String> {
    if wanted.is_empty() {
        return Some(name.to_owned());
    }
    if name == wanted {
        return Some(name.rsplit('/').next().unwrap_or(name).to_owned());
    }
    name.strip_prefix(wanted)?
        .strip_prefix('/')
        .map(str::to_owned)
}

fn copy(
    file: impl Read,
    member: &Member,
    archive: &Path,
    place: &Path,
    context: &Context<'_>,
) -> Result<(u64, String), StoreError> {
    // One byte more than announced is enough to see that an archive lies, and ends it there.
    let mut file = file.take(member.size.saturating_add(1));
    remove_old(place)?;
    let mut out = context.options.system.append(place).at("write to", place)?;
    let mut hasher = Hasher::new(None, None);
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        context.check()?;
        let count = file
            .read(&mut buffer)
            .map_err(|cause| broken(archive, cause))?;
        if count == 0 {
            break;
        }
        out.write_all(&buffer[..count]).at("write to", place)?;
        hasher.update(&buffer[..count]);
        total += count as u64;
    }
    out.flush().at("write to", place)?;
    Ok((total, hasher.finish().sha256))
}

fn remove_old(place: &Path) -> Result<(), StoreError> {
    crate::hub::cache::remove_if_there(place)
}

fn broken(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        format!("{} is not a whole archive: fetch it again", path.display()),
    )
    .caused_by(cause)
}
