//! WebGPU: compiled into some libraries, a plugin to all others.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use ort::{
    device::Device,
    ep::{self, ExecutionProvider as _},
    memory::DeviceType,
    session::builder::SessionBuilder,
};

use super::{machine::Machine, name::ExecutionProvider, options::Options};
use crate::library::{CUT_OFF, Library, Os, Place, Search, Trust, is_cut_off};

/// The name that the plugin is registered under.
const REGISTERED_AS: &str = "WebGPU";
/// Python's package that holds the plugin.
const PACKAGE: &str = "onnxruntime_ep_webgpu";

/// The plugin that this process has registered, if it has: a second registration is an error.
static REGISTERED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// How far WebGPU's plugin came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plugin {
    /// No plugin is needed: the library has the provider itself.
    BuiltIn,
    /// The plugin is registered; whether it lists a device is another matter.
    Registered(PathBuf),
    /// There is none.
    Missing,
    /// There is one, and nobody vouches for it.
    Untrusted(PathBuf),
    /// ONNX Runtime refuses it, and says why.
    Refused(PathBuf, String),
}

/// Registers the plugin, once a process.
pub(super) fn register(library: &Library, search: &Search) -> Plugin {
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = &*registered {
        return Plugin::Registered(path.clone());
    }
    if is_built_in() {
        return Plugin::BuiltIn;
    }
    let mut outcome = Plugin::Missing;
    for (path, trust) in candidates(library, search) {
        if let Some(file) = search.stranger(&path, trust) {
            outcome = Plugin::Untrusted(file);
            continue;
        }
        if is_cut_off(&path) {
            return Plugin::Refused(path, format!("it {CUT_OFF}"));
        }
        match library
            .environment
            .register_ep_library(REGISTERED_AS, &path)
        {
            Ok(()) => {
                *registered = Some(path.clone());
                return Plugin::Registered(path);
            }
            Err(error) => return Plugin::Refused(path, error.message().to_owned()),
        }
    }
    outcome
}

fn is_built_in() -> bool {
    ep::WebGPU::is_available().unwrap_or(false)
}

/// Whether WebGPU is to be had from the plugin alone.
pub(super) fn is_plugin(library: &Library) -> bool {
    devices(library).next().is_some() || !is_built_in()
}

/// Where the plugin may be: our own folder, beside the library, Python's packages.
fn candidates(library: &Library, search: &Search) -> Vec<(PathBuf, Trust)> {
    let file = match search.os {
        Os::Linux => "libonnxruntime_providers_webgpu.so",
        Os::MacOs => "libonnxruntime_providers_webgpu.dylib",
        Os::Windows => "onnxruntime_providers_webgpu.dll",
    };
    let own = search
        .runtimes
        .iter()
        .map(|folder| (folder.join("webgpu"), Trust::Whole));
    let beside = match library.place {
        Place::Configuration | Place::Variable | Place::Own(_) => Trust::Whole,
        Place::Python | Place::Node | Place::System => Trust::Outside,
    };
    let python = search
        .python
        .iter()
        .map(|site| (site.join(PACKAGE), Trust::Outside));
    own.chain([(library.folder().to_path_buf(), beside)])
        .chain(python)
        .map(|(folder, trust)| (folder.join(file), trust))
        .filter(|(path, _)| path.is_file())
        .collect()
}

/// The devices that WebGPU lists.
pub(super) fn devices(library: &Library) -> impl Iterator<Item = Device<'_>> {
    library
        .environment
        .devices()
        .filter(|device| device.ep().is_ok_and(|name| name == name_of_provider()))
}

/// Adds WebGPU's first device to a session: the provider takes one, and chooses the card itself.
pub(super) fn attach(
    builder: SessionBuilder,
    options: &Options,
    library: &Library,
) -> ort::Result<SessionBuilder> {
    let device = devices(library)
        .next()
        .ok_or_else(|| ort::Error::new(NO_DEVICE))?;
    // Options for devices carry the name of the provider, as a session may have devices of several.
    let options: Vec<(String, String)> = options
        .pairs()
        .map(|(key, value)| (format!("{}.{key}", name_of_provider()), value.to_owned()))
        .collect();
    Ok(builder.with_devices([device], Some(&options))?)
}

/// Lets the plugin list the processor as a device, for Vulkan in software.
const ALLOW_SOFTWARE: &str = "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER";

/// Whether there is something to compute on. What is built in does not list its devices, and takes software ones as
/// well, which are slower than the processor without them; so it is held to what the plugin takes.
pub(super) fn has_device(plugin: &Plugin, library: &Library, machine: &Machine) -> bool {
    let is_listed = devices(library).next().is_some();
    let allows_software = std::env::var_os(ALLOW_SOFTWARE).is_some_and(|value| value == "1");
    is_listed || (*plugin == Plugin::BuiltIn && (machine.graphics_card || allows_software))
}

/// What WebGPU computes on.
pub(super) fn name_of_device(library: &Library) -> Option<String> {
    let device = devices(library).next()?.hardware_device();
    if device.ty() == DeviceType::CPU {
        return Some("the processor, by a software adapter".to_owned());
    }
    let vendor = device.vendor().ok().filter(|vendor| !vendor.is_empty())?;
    Some(format!("{vendor} {:#06x}", device.id()))
}

/// What is said where WebGPU is there and lists no device.
pub(super) const NO_DEVICE: &str = "WebGPU lists no device";

fn name_of_provider() -> &'static str {
    ExecutionProvider::WebGpu.ort_name()
}
