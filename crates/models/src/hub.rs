//! A Hugging Face hub: what a repository holds, and the cache on the disk that its Python library shares.

pub(crate) mod cache;
mod choose;

use serde::Deserialize;
use ureq::http::HeaderMap;

use crate::error::{StoreError, StoreErrorKind};
use crate::hash::{self, Expected};
use crate::http::{self, Context, Subject};
use crate::retry::{Failure, asking};
use crate::url::{self, Origin};

pub(crate) use choose::{Choice, choose};

/// The branch that is meant where none is named.
pub(crate) const MAIN: &str = "main";

/// A repository on the hub.
pub(crate) struct Hub<'a> {
    context: &'a Context<'a>,
    repo: &'a str,
    revision: &'a str,
}

/// What a revision stands for today.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) licence: Option<String>,
}

/// A file in a repository's listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeFile {
    /// Its path in the repository, with `/`.
    pub(crate) path: String,
    pub(crate) size: u64,
    /// What its bytes hash to, which is also the name of its blob in the cache.
    pub(crate) blob: Expected,
}

/// No answer of the hub is longer than this.
const MAX_ANSWER: u64 = 32 << 20;
/// No repository has more files than this.
const MAX_FILES: usize = 100_000;

impl<'a> Hub<'a> {
    pub(crate) fn new(context: &'a Context<'a>, repo: &'a str, revision: &'a str) -> Self {
        Self {
            context,
            repo,
            revision,
        }
    }

    /// Asks which commit the revision stands for.
    pub(crate) fn commit(&self) -> Result<Commit, StoreError> {
        let revision = url::encode_part(self.revision);
        let address = self.address(&format!("api/models/{}/revision/{revision}", self.repo));
        let (body, _) = self.ask(&address, "")?;
        let info: Info = self.parse(&body)?;
        let sha = info.sha.to_ascii_lowercase();
        // It becomes a folder's name.
        if !hash::is_hex(&sha, 40) {
            return Err(self.senseless(&format!("the commit {:?} is not one", info.sha)));
        }
        let card = info.card_data.and_then(|card| card.license);
        let tag = info
            .tags
            .iter()
            .find_map(|tag| tag.strip_prefix("license:").map(str::to_owned));
        Ok(Commit {
            sha,
            licence: card.and_then(License::one).or(tag),
        })
    }

    /// Lists the files below a folder at a commit.
    pub(crate) fn tree(&self, sha: &str, folder: &str) -> Result<Vec<TreeFile>, StoreError> {
        let mut path = format!("api/models/{}/tree/{sha}", self.repo);
        if !folder.is_empty() {
            path = format!("{path}/{}", url::encode_path(folder));
        }
        let mut next = Some(self.address(&format!("{path}?recursive=true")));
        let mut files = Vec::new();
        while let Some(address) = next {
            let (body, headers) = self.ask(&address, folder)?;
            let entries: Vec<Listed> = self.parse(&body)?;
            if entries.is_empty() && http::text(&headers, "link").is_some() {
                return Err(self.senseless("a page of its listing is empty"));
            }
            for entry in entries.into_iter().filter(|entry| entry.kind == "file") {
                files.push(self.file(entry)?);
            }
            if files.len() > MAX_FILES {
                return Err(self.senseless("its listing has no end"));
            }
            next = self.next_page(&address, &headers)?;
        }
        Ok(files)
    }

    /// Where a file's bytes are.
    pub(crate) fn file_address(&self, sha: &str, path: &str) -> String {
        self.address(&format!(
            "{}/resolve/{sha}/{}",
            self.repo,
            url::encode_path(path)
        ))
    }

    fn file(&self, entry: Listed) -> Result<TreeFile, StoreError> {
        crate::name::inside(&entry.path)?;
        let (id, size) = match entry.lfs {
            Some(lfs) => (lfs.oid, lfs.size),
            None => (entry.oid, entry.size),
        };
        let blob = Expected::of_blob(id.strip_prefix("sha256:").unwrap_or(&id));
        let blob =
            blob.ok_or_else(|| self.senseless(&format!("{} is listed as {id:?}", entry.path)))?;
        Ok(TreeFile {
            path: entry.path,
            size,
            blob,
        })
    }

    /// The listing's next page. It is asked of this hub wherever the link points: the token goes with the question,
    /// and mirrors pass on links to the original.
    fn next_page(&self, base: &str, headers: &HeaderMap) -> Result<Option<String>, StoreError> {
        let Some(link) = http::text(headers, "link").and_then(next_link) else {
            return Ok(None);
        };
        let mut address = url::join(base, link);
        if let Some(other) = address
            .as_deref()
            .filter(|other| Origin::of(other) != Origin::of(base))
        {
            address =
                url::path_and_query(other).map(|path| self.address(path.trim_start_matches('/')));
        }
        match address {
            Some(address) if address != base => Ok(Some(address)),
            _ => Err(self.senseless("its listing has no next page where it says so")),
        }
    }

    fn ask(&self, address: &str, path: &str) -> Result<(String, HeaderMap), StoreError> {
        let what = format!("asking for {}", self.repo);
        let subject = Subject::Hub {
            repo: self.repo,
            revision: self.revision,
            path,
        };
        asking(self.context, &what, || {
            let reply = self
                .context
                .client
                .get(address, &[], self.context.options)?;
            if let Some(failure) = http::status_failure(&reply, &subject, address, self.context) {
                return Err(failure);
            }
            let mut body = reply.body;
            let text = body.with_config().limit(MAX_ANSWER).read_to_string();
            let text = text.map_err(|error| Failure::network(error.to_string()))?;
            Ok((text, reply.headers))
        })
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self, body: &str) -> Result<T, StoreError> {
        serde_json::from_str(body)
            .map_err(|cause| self.senseless("the answer cannot be read").caused_by(cause))
    }

    fn senseless(&self, what: &str) -> StoreError {
        let hub = &self.context.options.hf_endpoint;
        StoreError::new(
            StoreErrorKind::Server,
            format!(
                "{hub} says of {} what makes no sense: {what}; is HF_ENDPOINT a hub?",
                self.repo
            ),
        )
    }

    fn address(&self, path: &str) -> String {
        format!(
            "{}/{path}",
            self.context.options.hf_endpoint.trim_end_matches('/')
        )
    }
}

/// The target of `<...>; rel="next"` in a `Link` header.
fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters
            .replace([' ', '"'], "")
            .contains("rel=next")
            .then_some(target)
    })
}

#[derive(Deserialize)]
struct Info {
    sha: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(rename = "cardData")]
    card_data: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    license: Option<License>,
}

/// Model cards are written by hand: a licence may be one or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum License {
    One(String),
    Many(Vec<String>),
    Other(serde::de::IgnoredAny),
}

impl License {
    fn one(self) -> Option<String> {
        match self {
            Self::One(one) => Some(one),
            Self::Many(many) => Some(many.join(", ")),
            Self::Other(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_next_page() {
        for (header, expected) in [
            (
                r#"<https://h/x?cursor=a>; rel="next""#,
                Some("https://h/x?cursor=a"),
            ),
            (
                r#"<https://h/p>; rel="prev", <https://h/n>; rel="next""#,
                Some("https://h/n"),
            ),
            (r#"<https://h/p>; rel="prev""#, None),
            ("", None),
        ] {
            assert_eq!(next_link(header), expected, "{header}");
        }
    }
}
