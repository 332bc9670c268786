//! How a model is to be computed.

use std::collections::BTreeMap;

use inhouse_engine::LoadOptions;

use crate::library::Search;
use crate::provider::ExecutionProvider;

/// What is to compute a model, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which backend.
    pub backend: Choice,
    /// What both backends heed.
    pub load: LoadOptions,
    /// What ONNX Runtime heeds.
    pub onnxruntime: RuntimeOptions,
}

/// Which backend computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The native one for the decoders it recognises, on the processor; ONNX Runtime for other devices and graphs.
    #[default]
    Auto,
    /// The native one.
    Native,
    /// ONNX Runtime.
    OnnxRuntime,
}

/// Where ONNX Runtime is, and what it computes with.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Where its library may be.
    pub search: Search,
    /// Execution providers, tried in this order when a model is loaded, and when one is lost. None leaves it to the
    /// model's folder, and to the processor where that says nothing.
    pub providers: Vec<ExecutionProvider>,
    /// GPUs first, the first that works, whatever [`providers`](Self::providers) says.
    pub gpu: bool,
    /// Options of execution providers, by ONNX Runtime's names for them.
    pub options: BTreeMap<ExecutionProvider, BTreeMap<String, String>>,
}

impl RuntimeOptions {
    /// The processor, with a library that `search` finds.
    pub fn new(search: Search) -> Self {
        Self {
            search,
            providers: Vec::new(),
            gpu: false,
            options: BTreeMap::new(),
        }
    }

    /// The execution providers to try, where the model's folder names `of_folder`.
    pub(crate) fn order(&self, of_folder: &[ExecutionProvider]) -> Vec<ExecutionProvider> {
        let asked: Vec<_> = match (self.providers.as_slice(), self.gpu) {
            ([], true) => ExecutionProvider::auto_order().to_vec(),
            ([], false) => [of_folder, &[ExecutionProvider::Cpu]].concat(),
            (asked, false) => asked.to_vec(),
            (asked, true) => {
                let gpus = ExecutionProvider::auto_order().iter().copied();
                let gpus = gpus.filter(|provider| provider.is_gpu());
                let (named, others): (Vec<_>, Vec<_>) = asked
                    .iter()
                    .copied()
                    .partition(|provider| provider.is_gpu());
                named.into_iter().chain(gpus).chain(others).collect()
            }
        };
        let mut order = Vec::new();
        for provider in asked {
            if !order.contains(&provider) {
                order.push(provider);
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ExecutionProvider::{Cpu, Cuda, WebGpu};

    use super::*;

    fn check(
        asked: &[ExecutionProvider],
        gpu: bool,
        of_folder: &[ExecutionProvider],
    ) -> Vec<ExecutionProvider> {
        let nowhere = Path::new("nowhere");
        let options = RuntimeOptions {
            providers: asked.to_vec(),
            gpu,
            ..RuntimeOptions::new(Search::from_env(&|_| None, nowhere, nowhere))
        };
        options.order(of_folder)
    }

    #[test]
    fn a_list_is_followed_as_it_is() {
        assert_eq!(check(&[Cuda], false, &[WebGpu]), [Cuda]);
        assert_eq!(check(&[Cuda, Cpu, Cuda], false, &[]), [Cuda, Cpu]);
    }

    #[test]
    fn without_a_list_the_folder_says_and_the_processor_is_last() {
        assert_eq!(check(&[], false, &[]), [Cpu]);
        assert_eq!(check(&[], false, &[Cuda]), [Cuda, Cpu]);
    }

    #[test]
    fn a_wish_for_a_gpu_puts_gpus_first() {
        assert_eq!(check(&[], true, &[]), ExecutionProvider::auto_order());
        let order = check(&[Cpu, WebGpu], true, &[]);
        assert_eq!((order[0], *order.last().unwrap()), (WebGpu, Cpu));
        assert!(order.len() > 2 || !order.contains(&Cuda));
    }
}
