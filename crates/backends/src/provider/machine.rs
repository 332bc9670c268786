//! What the machine shows of cards and drivers, without asking any of them: it explains why a provider failed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::library::{Os, Search};

/// NVIDIA's number among the makers of PCI devices.
const NVIDIA: &str = "0x10de";

/// Traces of cards and drivers. `true` where a system does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) os: Os,
    /// A card of NVIDIA's.
    pub(super) nvidia_card: bool,
    /// The library of NVIDIA's driver.
    pub(super) nvidia_driver: bool,
    /// Any card with a driver in the kernel.
    pub(super) graphics_card: bool,
    /// What WebGPU reaches cards through: Vulkan's loader, or the system's own.
    pub(super) graphics_loader: bool,
}

impl Machine {
    pub(super) fn look(search: &Search) -> Self {
        match search.os {
            Os::Linux => linux(search),
            Os::MacOs => Self {
                os: Os::MacOs,
                nvidia_card: false,
                nvidia_driver: false,
                graphics_card: true,
                graphics_loader: true,
            },
            Os::Windows => Self {
                os: Os::Windows,
                nvidia_card: true,
                nvidia_driver: in_system_folder("nvcuda.dll"),
                graphics_card: true,
                graphics_loader: in_system_folder("d3d12.dll"),
            },
        }
    }
}

fn linux(search: &Search) -> Machine {
    let has = |file: &str| {
        let usual = [
            "/usr/lib/wsl/lib",
            "/usr/local/nvidia/lib64",
            "/run/opengl-driver/lib",
        ];
        let usual = usual.iter().map(PathBuf::from);
        let mut folders = search.system.iter().cloned().chain(usual);
        folders.any(|folder| folder.join(file).exists())
    };
    let devices = names(Path::new("/dev"));
    let is_wsl = devices.iter().any(|name| name == "dxg");
    let has_node = devices.iter().any(|name| {
        // The last two are those of the small boards with a card inside.
        ["nvidia0", "nvidiactl", "nvhost-ctrl", "nvmap"].contains(&name.as_str())
    });
    Machine {
        os: Os::Linux,
        nvidia_card: is_wsl || has_node || has_pci_card(Path::new("/sys/bus/pci/devices")),
        nvidia_driver: has("libcuda.so.1"),
        graphics_card: is_wsl || devices.iter().any(|name| name == "dri"),
        graphics_loader: has("libvulkan.so.1"),
    }
}

fn has_pci_card(devices: &Path) -> bool {
    names(devices).iter().any(|name| {
        let read = |file: &str| fs::read_to_string(devices.join(name).join(file));
        let is_nvidia = read("vendor").is_ok_and(|vendor| vendor.trim() == NVIDIA);
        // Display controllers, and those that compute and drive no display.
        let class = read("class").unwrap_or_default();
        is_nvidia && (class.starts_with("0x03") || class.starts_with("0x12"))
    })
}

/// What NVIDIA's driver calls the card.
pub(super) fn nvidia_name() -> Option<String> {
    let folder = Path::new("/proc/driver/nvidia/gpus");
    names(folder).iter().find_map(|card| {
        let text = fs::read_to_string(folder.join(card).join("information")).ok()?;
        let model = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
        Some(model.trim().to_owned())
    })
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Only the system's own folder: other programs' copies say nothing about drivers.
fn in_system_folder(file: &str) -> bool {
    std::env::var_os("SystemRoot")
        .map(PathBuf::from)
        .is_some_and(|root| root.join("System32").join(file).is_file())
}
