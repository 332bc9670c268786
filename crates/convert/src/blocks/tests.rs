use super::*;

/// Bytes and the values that the gguf package reads from them (`tests/data/make.py`).
const REFERENCE: &str = include_str!("../../tests/data/blocks.json");

fn check(name: &str, tensor_type: TensorType) {
    let reference: serde_json::Value = serde_json::from_str(REFERENCE).unwrap();
    let hex = |field: &str| from_hex(reference[name][field].as_str().unwrap());
    let expected = le_chunks(&hex("values"), f32::from_le_bytes);
    let values = dequantise(tensor_type, &hex("blocks"));
    // To the bit: scales of small integers are products that f32 holds.
    assert_eq!(values, expected, "{name}");
    assert!(!values.is_empty());
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

#[test]
fn every_type_reads_as_the_gguf_package_reads_it() {
    check("F32", TensorType::F32);
    check("F16", TensorType::F16);
    check("BF16", TensorType::BF16);
    check("Q4_0", TensorType::Q4_0);
    check("Q4_1", TensorType::Q4_1);
    check("Q5_0", TensorType::Q5_0);
    check("Q5_1", TensorType::Q5_1);
    check("Q8_0", TensorType::Q8_0);
    check("Q4_K", TensorType::Q4_K);
    check("Q5_K", TensorType::Q5_K);
    check("Q6_K", TensorType::Q6_K);
}
