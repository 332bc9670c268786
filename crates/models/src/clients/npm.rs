//! A Node package's archive, fetched by npm.

use std::path::PathBuf;
use std::process::Command;

use super::{Client, Request};
use crate::error::{StoreError, StoreErrorKind};
use crate::http::Context;

const NPM: Client = Client {
    name: "npm",
    kind: StoreErrorKind::Npm,
    ending: "tgz",
    error: &["npm error", "npm ERR!"],
    offline: &["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT"],
};

/// How to get npm.
pub(crate) const HOW_TO_GET: &str = "install Node.js with npm";

/// Runs npm and returns the archive; `None` where there is no npm.
pub(crate) fn download(
    context: &Context<'_>,
    request: &Request<'_>,
) -> Result<Option<PathBuf>, StoreError> {
    let what = format!("{}@{}", request.package, request.version);
    let arguments = |command: &mut Command| {
        // It writes the archive to the folder it runs in. Its own cache would keep a second copy for good.
        command.args(["pack", &what, "--ignore-scripts", "--loglevel", "error"]);
        command.arg("--cache").arg(request.temporary);
    };
    NPM.fetch(context, request, &what, &context.options.npm, arguments)
}
