//! A Python package's wheel, fetched by pip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Client, REQUIREMENTS, Request};
use crate::error::{IoContext, StoreError, StoreErrorKind};
use crate::http::Context;

/// One wheel out of a version's many.
#[derive(Clone, Copy)]
pub(crate) struct Pinned<'a> {
    pub(crate) tags: Tags<'a>,
    pub(crate) sha256: &'a str,
}

/// What a wheel's name says it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tags<'a> {
    implementation: &'a str,
    /// `312` for Python 3.12.
    python: &'a str,
    abi: &'a str,
    platform: &'a str,
}

const PIP: Client = Client {
    name: "pip",
    kind: StoreErrorKind::Pip,
    ending: "whl",
    error: &["ERROR:"],
    offline: &["connection broken"],
};

/// Runs pip and returns the wheel, `pinned` where it is known which; `None` where there is no pip.
pub(crate) fn download(
    context: &Context<'_>,
    request: &Request<'_>,
    pinned: Option<Pinned<'_>>,
) -> Result<Option<PathBuf>, StoreError> {
    let requirement = format!("{}=={}", request.package, request.version);
    let list = request.temporary.join(REQUIREMENTS);
    if let Some(pinned) = pinned {
        let text = format!("{requirement} --hash=sha256:{}\n", pinned.sha256);
        fs::write(&list, text).at("write to", &list)?;
    }
    let arguments = |command: &mut Command| {
        command.args([
            "download",
            "--no-deps",
            "--disable-pip-version-check",
            "--no-input",
            "--no-cache-dir",
        ]);
        // A source package would run its own code to be built; a wheel is only unpacked.
        command.args(["--only-binary", ":all:", "--progress-bar", "off", "-d"]);
        command.arg(request.folder);
        match pinned {
            Some(pinned) => {
                pinned.tags.ask(command);
                command.args(["--require-hashes", "-r"]).arg(&list);
            }
            None => {
                command.arg(&requirement);
            }
        }
    };
    PIP.fetch(
        context,
        request,
        &requirement,
        &context.options.pip,
        arguments,
    )
}

/// The wheel in a folder, if one is there.
pub(crate) fn wheel_in(folder: &Path) -> Option<PathBuf> {
    PIP.left(folder)
}

/// How to get pip.
pub(crate) const HOW_TO_GET: &str =
    "install Python 3 with pip (on Debian and Ubuntu: apt install python3-pip)";

impl<'a> Tags<'a> {
    /// The tags of a wheel's file name.
    pub(crate) fn of(wheel: &'a str) -> Option<Self> {
        let mut parts = wheel.strip_suffix(".whl")?.rsplit('-');
        // A wheel may be for several platforms; any of them leads to it.
        let platform = parts.next()?.rsplit('.').next()?;
        let (abi, python) = (parts.next()?, parts.next()?);
        parts.nth(1)?; // the version and the name
        if !python.is_ascii() || python.len() < 3 {
            return None;
        }
        let (implementation, python) = python.split_at(2);
        Some(Self {
            implementation,
            // What is for every Python 3 may still ask for one that is not too old.
            python: if python == "3" { "312" } else { python },
            abi,
            platform,
        })
    }

    fn ask(&self, command: &mut Command) {
        let (major, minor) = self.python.split_at(1);
        command.args(["--python-version", &format!("{major}.{minor}")]);
        command.args(["--implementation", self.implementation, "--abi", self.abi]);
        command.args(["--platform", self.platform]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_wheels() {
        let check = |wheel: &str, expected: Option<[&str; 4]>| {
            let found = Tags::of(wheel)
                .map(|tags| [tags.implementation, tags.python, tags.abi, tags.platform]);
            assert_eq!(found, expected, "{wheel}");
        };
        check(
            "onnxruntime-1.31.1-cp312-cp312-manylinux_2_28_x86_64.whl",
            Some(["cp", "312", "cp312", "manylinux_2_28_x86_64"]),
        );
        check(
            "ep_webgpu-0.4.0-py3-none-macosx_14_0_universal2.whl",
            Some(["py", "312", "none", "macosx_14_0_universal2"]),
        );
        check(
            "a-1-1build-cp39-abi3-manylinux1_x86_64.manylinux_2_28_x86_64.whl",
            Some(["cp", "39", "abi3", "manylinux_2_28_x86_64"]),
        );
        for wheel in [
            "",
            "a.whl",
            "cp312-cp312-win_amd64.whl",
            "a-1-é-x-y.whl",
            "a-1-py-x-y.whl",
            "a-1.tgz",
        ] {
            check(wheel, None);
        }
    }
}
