//! Any graph beside a real configuration and real weights is a decoder or an error; a decoder runs.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use inhouse_engine::{Cancel, LoadOptions, Model, Session, Want};
use libfuzzer_sys::fuzz_target;

const CONFIG: &[u8] = include_bytes!("../../testdata/zoo/qwen2-mixed/genai_config.json");
const WEIGHTS: &[u8] = include_bytes!("../../testdata/zoo/qwen2-mixed/model.onnx.data");

/// Each process has its own, in memory where the system offers that: set `TMPDIR` to `/dev/shm` say.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("inhouse-fuzz-load-{}", std::process::id()));
    let write = |name: &str, bytes| fs::write(folder.join(name), bytes);
    fs::create_dir_all(&folder)
        .and_then(|()| write("genai_config.json", CONFIG))
        .and_then(|()| write("model.onnx.data", WEIGHTS))
        .expect("the temporary folder can be written");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    fs::write(FOLDER.join("model.onnx"), bytes).expect("the temporary folder can be written");
    let options = LoadOptions {
        threads: Some(1),
        ..LoadOptions::default()
    };
    if let Ok(model) = Model::load(&FOLDER, &options) {
        let _ = model
            .sequence()
            .extend(&[1, 2, 3], Want::Last, &Cancel::new());
    }
});
