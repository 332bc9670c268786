//! Kinds of runtimes, and the platforms they are built for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{StoreError, StoreErrorKind};

/// What a runtime computes on. The name of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// The processor.
    Cpu,
    /// NVIDIA's cards, by CUDA and TensorRT.
    Cuda,
    /// Any card on Windows, by Direct3D 12.
    DirectMl,
    /// Any card, by WebGPU: a plugin that a runtime for the processor loads.
    WebGpu,
}

impl Flavour {
    /// All there are, in the order they are shown.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Cuda, Self::DirectMl, Self::WebGpu];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::DirectMl => "directml",
            Self::WebGpu => "webgpu",
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Flavour {
    type Err = StoreError;

    fn from_str(name: &str) -> Result<Self, StoreError> {
        let is = |flavour: &Self| flavour.name().eq_ignore_ascii_case(name.trim());
        Self::ALL.into_iter().find(is).ok_or_else(|| {
            let message = format!(
                "there is no runtime {name:?}; there are {}",
                names(Self::ALL)
            );
            StoreError::new(StoreErrorKind::UnknownRuntime, message)
        })
    }
}

/// The names, separated by commas; "none" where there are none.
pub(super) fn names(flavours: impl IntoIterator<Item = Flavour>) -> String {
    let names: Vec<_> = flavours.into_iter().map(Flavour::name).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// A system and its processor, by Rust's names for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`, `macos` or `windows`.
    pub os: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
}

impl Platform {
    /// The one this program was built for.
    #[must_use]
    pub fn here() -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.os, self.arch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for flavour in Flavour::ALL {
            assert_eq!(flavour.name().parse::<Flavour>().unwrap(), flavour);
            let json = serde_json::to_string(&flavour).unwrap();
            assert_eq!(json, format!("\"{flavour}\""));
        }
        assert_eq!(" DirectML ".parse::<Flavour>().unwrap(), Flavour::DirectMl);
        let error = "rocm".parse::<Flavour>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no runtime \"rocm\"; there are cpu, cuda, directml, webgpu"
        );
    }
}
