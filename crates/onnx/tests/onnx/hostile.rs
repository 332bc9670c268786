//! Files that are broken or mean harm: one clear error each.

use inhouse_onnx::LoadErrorKind::{self, *};
use inhouse_onnx::Model;

use crate::wire::{bytes, external, initializer, int, model, node, varint};

#[track_caller]
fn check(file: Vec<u8>, kind: LoadErrorKind, message: &str) {
    let error = Model::from_bytes(file.into()).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (kind, message.to_owned())
    );
}

#[test]
fn no_model_at_all() {
    let no_graph = "is not an ONNX model: it has no graph";
    let damaged = "is not a valid ONNX file: the model is cut off or damaged; fetch the file again";
    check(vec![], Malformed, no_graph);
    check(int(1, 10), Malformed, no_graph);
    check(b"{\"json\": true}".to_vec(), Malformed, damaged);
    check(b"GGUF\x03\0\0\0".to_vec(), Malformed, damaged);
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 9\n";
    let message = "is a Git LFS pointer and not the file itself; run `git lfs pull`";
    check(pointer.to_vec(), Malformed, message);
    check(b"<!DOCTYPE html>".to_vec(), Malformed, damaged);
}

#[test]
fn cut_off_at_every_byte() {
    let weights = initializer(1, &[2], &[bytes(9, [0; 8])]);
    let attribute = bytes(5, [bytes(1, "axis"), int(3, 1), int(20, 2)].concat());
    let whole = model(&[weights, node(&[bytes(4, "Op"), bytes(1, "w"), attribute])]);
    for len in 1..whole.len() {
        let error = Model::from_bytes(whole[..len].to_vec().into()).unwrap_err();
        assert_eq!(error.kind(), Malformed, "{len}: {error}");
    }
    Model::from_bytes(whole.into()).unwrap();
}

#[test]
fn lengths_beyond_the_file() {
    let endless = |tag: u64, len: u64| [varint(tag << 3 | 2), varint(len)].concat();
    let part = |part| {
        format!("is not a valid ONNX file: {part} is cut off or damaged; fetch the file again")
    };
    check(endless(7, u64::MAX), Malformed, &part("the model"));
    check(endless(2, 1 << 42), Malformed, &part("the model"));
    check(
        model(&[bytes(5, endless(9, 1 << 40))]),
        Malformed,
        &part("a tensor"),
    );
    check(
        model(&[bytes(1, endless(1, 1 << 31))]),
        Malformed,
        &part("a node"),
    );
    check(
        model(&[bytes(1, bytes(5, endless(1, 9)))]),
        Malformed,
        &part("an attribute"),
    );
    // A number of more than ten bytes, and a group.
    check(vec![0xff; 11], Malformed, &part("the model"));
    check(vec![0x3b], Malformed, &part("the model"));
}

#[test]
fn shapes_that_lie() {
    let tensor =
        |dtype, dims: &[i64], data: &[u8]| model(&[initializer(dtype, dims, &[bytes(9, data)])]);
    check(
        tensor(1, &[1 << 40, 1 << 40], &[0; 4]),
        Malformed,
        "tensor \"w\" of f32 has the impossible shape [1099511627776, 1099511627776]",
    );
    check(
        tensor(1, &[1_000_000_000], &[0; 4]),
        Malformed,
        "tensor \"w\" of f32 [1000000000] needs 4000000000 bytes of data but has 4",
    );
    check(
        tensor(1, &[-1], &[0; 4]),
        Malformed,
        "tensor \"w\" has a negative dimension",
    );
    check(
        tensor(7, &[], &[]),
        Malformed,
        "tensor \"w\" of i64 [] needs 8 bytes of data but has 0",
    );
    check(
        model(&[initializer(7, &[2], &[int(7, 5)])]),
        Malformed,
        "tensor \"w\" of i64 [2] needs 16 bytes of data but has 8",
    );
    check(
        model(&[initializer(2, &[1], &[int(5, 256)])]),
        Malformed,
        "tensor \"w\" of u8 has an element too large for its type",
    );
}

#[test]
fn graphs_inside_graphs() {
    let nested = |depth: usize| {
        let wrap = |graph: Vec<u8>, _| node(&[bytes(5, [int(20, 5), bytes(6, graph)].concat())]);
        model(&[(1..depth).fold(Vec::new(), wrap)])
    };
    Model::from_bytes(nested(16).into()).unwrap();
    check(
        nested(17),
        Limit,
        "nests more than 16 graphs inside each other",
    );
    // Deep enough to exhaust the stack of a reader that has no limit.
    check(
        nested(2000),
        Limit,
        "nests more than 16 graphs inside each other",
    );
}

#[test]
fn small_bytes_that_grow_large() {
    let mebi = 1 << 20;
    let check = |element: Vec<u8>, wrap: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let file = wrap(element.repeat(mebi));
        let message = format!(
            "would take more than 12 times its {} bytes in memory: it is damaged or hostile",
            file.len()
        );
        check(file, Limit, &message);
    };
    let graph = |content| bytes(7, content);
    check(bytes(1, ""), &graph);
    check(bytes(5, ""), &graph);
    check(bytes(11, ""), &graph);
    check(bytes(15, bytes(1, "")), &graph);
    check(bytes(1, ""), &|content| bytes(7, bytes(1, content)));
    check(bytes(5, ""), &|content| bytes(7, bytes(1, content)));
    check(bytes(9, ""), &|content| {
        bytes(7, bytes(1, bytes(5, content)))
    });
    check(bytes(13, ""), &|content| bytes(7, bytes(5, content)));
    check(bytes(1, ""), &|content| {
        bytes(7, bytes(11, bytes(2, bytes(1, bytes(2, content)))))
    });
    check(bytes(8, ""), &|content| content);
    check(bytes(25, ""), &|content| content);
}

#[test]
fn wrong_wire_types_and_text() {
    let error = |file: Vec<u8>| Model::from_bytes(file.into()).unwrap_err().to_string();
    let name = error(model(&[node(&[bytes(3, [0xff, 0xfe])])]));
    assert!(
        name.contains("NodeProto.name") && name.contains("UTF-8"),
        "{name}"
    );
    let graph = error(int(7, 1));
    assert!(
        graph.contains("ModelProto.graph") && graph.contains("wire type"),
        "{graph}"
    );
}

#[test]
fn parts_of_onnx_that_are_not_read() {
    check(
        model(&[initializer(8, &[0], &[])]),
        Unsupported,
        "tensor \"w\" has the element type 8 (string), which is not supported",
    );
    let sparse = bytes(15, bytes(1, [int(2, 1), bytes(8, "s")].concat()));
    check(
        model(&[
            sparse,
            node(&[bytes(3, "n"), bytes(4, "Add"), bytes(1, "s")]),
        ]),
        Unsupported,
        "node \"n\" (\"Add\") takes \"s\", a sparse initializer, which is not supported: store it dense",
    );
    let function = bytes(25, [bytes(1, "F"), bytes(10, "own")].concat());
    check(
        [
            model(&[node(&[bytes(3, "n"), bytes(4, "F"), bytes(7, "own")])]),
            function,
        ]
        .concat(),
        Unsupported,
        "node \"n\" (\"F\") calls a function that the model defines, which is not supported: inline the functions first",
    );
    let graphs = bytes(5, [bytes(1, "bodies"), int(20, 10)].concat());
    check(
        model(&[node(&[bytes(3, "n"), bytes(4, "Op"), graphs])]),
        Unsupported,
        "attribute \"bodies\" of node \"n\" (\"Op\") is a list of graphs, which is not supported",
    );
    check(
        model(&[bytes(11, [bytes(1, "x"), bytes(2, bytes(4, ""))].concat())]),
        Unsupported,
        "graph input or output \"x\" is a sequence, which is not supported",
    );
}

#[test]
fn values_that_are_missing() {
    let attribute = |number| bytes(5, [bytes(1, "a"), int(20, number)].concat());
    let file = |number| model(&[node(&[bytes(4, "Op"), attribute(number)])]);
    for number in [0, 4, 5] {
        check(
            file(number),
            Malformed,
            "attribute \"a\" of node \"\" (\"Op\") has no value",
        );
    }
}

#[test]
fn external_data_needs_a_folder() {
    check(
        model(&[initializer(1, &[1], &[external(&[("location", "w.data")])])]),
        ExternalData,
        "tensor \"w\": has external data, which a model given as bytes cannot have; load it from its file",
    );
}

#[test]
fn long_names_make_short_messages() {
    let tensor = [int(2, 8), bytes(8, "n".repeat(1 << 20))].concat();
    let error = Model::from_bytes(model(&[bytes(5, tensor)]).into()).unwrap_err();
    assert!(error.to_string().len() < 300);
    let tensor = [int(2, 1), bytes(8, "n".repeat(1 << 20))].concat();
    let error = Model::from_bytes(model(&[bytes(5, tensor)]).into()).unwrap_err();
    assert!(error.to_string().len() < 300);
}
