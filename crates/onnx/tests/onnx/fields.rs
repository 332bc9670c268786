//! The many ways in which ONNX stores the same thing.

use inhouse_onnx::{Attribute, AttributeValue, Dim, Model, ValueInfo};

use crate::wire::{bytes, initializer, int, model, node, varint};

fn read(bytes: Vec<u8>) -> Model {
    Model::from_bytes(bytes.into()).unwrap()
}

/// Integers, packed as writers do it.
fn packed(tag: u64, values: &[i64]) -> Vec<u8> {
    let content: Vec<u8> = values
        .iter()
        .flat_map(|value| varint(*value as u64))
        .collect();
    bytes(tag, content)
}

#[test]
fn integers_in_typed_fields() {
    let check = |dtype, len, field: Vec<u8>, expected: &[i64]| {
        let model = read(model(&[initializer(dtype, &[len], &[field])]));
        assert_eq!(
            model.graph.initializers[0].to_i64().unwrap(),
            expected,
            "type {dtype}"
        );
    };
    check(2, 2, packed(5, &[0, 255]), &[0, 255]);
    check(3, 2, packed(5, &[-2, 127]), &[-2, 127]);
    check(4, 2, packed(5, &[1, 65535]), &[1, 65535]);
    check(5, 2, packed(5, &[-2, 5]), &[-2, 5]);
    check(6, 2, packed(5, &[-2, 5]), &[-2, 5]);
    check(7, 2, packed(7, &[-2, i64::MAX]), &[-2, i64::MAX]);
    check(9, 2, packed(5, &[1, 0]), &[1, 0]);
    check(12, 1, packed(11, &[0xffff_ffff]), &[0xffff_ffff]);
    check(13, 1, packed(11, &[7]), &[7]);
    check(21, 3, packed(5, &[0xf1, 0x07]), &[1, 15, 7]);
    check(22, 3, packed(5, &[0xf1, 0x07]), &[1, -1, 7]);
    // Unpacked, as old writers do it.
    check(7, 2, [int(7, 3), int(7, 4)].concat(), &[3, 4]);
}

#[test]
fn floats_in_typed_fields() {
    let check = |dtype, field: Vec<u8>| {
        let model = read(model(&[initializer(dtype, &[2], &[field])]));
        assert_eq!(
            model.graph.initializers[0].to_f32().unwrap(),
            [1.0, -2.0],
            "type {dtype}"
        );
    };
    check(
        1,
        bytes(
            4,
            [1.0_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat(),
        ),
    );
    check(10, packed(5, &[0x3c00, 0xc000]));
    check(16, packed(5, &[0x3f80, 0xc000]));
}

#[test]
fn doubles_and_empty_tensors() {
    let double = bytes(10, [1.5_f64.to_le_bytes(), 2.5_f64.to_le_bytes()].concat());
    let model = read(model(&[
        initializer(11, &[2], &[double]),
        initializer(1, &[0, 4], &[]),
    ]));
    assert_eq!(
        model.graph.initializers[0].bytes()[..8],
        1.5_f64.to_le_bytes()
    );
    assert!(model.graph.initializers[1].is_empty());
}

#[test]
fn attributes_with_and_without_a_type() {
    let check = |fields: &[Vec<u8>], expected: AttributeValue| {
        let attribute = bytes(5, [bytes(1, "a"), fields.concat()].concat());
        let model = read(model(&[node(&[bytes(4, "Op"), attribute])]));
        assert_eq!(
            model.graph.nodes[0].attributes,
            [Attribute::new("a", expected)]
        );
    };
    let float = |tag: u64, value: f32| [&varint(tag << 3 | 5), &value.to_le_bytes()[..]].concat();
    check(&[int(20, 2), int(3, -1)], AttributeValue::Int(-1));
    check(&[int(20, 2)], AttributeValue::Int(0));
    check(&[int(3, 0)], AttributeValue::Int(0));
    check(&[int(20, 1), float(2, 0.5)], AttributeValue::Float(0.5));
    check(
        &[int(20, 3), bytes(4, [0xff, 0x00])],
        AttributeValue::String(vec![0xff, 0]),
    );
    check(
        &[int(20, 7), int(8, 1), int(8, 2)],
        AttributeValue::Ints(vec![1, 2]),
    );
    check(
        &[int(20, 7), packed(8, &[1, 2])],
        AttributeValue::Ints(vec![1, 2]),
    );
    check(&[int(20, 7)], AttributeValue::Ints(vec![]));
    check(
        &[int(20, 6), float(7, 0.5)],
        AttributeValue::Floats(vec![0.5]),
    );
    check(
        &[int(20, 8), bytes(9, "x")],
        AttributeValue::Strings(vec![b"x".to_vec()]),
    );
    check(
        &[bytes(9, "x")],
        AttributeValue::Strings(vec![b"x".to_vec()]),
    );
}

#[test]
fn dimensions_of_every_kind() {
    let dims = [
        bytes(1, int(1, 3)),
        bytes(1, bytes(2, "n")),
        bytes(1, int(1, -1)),
        bytes(1, ""),
    ];
    let tensor_type = bytes(1, [int(1, 10), bytes(2, dims.concat())].concat());
    let model = read(model(&[
        bytes(11, [bytes(1, "x"), bytes(2, tensor_type)].concat()),
        bytes(12, bytes(1, "y")),
    ]));
    let shape = vec![
        Dim::Fixed(3),
        Dim::Named("n".into()),
        Dim::Unknown,
        Dim::Unknown,
    ];
    let x = ValueInfo {
        name: "x".into(),
        dtype: Some(inhouse_onnx::DataType::F16),
        shape,
    };
    assert_eq!(model.graph.inputs, [x]);
    assert_eq!(
        model.graph.outputs,
        [ValueInfo {
            name: "y".into(),
            dtype: None,
            shape: vec![]
        }]
    );
}

#[test]
fn what_is_not_used_is_not_in_the_way() {
    let sparse = bytes(15, bytes(1, [int(2, 1), bytes(8, "s")].concat()));
    let function = bytes(25, [bytes(1, "F"), bytes(10, "own"), bytes(7, "")].concat());
    let sequence_between = bytes(13, [bytes(1, "v"), bytes(2, bytes(4, ""))].concat());
    let graph = model(&[sparse, sequence_between, node(&[bytes(4, "F")])]);
    assert_eq!(read([graph, function].concat()).graph.nodes.len(), 1);
}
