//! Whatever the bytes, there is a model or an error and never a panic.

use inhouse_onnx::Model;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::zoo::models;

/// The smallest model of the zoo, which has external data; that is refused only after all before it was read.
fn real() -> Vec<u8> {
    let files = models()
        .into_iter()
        .map(|path| std::fs::read(path).unwrap());
    files.min_by_key(Vec::len).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..2000)) {
        let _ = Model::from_bytes(bytes.into());
    }

    #[test]
    fn flipped_bits_and_cuts(flips in vec((any::<prop::sample::Index>(), 0..8), 0..20), len in any::<prop::sample::Index>()) {
        let mut bytes = real();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
        }
        let _ = Model::from_bytes(bytes.clone().into());
        bytes.truncate(len.index(bytes.len()));
        let _ = Model::from_bytes(bytes.into());
    }
}

/// The fuzzer's seeds, to which what it finds is added.
#[test]
fn fuzz_seeds() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/onnx");
    for entry in std::fs::read_dir(corpus).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let _ = Model::from_bytes(bytes.into());
    }
}

/// The same with the external data in reach.
#[test]
fn flipped_bits_in_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let source = models()
        .into_iter()
        .min_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap();
    std::fs::copy(
        source.with_extension("onnx.data"),
        dir.path().join("model.onnx.data"),
    )
    .unwrap();
    let bytes = real();
    let path = dir.path().join("model.onnx");
    for at in (0..bytes.len()).step_by(37) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, bytes).unwrap();
        let _ = Model::load(&path);
    }
}
