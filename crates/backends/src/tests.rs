//! Decoders on ONNX Runtime: the small models with what was recorded, and what happens when something fails.

mod strange;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inhouse_engine::verify::{self, Expected, Mode};
use inhouse_engine::{
    Backend, Cancel, EngineError, ErrorKind, GenaiConfig, LoadOptions, Session, Want,
};

use crate::device::Device;
use crate::library::{self, Library, Search};
use crate::model::{AtLoad, OrtModel};
use crate::provider;
use crate::runner::{lock, tests::Fault};
use crate::{Choice, ExecutionProvider, Options, RuntimeOptions, load};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(name)
}

pub(crate) fn search() -> Search {
    let home = inhouse_testing::onnxruntime::home();
    Search::from_env(&|_| None, home, home)
}

fn library() -> &'static Library {
    library::load(&search()).unwrap()
}

fn options(backend: Choice) -> Options {
    Options {
        backend,
        load: LoadOptions {
            threads: Some(1),
            ..LoadOptions::default()
        },
        onnxruntime: RuntimeOptions::new(search()),
    }
}

fn open(name: &str) -> Arc<dyn Backend> {
    load(&testdata(name), &options(Choice::OnnxRuntime), &mut |_| {}).unwrap()
}

/// On processors, as many as there are in `fixed`, which says whether steps go through buffers that stay.
fn on_processors(name: &str, fixed: &[bool]) -> OrtModel {
    let folder = testdata(name);
    let devices = fixed.iter().map(|&fixed| {
        let options = provider::Options::default();
        let mut device = Device::new(ExecutionProvider::Cpu, options, library());
        device.fixed = fixed;
        device
    });
    OrtModel::load(
        &folder,
        GenaiConfig::of_folder(&folder).unwrap(),
        &options(Choice::OnnxRuntime).load,
        library(),
        devices.collect(),
        AtLoad::AnyDevice,
        Vec::new(),
    )
    .unwrap()
}

/// Ids that are spread over a vocabulary of 512.
fn ids(count: u32) -> Vec<u32> {
    (0..count).map(|i| i * 31 % 509).collect()
}

fn last(session: &mut dyn Session, ids: &[u32]) -> Vec<f32> {
    session
        .extend(ids, Want::Last, &Cancel::new())
        .unwrap()
        .data
}

#[track_caller]
fn assert_close(ours: &[f32], theirs: &[f32]) {
    assert_within(1e-4, ours, theirs);
}

#[track_caller]
fn assert_within(most: f32, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len());
    let worst = ours
        .iter()
        .zip(theirs)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < most, "they differ by {worst}");
}

// === as recorded ===

fn check(name: &str, modes: &[Mode]) {
    let folder = testdata(name);
    let expected = Expected::read(&folder.join("expected.json")).unwrap();
    let mut open = |precision, kv| {
        let mut options = options(Choice::OnnxRuntime);
        options.load.precision = precision;
        options.load.kv = kv;
        load(&folder, &options, &mut |_| {})
    };
    let reports = verify::run(&expected, modes, &mut open).unwrap();
    assert!(
        reports.len() >= 12 * modes.len(),
        "{name}: only {} checks",
        reports.len()
    );
    for report in &reports {
        assert!(report.certain > 0 && report.passed, "{name}: {report:?}");
    }
}

const BOTH: &[Mode] = &[Mode::Exact, Mode::Default];

#[test]
fn every_folder_of_the_zoo_is_as_recorded() {
    for name in folders("zoo") {
        check(&name, BOTH);
    }
}

#[test]
fn other_exports_are_as_recorded() {
    for name in folders("zoo-extra") {
        // What was recorded as exact of a graph in halves is the same graph in f32.
        let modes = if name.contains("fp16") {
            &BOTH[1..]
        } else {
            BOTH
        };
        check(&name, modes);
    }
}

#[test]
fn families_that_the_native_engine_does_not_know_are_as_recorded() {
    for name in [
        "phi2-int4-gqa",
        "llama-explicit-fp32",
        "llama-kv-int8",
        "llama-kv-int4",
    ] {
        check(&format!("onnxruntime/{name}"), BOTH);
    }
    for name in ["phi2-fp16-gqa", "phi2-fp16-mha"] {
        check(&format!("onnxruntime/{name}"), &BOTH[1..]);
    }
}

fn folders(of: &str) -> Vec<String> {
    let entries = std::fs::read_dir(testdata(of)).unwrap();
    let folders = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders
        .map(|folder| format!("{of}/{}", folder.file_name().to_str().unwrap()))
        .collect();
    names.sort();
    assert!(names.len() > 5);
    names
}

// === sequences ===

/// With a shared buffer, and with one that is handed on.
const KINDS: [&str; 3] = [
    "zoo/llama-fp32",
    "onnxruntime/llama-explicit-fp32",
    "onnxruntime/llama-kv-int8",
];

#[test]
fn a_sequence_that_was_cut_goes_on_as_one_that_was_not() {
    for name in KINDS {
        let model = open(name);
        let mut session = model.session().unwrap();
        last(&mut *session, &ids(40));
        session.truncate(11);
        assert_eq!(session.ids(), &ids(40)[..11]);
        let cut = last(&mut *session, &[7, 8]);
        let mut fresh = model.session().unwrap();
        let whole = [&ids(40)[..11], &[7, 8]].concat();
        assert_close(&cut, &last(&mut *fresh, &whole));
        session.truncate(0);
        assert_close(&last(&mut *session, &whole), &cut);
    }
}

#[test]
fn buffers_grow_behind_what_is_in_them() {
    for name in KINDS {
        let model = open(name);
        let all = ids(250);
        let mut grown = model.session().unwrap();
        last(&mut *grown, &all[..60]);
        for &id in &all[60..135] {
            last(&mut *grown, &[id]); // over the first 128
        }
        let grown = last(&mut *grown, &all[135..]);
        let mut whole = model.session().unwrap();
        assert_close(&grown, &last(&mut *whole, &all));
    }
}

#[test]
fn sequences_share_a_model_and_nothing_else() {
    let model = open("zoo/llama-fp32");
    let mut first = model.session().unwrap();
    let mut second = model.session().unwrap();
    last(&mut *first, &ids(9));
    last(&mut *second, &[5, 6, 7]);
    let mut alone = model.session().unwrap();
    last(&mut *alone, &ids(9));
    assert_close(&last(&mut *first, &[1]), &last(&mut *alone, &[1]));
}

#[test]
fn threads_share_a_model_and_stop_alone() {
    for name in KINDS {
        let model = open(name);
        let all = ids(40);
        let expected = last(&mut *model.session().unwrap(), &all);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut session = model.session().unwrap();
                    for _ in 0..4 {
                        session.truncate(0);
                        let cancel = Cancel::new();
                        let canceller = cancel.clone();
                        scope.spawn(move || canceller.cancel());
                        let _ = session.extend(&all[..30], Want::Last, &cancel);
                        let there = session.len();
                        assert_close(&last(&mut *session, &all[there..]), &expected);
                    }
                });
            }
        });
    }
}

#[test]
fn a_batch_is_what_its_sequences_are_alone() {
    for name in KINDS.iter().chain(&["zoo/phi4mini-fp32", "zoo/qwen3-int8"]) {
        let model = open(name);
        let prompts = [ids(5), ids(17)[3..].to_vec(), vec![9]];
        let mut batch = model.batch().unwrap();
        let borrowed: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let mut together = batch.prefill(&borrowed, &Cancel::new()).unwrap();
        let mut alone: Vec<_> = prompts.iter().map(|_| model.session().unwrap()).collect();
        let mut next = prompts.clone();
        for turn in 0..4 {
            for (row, (session, ids)) in alone.iter_mut().zip(&next).enumerate() {
                let expected = last(&mut **session, ids);
                assert_close(together.row(row), &expected);
            }
            next = [1, 2, 3].map(|row| vec![turn * 7 + row]);
            together = batch.step(&next.concat(), &Cancel::new()).unwrap();
        }
    }
}

#[test]
fn a_batch_refuses_what_is_none() {
    let model = open("zoo/llama-fp32");
    let mut batch = model.batch().unwrap();
    let cancel = Cancel::new();
    let kind = |error: EngineError| error.kind();
    assert_eq!(
        kind(batch.step(&[1], &cancel).unwrap_err()),
        ErrorKind::Options
    );
    assert_eq!(
        kind(batch.prefill(&[], &cancel).unwrap_err()),
        ErrorKind::Options
    );
    assert_eq!(
        kind(batch.prefill(&[&[1], &[]], &cancel).unwrap_err()),
        ErrorKind::Options
    );
    assert_eq!(
        kind(batch.prefill(&[&[1], &[9999]], &cancel).unwrap_err()),
        ErrorKind::Options
    );
    batch.prefill(&[&[1], &[2]], &cancel).unwrap();
    assert_eq!(
        kind(batch.step(&[1], &cancel).unwrap_err()),
        ErrorKind::Options
    );
    assert_eq!(batch.step(&[1, 2], &cancel).unwrap().rows, 2);
}

#[test]
fn ids_and_lengths_out_of_range_are_errors() {
    let model = open("zoo/llama-fp32");
    let mut session = model.session().unwrap();
    let error = session
        .extend(&[512], Want::Last, &Cancel::new())
        .unwrap_err();
    assert!(error.to_string().contains("512"), "{error}");
    let long = vec![1; session.context_length() + 1];
    let error = session
        .extend(&long, Want::Last, &Cancel::new())
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ContextOverflow { .. }),
        "{error}"
    );
    assert!(session.is_empty());
}

#[test]
fn buffers_that_stay_give_what_others_give() {
    for name in [
        "zoo/llama-int4-asym-b128",
        "zoo/qwen3-int8",
        "onnxruntime/phi2-fp16-gqa",
    ] {
        let (moving, staying) = (on_processors(name, &[false]), on_processors(name, &[true]));
        assert!(staying.shared().current().captures, "{name}");
        let mut moving = moving.session().unwrap();
        let mut staying = staying.session().unwrap();
        let all = ids(160);
        assert_close(
            &last(&mut *staying, &all[..50]),
            &last(&mut *moving, &all[..50]),
        );
        for &id in &all[50..140] {
            assert_close(&last(&mut *staying, &[id]), &last(&mut *moving, &[id]));
        }
        // A prompt between them, and steps again.
        assert_close(
            &last(&mut *staying, &all[140..]),
            &last(&mut *moving, &all[140..]),
        );
        assert_close(&last(&mut *staying, &[3]), &last(&mut *moving, &[3]));
    }
}

#[test]
fn what_cannot_be_recorded_is_run_as_it_is() {
    for name in ["zoo/phi4mini-int4", "onnxruntime/llama-explicit-fp32"] {
        let model = on_processors(name, &[true]);
        assert!(!model.shared().current().captures);
        let notes = model.notes().join("\n");
        assert!(notes.contains("cpu: steps are not recorded"), "{notes}");
        assert_eq!(last(&mut *model.session().unwrap(), &[1]).len(), 512);
    }
}

// === stopping and failing ===

#[test]
fn a_flag_ends_a_run_from_outside() {
    let model = open("zoo/llama-fp32");
    let mut session = model.session().unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = session.extend(&ids(3), Want::Last, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(session.is_empty());
    // Set while it runs: a beginning of what was asked for is there, and going on is right.
    let all = ids(1000);
    let cancel = Cancel::new();
    let setter = cancel.clone();
    let stopped = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(5));
            setter.cancel();
        });
        session.extend(&all, Want::Last, &cancel)
    });
    if let Err(error) = stopped {
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
    let there = session.len();
    assert_eq!(session.ids(), &all[..there]);
    let end = if there < all.len() {
        there
    } else {
        session.truncate(999);
        999
    };
    let went_on = last(&mut *session, &all[end..]);
    assert_close(&went_on, &last(&mut *model.session().unwrap(), &all));
}

fn fail_after(model: &OrtModel, runs: usize, message: &'static str) {
    *lock(&model.shared().current().runner.fault) = Some(Fault {
        runs_left: runs,
        message,
    });
}

#[test]
fn where_a_device_is_lost_the_next_goes_on() {
    for name in KINDS {
        let model = on_processors(name, &[false, false]);
        let mut session = model.session().unwrap();
        last(&mut *session, &ids(12));
        fail_after(&model, 2, "CUDA failure 719: unspecified launch failure");
        let mut sound = open(name).session().unwrap();
        last(&mut *sound, &ids(12));
        assert!(model.notes().is_empty());
        for id in [4, 5, 6, 7] {
            assert_close(&last(&mut *session, &[id]), &last(&mut *sound, &[id]));
        }
        let notes = model.notes().join("\n");
        assert!(notes.contains("cpu lost: CUDA failure 719"), "{notes}");
        assert!(notes.contains("went on with cpu"), "{notes}");
        // A sequence that was there before comes after; there is no third device.
        fail_after(&model, 0, "device lost");
        let error = session
            .extend(&[1], Want::Last, &Cancel::new())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Device, "{error}");
        assert!(
            error.to_string().contains("cpu failed: device lost"),
            "{error}"
        );
    }
}

#[test]
fn other_sequences_follow_the_first_that_lost_its_device() {
    let model = on_processors("zoo/llama-fp32", &[false, false]);
    let mut first = model.session().unwrap();
    let mut second = model.session().unwrap();
    last(&mut *first, &ids(6));
    last(&mut *second, &ids(6));
    fail_after(&model, 0, "DXGI_ERROR_DEVICE_REMOVED");
    let one = last(&mut *first, &[3]);
    let other = last(&mut *second, &[3]);
    assert_close(&one, &other);
    let lost = model
        .notes()
        .iter()
        .filter(|note| note.contains("lost"))
        .count();
    assert_eq!(lost, 1, "{:?}", model.notes());
}

#[test]
fn a_batch_that_loses_its_device_goes_on_apart() {
    let model = on_processors("zoo/llama-fp32", &[false, false]);
    let mut batch = model.batch().unwrap();
    let cancel = Cancel::new();
    batch.prefill(&[&ids(4), &ids(9)], &cancel).unwrap();
    fail_after(&model, 0, "device lost");
    let row = batch.step(&[1, 2], &cancel).unwrap().row(1).to_vec();
    let mut alone = model.session().unwrap();
    last(&mut *alone, &ids(9));
    assert_close(&row, &last(&mut *alone, &[2]));
}

#[test]
fn a_sequence_of_a_batch_that_was_lost_is_computed_again() {
    let model = on_processors("onnxruntime/llama-explicit-fp32", &[false]);
    let mut batch = model.batch().unwrap();
    let cancel = Cancel::new();
    batch.prefill(&[&ids(4), &ids(9)], &cancel).unwrap();
    fail_after(&model, 1, "device lost");
    batch.step(&[1, 2], &cancel).unwrap_err();
    *lock(&model.shared().current().runner.fault) = None;
    let step = batch.step(&[1, 2], &cancel).unwrap();
    for (row, (prompt, id)) in [(ids(4), 1), (ids(9), 2)].into_iter().enumerate() {
        let mut alone = model.session().unwrap();
        last(&mut *alone, &prompt);
        assert_close(step.row(row), &last(&mut *alone, &[id]));
    }
}

#[test]
fn memory_of_the_host_is_asked_for_where_it_is_needed() {
    let folder = testdata("zoo/llama-fp32");
    let check = |providers: &[ExecutionProvider], expected: ErrorKind| {
        let options = provider::Options::default();
        let device = |&provider| Device::new(provider, options.clone(), library());
        let load = LoadOptions {
            available_memory: Some(1000),
            ..LoadOptions::default()
        };
        let config = GenaiConfig::of_folder(&folder).unwrap();
        let devices = providers.iter().map(device).collect();
        let any = AtLoad::AnyDevice;
        let model = OrtModel::load(&folder, config, &load, library(), devices, any, Vec::new());
        let error = model.err().unwrap();
        assert_eq!(error.kind(), expected, "{error}");
    };
    check(&[ExecutionProvider::Cpu], ErrorKind::Memory);
    // This library has none: what is said is that, and not that the host's memory is short.
    check(&[ExecutionProvider::Cuda], ErrorKind::Device);
    let then_processor = [ExecutionProvider::Cuda, ExecutionProvider::Cpu];
    check(&then_processor, ErrorKind::Memory);
}

#[test]
fn memory_that_is_not_there_is_named_as_such() {
    let model = on_processors("zoo/llama-fp32", &[false]);
    let mut session = model.session().unwrap();
    fail_after(
        &model,
        0,
        "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 64",
    );
    let error = session
        .extend(&[1], Want::Last, &Cancel::new())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Memory);
    assert!(
        error.to_string().contains("cpu has not enough memory"),
        "{error}"
    );
    let mut options = options(Choice::OnnxRuntime);
    options.load.available_memory = Some(1000);
    let error = load(&testdata("zoo/llama-fp32"), &options, &mut |_| {})
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Memory, "{error}");
}

#[test]
fn a_processor_without_room_is_passed_over() {
    let folder = testdata("zoo/llama-fp32");
    let device = |provider| Device::new(provider, provider::Options::default(), library());
    let mut options = options(Choice::OnnxRuntime).load;
    options.available_memory = Some(1000);
    let load_on = |devices: Vec<Device>| {
        let config = GenaiConfig::of_folder(&folder).unwrap();
        let loaded = OrtModel::load(
            &folder,
            config,
            &options,
            library(),
            devices,
            AtLoad::AnyDevice,
            Vec::new(),
        );
        loaded.err().unwrap().kind()
    };
    let (cpu, cuda) = (
        device(ExecutionProvider::Cpu),
        device(ExecutionProvider::Cuda),
    );
    assert_eq!(load_on(vec![cpu.clone()]), ErrorKind::Memory);
    // This library has no CUDA, which is found out when it is tried.
    assert_eq!(load_on(vec![cpu, cuda]), ErrorKind::Device);
}

// === choosing ===

#[test]
fn the_native_engine_runs_what_it_knows_and_onnx_runtime_the_rest() {
    let backend = |name: &str| {
        let model = load(&testdata(name), &options(Choice::Auto), &mut |_| {}).unwrap();
        (model.info().backend, model.notes())
    };
    assert_eq!(backend("zoo/llama-fp32"), ("native", Vec::new()));
    let (name, notes) = backend("onnxruntime/phi2-int4-gqa");
    assert_eq!(name, "onnxruntime");
    assert!(notes[0].contains("the native engine"), "{notes:?}");
}

#[test]
fn what_stands_behind_the_processor_is_not_preferred_to_it() {
    let mut options = options(Choice::Auto);
    options.onnxruntime.providers = vec![ExecutionProvider::Cpu, ExecutionProvider::Cuda];
    let model = load(&testdata("zoo/llama-fp32"), &options, &mut |_| {}).unwrap();
    assert_eq!(model.info().backend, "native");
    assert_eq!(model.notes(), Vec::<String>::new());
}

#[test]
fn what_is_not_there_is_said_once() {
    let mut options = options(Choice::Auto);
    options.onnxruntime.providers = vec![ExecutionProvider::Cuda, ExecutionProvider::Cpu];
    let folder = testdata("onnxruntime/phi2-int4-gqa");
    let notes = load(&folder, &options, &mut |_| {}).unwrap().notes();
    let about = |note: &&String| note.contains("cuda cannot be used");
    assert_eq!(notes.iter().filter(about).count(), 1, "{notes:?}");
}

#[test]
fn what_was_asked_for_and_is_not_there_is_said() {
    let mut options = options(Choice::Auto);
    options.onnxruntime.gpu = true;
    let model = load(&testdata("zoo/llama-fp32"), &options, &mut |_| {}).unwrap();
    assert_eq!(model.info().backend, "native");
    assert_eq!(model.info().execution_providers, ["cpu"]);
    assert!(
        model.notes().join("\n").contains("cuda cannot be used"),
        "{:?}",
        model.notes()
    );

    options.onnxruntime.gpu = false;
    options.onnxruntime.providers = vec![ExecutionProvider::Cuda, ExecutionProvider::Cpu];
    options.backend = Choice::OnnxRuntime;
    let model = load(&testdata("zoo/llama-fp32"), &options, &mut |_| {}).unwrap();
    let info = model.info();
    assert_eq!(
        (info.backend, info.execution_providers),
        ("onnxruntime", vec!["cpu".to_owned()])
    );
    assert!(
        info.computed_by.starts_with("ONNX Runtime 1."),
        "{}",
        info.computed_by
    );
    assert!(
        model.notes()[0].contains("cuda cannot be used"),
        "{:?}",
        model.notes()
    );

    options.onnxruntime.providers = vec![ExecutionProvider::Cuda];
    for backend in [Choice::OnnxRuntime, Choice::Auto] {
        options.backend = backend;
        let error = load(&testdata("zoo/llama-fp32"), &options, &mut |_| {})
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Device);
        assert!(error.to_string().contains("cuda cannot be used"), "{error}");
    }
}

#[test]
fn a_folder_may_not_have_programs_loaded_nor_files_written() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = testdata("zoo/llama-fp32");
    for entry in std::fs::read_dir(&zoo).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let config = std::fs::read_to_string(zoo.join("genai_config.json")).unwrap();
    let with = |options: &str| {
        let mut json: serde_json::Value = serde_json::from_str(&config).unwrap();
        json["model"]["decoder"]["session_options"] = serde_json::from_str(options).unwrap();
        std::fs::write(folder.path().join("genai_config.json"), json.to_string()).unwrap();
        load(folder.path(), &options_of_ort(), &mut |_| {})
    };
    let error = with(r#"{"custom_ops_library": "evil.so"}"#).err().unwrap();
    assert!(error.to_string().contains("evil.so"), "{error}");
    let written = folder.path().join("optimized.onnx");
    let model = with(&format!(
        r#"{{"ep.context_file_path": {:?}, "session.set_denormal_as_zero": "1"}}"#,
        written.display().to_string()
    ));
    let notes = model.unwrap().notes();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("ep.context_file_path")),
        "{notes:?}"
    );
    assert!(
        !notes.iter().any(|note| note.contains("denormal")),
        "{notes:?}"
    );
    assert!(!written.exists());
}

fn options_of_ort() -> Options {
    options(Choice::OnnxRuntime)
}

#[test]
fn options_of_providers_are_those_of_the_user() {
    let mut options = options(Choice::OnnxRuntime);
    let none = BTreeMap::from([("use_arena".to_owned(), "0".to_owned())]);
    options
        .onnxruntime
        .options
        .insert(ExecutionProvider::Cpu, none);
    let model = load(&testdata("zoo/llama-fp32"), &options, &mut |_| {}).unwrap();
    assert_eq!(last(&mut *model.session().unwrap(), &[1]).len(), 512);
}
