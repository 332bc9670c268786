//! What is written reads back the same, and nothing is left of what was not finished.

use std::fs;
use std::path::Path;

use inhouse_onnx::{DataType, Graph, Model, ModelMeta, Tensor, WriteErrorKind, Writer};

use crate::zoo::models;

fn meta(model: &Model) -> ModelMeta {
    ModelMeta {
        ir_version: model.ir_version,
        opsets: model.opsets.clone(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Writes a model again: large initializers beside it, in pieces, the small ones inside.
fn rewrite(model: &Model, folder: &Path) {
    let mut writer = Writer::create(folder, "model.onnx").unwrap();
    let mut graph = model.graph.clone();
    let (large, small): (Vec<Tensor>, Vec<Tensor>) = graph
        .initializers
        .into_iter()
        .partition(|tensor| tensor.bytes().len() > 1000);
    graph.initializers = small;
    for tensor in large {
        writer
            .begin(&tensor.name, tensor.dtype, &tensor.dims)
            .unwrap();
        tensor
            .bytes()
            .chunks(1000)
            .for_each(|piece| writer.write(piece).unwrap());
        writer.end().unwrap();
    }
    writer.finish(meta(model), graph).unwrap();
}

#[test]
fn zoo_models_read_back_the_same() {
    for path in models() {
        let mut model = Model::load(&path).unwrap();
        let dir = tempfile::tempdir().unwrap();
        rewrite(&model, dir.path());
        assert_eq!(names(dir.path()), ["model.onnx", "model.onnx.data"]);
        let mut again = Model::load(&dir.path().join("model.onnx")).unwrap();

        assert_eq!(again.producer, "inhouse");
        // The writer puts small initializers first; their order means nothing.
        let by_name = |tensor: &Tensor| tensor.name.clone();
        model.graph.initializers.sort_by_key(by_name);
        again.graph.initializers.sort_by_key(by_name);
        assert!(model.graph == again.graph, "{}", path.display());
        assert_eq!(meta(&model), meta(&again));
    }
}

#[test]
fn large_tensors_begin_at_pages_and_all_at_lines() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), "m.onnx").unwrap();
    writer
        .add_external("a", DataType::U8, &[3], &[1; 3])
        .unwrap();
    writer
        .add_external("b", DataType::U4, &[3], &[2; 2])
        .unwrap();
    writer
        .add_external("c", DataType::U8, &[1 << 16], &[3; 1 << 16])
        .unwrap();
    writer
        .add_external("none", DataType::F32, &[0, 5], &[])
        .unwrap();
    writer
        .finish(
            ModelMeta {
                ir_version: 10,
                opsets: vec![],
            },
            Graph::default(),
        )
        .unwrap();
    let data = fs::read(dir.path().join("m.onnx.data")).unwrap();
    assert_eq!(
        (&data[..3], &data[64..66], data.len()),
        (&[1; 3][..], &[2; 2][..], 4096 + (1 << 16))
    );
    let model = Model::load(&dir.path().join("m.onnx")).unwrap();
    let lens: Vec<usize> = model
        .graph
        .initializers
        .iter()
        .map(|tensor| tensor.bytes().len())
        .collect();
    assert_eq!(lens, [3, 2, 1 << 16, 0]);
}

#[test]
fn without_external_tensors_there_is_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::create(dir.path(), "m.onnx").unwrap();
    let initializers =
        vec![Tensor::new("s", DataType::I64, [], 7_i64.to_le_bytes().to_vec()).unwrap()];
    let graph = Graph {
        initializers,
        ..Graph::default()
    };
    writer
        .finish(
            ModelMeta {
                ir_version: 10,
                opsets: vec![("".into(), 21)],
            },
            graph.clone(),
        )
        .unwrap();
    assert_eq!(names(dir.path()), ["m.onnx"]);
    let bytes = fs::read(dir.path().join("m.onnx")).unwrap();
    assert_eq!(Model::from_bytes(bytes.into()).unwrap().graph, graph);
}

#[test]
fn a_dropped_writer_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.onnx"), "old").unwrap();
    fs::write(dir.path().join("m.onnx.data"), "old data").unwrap();
    let mut writer = Writer::create(dir.path(), "m.onnx").unwrap();
    writer
        .add_external("a", DataType::U8, &[3], &[1; 3])
        .unwrap();
    writer.begin("b", DataType::U8, &[3]).unwrap();
    drop(writer);
    assert_eq!(names(dir.path()), ["m.onnx", "m.onnx.data"]);
    assert_eq!(fs::read(dir.path().join("m.onnx")).unwrap(), b"old");
    assert_eq!(
        fs::read(dir.path().join("m.onnx.data")).unwrap(),
        b"old data"
    );
}

#[test]
fn what_a_killed_writer_left_is_taken_over_and_a_living_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.onnx.data.tmp"), [9; 9999]).unwrap();
    let mut writer = Writer::create(dir.path(), "m.onnx").unwrap();
    let error = Writer::create(dir.path(), "m.onnx").err().unwrap();
    assert_eq!(error.kind(), WriteErrorKind::Busy);
    writer
        .add_external("a", DataType::U8, &[3], &[1; 3])
        .unwrap();
    writer
        .finish(
            ModelMeta {
                ir_version: 10,
                opsets: vec![],
            },
            Graph::default(),
        )
        .unwrap();
    assert_eq!(fs::read(dir.path().join("m.onnx.data")).unwrap(), [1; 3]);
    assert_eq!(names(dir.path()), ["m.onnx", "m.onnx.data"]);
}

#[test]
fn misuse_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), "m.onnx").unwrap();
    let check = |result: Result<(), inhouse_onnx::WriteError>, message: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), WriteErrorKind::Misuse);
        assert!(error.to_string().ends_with(message), "{error}");
    };
    check(
        writer.write(&[0]),
        "data was written before a tensor was begun",
    );
    check(writer.end(), "a tensor was ended before one was begun");
    check(
        writer.add_external("a", DataType::F32, &[2], &[0; 9]),
        "tensor \"a\" was given more than its 8 bytes",
    );
    check(
        writer.begin("b", DataType::F32, &[2]),
        "tensor \"a\" was begun and not ended",
    );
    check(writer.end(), "tensor \"a\" lacks 8 of its 8 bytes");
    check(
        writer.begin("c", DataType::F32, &[usize::MAX]),
        &format!("of f32 has the impossible shape [{}]", usize::MAX),
    );
    writer.begin("d", DataType::U8, &[1]).unwrap();
    check(
        writer.finish(
            ModelMeta {
                ir_version: 10,
                opsets: vec![],
            },
            Graph::default(),
        ),
        "tensor \"d\" was begun and not ended",
    );
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_missing_folder_is_an_error() {
    let error = Writer::create(Path::new("/nowhere"), "m.onnx")
        .err()
        .unwrap();
    assert_eq!(error.kind(), WriteErrorKind::Io);
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/m.onnx.data.tmp: cannot be created"),
        "{error}"
    );
}
