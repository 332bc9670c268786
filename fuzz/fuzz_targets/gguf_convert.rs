//! Any bytes become a model folder or an error, and the folder is one that the reader and the configuration's parser take.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use inhouse_convert::{GgufOptions, convert_gguf};
use inhouse_engine::GenaiConfig;
use inhouse_onnx::Model;
use libfuzzer_sys::fuzz_target;

/// Each process has its own, in memory where the system offers that: set `TMPDIR` to `/dev/shm` say.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("inhouse-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the temporary folder can be written");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let (file, out) = (FOLDER.join("model.gguf"), FOLDER.join("out"));
    fs::write(&file, bytes).expect("the temporary folder can be written");
    if convert_gguf(&file, &out, &GgufOptions::default(), &mut |_| {}).is_ok() {
        Model::load(&out.join("model.onnx")).expect("what was written can be read");
        let config = fs::read(out.join("genai_config.json")).expect("there is a configuration");
        GenaiConfig::parse(&config).expect("it is understood");
        fs::remove_dir_all(&out).expect("it can be removed");
    }
});
