//! Packed weights through a model's life: written once, mapped afterwards, made again when they are of no use.

use std::path::{Path, PathBuf};

use inhouse_engine::{Cancel, LoadNote, LoadOptions, Model, PackedIn, Session, Want};

fn zoo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/zoo")
        .join(name)
}

/// The model of `name`, its packs in `packs`, with what was said while it was loaded.
fn load(name: &str, packs: &Path) -> (Model, Vec<LoadNote>) {
    let mut notes = Vec::new();
    let options = LoadOptions {
        packed: Some(packs.to_owned()),
        ..LoadOptions::default()
    };
    let model = Model::load_noting(&zoo(name), &options, &mut |note| notes.push(note));
    (model.expect("it loads"), notes)
}

fn logits(model: &Model) -> Vec<f32> {
    let prompt: Vec<u32> = (3..40).collect();
    let logits = model.sequence().extend(&prompt, Want::All, &Cancel::new());
    logits.expect("it runs").data
}

fn file(model: &Model) -> &Path {
    match model.packed_in() {
        PackedIn::File(path) => path,
        other => panic!("packed in {other:?}"),
    }
}

/// Why a load packed, if it did.
fn packing(notes: &[LoadNote]) -> Option<Option<&str>> {
    match notes {
        [] => None,
        [LoadNote::Packing { why, .. }] => Some(why.as_deref()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_second_load_takes_what_the_first_one_packed() {
    for name in ["phi4mini-int4", "qwen2-mixed", "qwen3-int8"] {
        let packs = tempfile::tempdir().unwrap();
        let (first, notes) = load(name, packs.path());
        assert_eq!(packing(&notes), Some(None), "{name}");
        let (second, notes) = load(name, packs.path());
        assert_eq!(packing(&notes), None, "{name}");
        assert_eq!(file(&first), file(&second));
        let in_memory = Model::load(&zoo(name), &LoadOptions::default()).unwrap();
        assert_eq!(*in_memory.packed_in(), PackedIn::Memory);
        assert_eq!(logits(&first), logits(&second), "{name}");
        assert_eq!(logits(&first), logits(&in_memory), "{name}");
    }
}

#[test]
fn a_damaged_pack_is_made_again() {
    let packs = tempfile::tempdir().unwrap();
    let (model, _) = load("phi4mini-int4", packs.path());
    let (want, path) = (logits(&model), file(&model).to_owned());
    drop(model);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (model, notes) = load("phi4mini-int4", packs.path());
    let why = packing(&notes).flatten().expect("a reason");
    assert!(why.contains("damaged"), "{why}");
    assert_eq!(logits(&model), want);
    assert_eq!(packing(&load("phi4mini-int4", packs.path()).1), None);
}

#[test]
fn where_no_pack_can_be_written_weights_are_packed_in_memory() {
    let packs = tempfile::tempdir().unwrap();
    let in_the_way = packs.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let (model, notes) = load("phi4mini-int4", &in_the_way);
    assert_eq!(*model.packed_in(), PackedIn::Memory);
    match notes.as_slice() {
        [LoadNote::Packing { .. }, LoadNote::InMemory { why }] => {
            assert!(why.contains("file"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(logits(&model).len() % model.info().vocab, 0);
}

#[test]
fn nothing_is_packed_of_a_model_without_quantised_weights() {
    let packs = tempfile::tempdir().unwrap();
    let (model, notes) = load("llama-fp32", packs.path());
    assert_eq!(*model.packed_in(), PackedIn::Nowhere);
    assert!(notes.is_empty());
    assert_eq!(std::fs::read_dir(packs.path()).unwrap().count(), 0);
}
