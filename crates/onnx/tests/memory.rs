//! How much memory a hostile file can make the reader take. Apart from the other tests, for it counts every allocation
//! of its process.

use inhouse_onnx::Model;
use peak_alloc::PeakAlloc;
use wire::{bytes, initializer, int, model};

#[expect(dead_code, reason = "shared with the other tests, which use the rest")]
#[path = "onnx/wire.rs"]
mod wire;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What reading takes, in bytes for each byte of the file, at its highest.
fn expansion(file: Vec<u8>) -> f64 {
    let len = file.len();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let file = file.into();
    let _ = std::hint::black_box(Model::from_bytes(file));
    ALLOCATOR.peak_usage().saturating_sub(before) as f64 / len as f64
}

/// The most of `element` that the reader does not refuse, in a file of 256 KiB of which the rest is a weight.
fn as_many_as_allowed(element: &[u8], wrap: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    const LEN: usize = 256 << 10;
    let build = |count: usize| {
        let elements = element.repeat(count);
        let weight = vec![0; LEN - elements.len()];
        let weight = initializer(2, &[weight.len() as i64], &[bytes(9, weight)]);
        [wrap(elements), model(&[weight])].concat()
    };
    let (mut least, mut most) = (0, LEN / element.len());
    while most - least > most / 100 {
        let middle = least.midpoint(most);
        match Model::from_bytes(build(middle).into()) {
            Err(error) if error.to_string().contains("times its") => most = middle,
            _ => least = middle,
        }
    }
    build(least)
}

#[test]
fn memory_stays_in_proportion() {
    let graph = |content| bytes(7, content);
    let in_node = |content| bytes(7, bytes(1, content));
    let in_attribute = |field: Vec<u8>| bytes(5, [field, int(20, 7)].concat());
    type Wrap<'a> = &'a dyn Fn(Vec<u8>) -> Vec<u8>;
    let rows: [(&str, Vec<u8>, Wrap<'_>); 10] = [
        ("empty nodes", bytes(1, ""), &graph),
        ("nodes with one input", bytes(1, bytes(1, "")), &graph),
        (
            "nodes with one attribute",
            bytes(1, in_attribute(vec![])),
            &graph,
        ),
        (
            "nodes with a graph with a node",
            bytes(1, bytes(5, [bytes(6, bytes(1, "")), int(20, 5)].concat())),
            &graph,
        ),
        ("empty inputs", bytes(1, ""), &in_node),
        ("attributes", in_attribute(vec![]), &in_node),
        (
            "initializers",
            bytes(5, [int(2, 2), int(1, 0)].concat()),
            &graph,
        ),
        (
            "inputs with one dimension",
            bytes(11, bytes(2, bytes(1, bytes(2, bytes(1, ""))))),
            &graph,
        ),
        ("integers", vec![1], &|content| {
            bytes(
                7,
                bytes(1, bytes(5, [bytes(8, content), int(20, 7)].concat())),
            )
        }),
        ("typed data", vec![1], &|content| {
            bytes(
                7,
                initializer(7, &[content.len() as i64], &[bytes(7, content)]),
            )
        }),
    ];
    for (name, element, wrap) in rows {
        let expansion = expansion(as_many_as_allowed(&element, wrap));
        assert!(
            expansion < 64.0,
            "{name}: {expansion:.1} times the file's size"
        );
    }
    // What is refused takes next to nothing.
    let refused = expansion(model(&[bytes(1, "").repeat(1 << 20)]));
    assert!(refused < 1.1, "{refused:.2}");
}
