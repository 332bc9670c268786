//! Any bytes are a configuration or an error.

#![no_main]

use inhouse_engine::GenaiConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = GenaiConfig::parse(bytes);
});
