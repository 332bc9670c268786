//! Where a library was found, and what is to be thought of it.

use std::{fmt, path::PathBuf};

use super::version::{OLDEST, Version};

/// A kind of place where ONNX Runtime's library may lie, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file or folder that the configuration names, or a flag.
    Configuration,
    /// The file or folder that `ORT_DYLIB_PATH` names.
    Variable,
    /// inhouse's own folder of runtimes.
    Own(Flavour),
    /// A Python package, `onnxruntime*`.
    Python,
    /// The Node package `onnxruntime-node`.
    Node,
    /// A folder of the system's, or the program's own.
    System,
}

impl Place {
    /// Whether the user named the file, so that no other one may take its place.
    pub fn is_named(self) -> bool {
        matches!(self, Self::Configuration | Self::Variable)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "runtimeLibrary or --ort-library",
            Self::Variable => "ORT_DYLIB_PATH",
            Self::Own(Flavour::Cpu) => "inhouse's runtimes (cpu)",
            Self::Own(Flavour::Cuda) => "inhouse's runtimes (cuda)",
            Self::Own(Flavour::DirectMl) => "inhouse's runtimes (directml)",
            Self::Python => "a Python package",
            Self::Node => "a Node package",
            Self::System => "the system",
        })
    }
}

/// A build of ONNX Runtime that `inhouse runtime install` fetches; every one of them runs on the CPU as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// With NVIDIA's providers: CUDA and TensorRT.
    Cuda,
    /// With DirectML, for Windows.
    DirectMl,
    /// For the CPU alone.
    Cpu,
}

impl Flavour {
    /// Every flavour, those that can do more first.
    pub const ALL: &[Self] = &[Self::Cuda, Self::DirectMl, Self::Cpu];

    /// Its name, which is also the name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::DirectMl => "directml",
            Self::Cpu => "cpu",
        }
    }
}

/// A file that may be ONNX Runtime's library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The file, links resolved where it exists.
    pub path: PathBuf,
    /// Where it was found.
    pub place: Place,
    /// Its version, where that is known without loading it.
    pub version: Option<Version>,
    /// Whether it can be used.
    pub verdict: Verdict,
}

/// Whether a library can be used, as far as can be told without loading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it.
    Usable,
    /// It is older than what is needed.
    TooOld(Version),
    /// It is code in a folder that is not the user's own, and not known to be an official build.
    Untrusted {
        /// The file beside it that it would load and nobody vouches for; without it, that is the library itself.
        beside: Option<PathBuf>,
    },
    /// It was named and is not there.
    Missing,
    /// It cannot be a library, and why.
    Broken(String),
}

impl Verdict {
    /// Whether the library can be loaded.
    pub fn is_usable(&self) -> bool {
        *self == Self::Usable
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usable => f.write_str("usable"),
            Self::TooOld(version) => f.write_str(&too_old(&version.to_string())),
            Self::Untrusted { beside: None } => f.write_str(
                "came with the folder that inhouse was started in and is not known as an official build; \
                 set ORT_DYLIB_PATH to it if you trust it",
            ),
            Self::Untrusted { beside: Some(file) } => write!(
                f,
                "came with the folder that inhouse was started in and would load {}, which is not known as part of an \
                 official build; set ORT_DYLIB_PATH to the library if you trust both",
                file.display()
            ),
            Self::Missing => f.write_str("does not exist"),
            Self::Broken(reason) => f.write_str(reason),
        }
    }
}

/// What is said of a library of this version.
pub(super) fn too_old(version: &str) -> String {
    format!(
        "is ONNX Runtime {version}, and {}.{} or newer is needed; `inhouse runtime install` fetches one",
        OLDEST.major, OLDEST.minor
    )
}
