//! Every folder of the model zoo in both modes, however the prompt is cut.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use inhouse_engine::verify::{self, CaseReport, Expected, Mode};
use inhouse_engine::{
    Backend, Cancel, EngineError, ErrorKind, KvType, LoadOptions, Model, Precision, Session, Want,
};
use inhouse_kernels::Isa;

fn folder(name: &str) -> PathBuf {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let zoo = testdata.join("zoo").join(name);
    if zoo.exists() {
        return zoo;
    }
    testdata.join("zoo-extra").join(name)
}

fn expected(name: &str) -> Expected {
    Expected::read(&folder(name).join("expected.json")).unwrap()
}

fn verify(name: &str, expected: &Expected, modes: &[Mode], isa: Option<Isa>) -> Vec<CaseReport> {
    let load = &mut |precision, kv| -> Result<Arc<dyn Backend>, EngineError> {
        let options = LoadOptions {
            precision,
            kv,
            isa,
            ..LoadOptions::default()
        };
        Ok(Arc::new(Model::load(&folder(name), &options)?))
    };
    verify::run(expected, modes, load).unwrap()
}

fn check(name: &str) {
    let modes = [Mode::Exact, Mode::Default];
    let reports = verify(name, &expected(name), &modes, None);
    assert!(reports.len() >= 24, "{name}: only {} checks", reports.len());
    for report in &reports {
        assert!(report.certain > 0 && report.passed, "{name}: {report:?}");
    }
}

#[test]
fn phi4mini_int4() {
    check("phi4mini-int4");
}

#[test]
fn phi4mini_fp32() {
    check("phi4mini-fp32");
}

#[test]
fn phi4mini_int4_asym_b16_acc1() {
    check("phi4mini-int4-asym-b16-acc1");
}

#[test]
fn llama_fp32() {
    check("llama-fp32");
}

#[test]
fn llama_int4_asym_b128() {
    check("llama-int4-asym-b128");
}

#[test]
fn mistral_int4_b64() {
    check("mistral-int4-b64");
}

#[test]
fn qwen2_mixed() {
    check("qwen2-mixed");
}

#[test]
fn qwen3_int8() {
    check("qwen3-int8");
}

#[test]
fn phi3_4k_int4() {
    check("phi3-4k-int4");
}

#[test]
fn phi35_fp32_cross() {
    check("phi35-fp32-cross");
}

#[test]
fn phi4mini_cross() {
    check("phi4mini-cross");
}

#[test]
fn old0_7_1_phi4mini_int4() {
    check("old0.7.1-phi4mini-int4");
}

#[test]
fn llama2_int4() {
    check("llama2-int4");
}

#[test]
fn llama_fp16_cpu() {
    check("llama-fp16-cpu");
}

#[test]
fn llama_int4_float_zp() {
    check("llama-int4-float-zp");
}

#[test]
fn llama_int4_gidx() {
    check("llama-int4-gidx");
}

#[test]
fn llama_gate_up_fused() {
    check("llama-gate-up-fused");
}

#[test]
fn llama_prune_head() {
    check("llama-prune-head");
}

#[test]
fn mistral_int4_window() {
    check("mistral-int4-window");
}

#[test]
fn qwen25_int4_tied() {
    check("qwen25-int4-tied");
}

#[test]
fn gemma2_int4() {
    check("gemma2-int4");
}

#[test]
fn granite_int4() {
    check("granite-int4");
}

/// Either mode alone sees a recording that is not this model's.
#[test]
fn another_recording_fails_in_both_modes() {
    let expected = expected("llama-int4-asym-b128");
    for mode in [Mode::Exact, Mode::Default] {
        for report in verify("mistral-int4-b64", &expected, &[mode], None) {
            assert!(!report.passed, "{report:?}");
        }
    }
}

/// What one instruction set computes, every other computes: INT4 with zero points and without, 8 bits, floats.
#[test]
fn every_instruction_set_of_this_machine() {
    for isa in Isa::available() {
        for name in ["phi4mini-int4", "qwen2-mixed", "llama-fp32"] {
            let modes = [Mode::Exact, Mode::Default];
            for report in verify(name, &expected(name), &modes, Some(isa)) {
                assert!(report.passed, "{name} with {}: {report:?}", isa.name());
            }
        }
    }
}

const EXACT: LoadOptions = LoadOptions {
    precision: Precision::Exact,
    kv: KvType::F32,
    threads: None,
    isa: None,
    available_memory: None,
    packed: None,
};

fn load(name: &str) -> Model {
    Model::load(&folder(name), &EXACT).unwrap()
}

fn ids(count: usize) -> Vec<u32> {
    (0..count).map(|i| (i * 37 % 500) as u32 + 3).collect()
}

fn assert_close(a: &[f32], b: &[f32], what: &str) {
    let worst = a
        .iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(a.len() == b.len() && worst < 1e-3, "{what}: {worst}");
}

#[test]
fn a_batch_gives_what_each_sequence_gives_alone() {
    let model = load("qwen2-mixed");
    let prompts = [ids(3), ids(40), ids(71)];
    let cancel = Cancel::new();
    let alone: Vec<Vec<f32>> = prompts
        .iter()
        .map(|prompt| {
            model
                .sequence()
                .extend(prompt, Want::Last, &cancel)
                .unwrap()
                .data
        })
        .collect();
    let mut sequences: Vec<_> = prompts.iter().map(|_| model.sequence()).collect();
    let mut batch: Vec<_> = sequences
        .iter_mut()
        .zip(&prompts)
        .map(|(s, p)| (s, p.as_slice()))
        .collect();
    let together = model.extend_together(&mut batch, &cancel).unwrap();
    let mut empty = model.sequence();
    let refused = model.extend_together(&mut [(&mut empty, &[])], &cancel);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Options);
    for (row, alone) in alone.iter().enumerate() {
        assert_close(together.row(row), alone, "prefill");
    }
    let mut batch: Vec<_> = sequences.iter_mut().map(|s| (s, [7].as_slice())).collect();
    let together = model.extend_together(&mut batch, &cancel).unwrap();
    for (row, prompt) in prompts.iter().enumerate() {
        let all = [prompt.as_slice(), &[7]].concat();
        assert_close(
            together.row(row),
            &model
                .sequence()
                .extend(&all, Want::Last, &cancel)
                .unwrap()
                .data,
            "decode",
        );
    }
}

#[test]
fn a_batch_in_step_gives_what_each_sequence_gives_alone() {
    let model: &dyn Backend = &load("qwen2-mixed");
    let cancel = Cancel::new();
    let alone = |ids: &[u32]| {
        let mut session = model.session().unwrap();
        session.extend(ids, Want::Last, &cancel).unwrap().data
    };
    let prompts = [ids(3), ids(300), ids(71)];
    let mut batch = model.batch().unwrap();
    // The second turn begins anew, with fewer sequences.
    for prompts in [&prompts[..], &prompts[1..]] {
        let given: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let logits = batch.prefill(&given, &cancel).unwrap();
        assert_eq!(logits.rows, prompts.len());
        for (row, prompt) in prompts.iter().enumerate() {
            assert_close(logits.row(row), &alone(prompt), "prefill");
        }
        let next = &[7, 11, 13][..prompts.len()];
        let logits = batch.step(next, &cancel).unwrap();
        assert_eq!(logits.rows, prompts.len());
        for ((row, prompt), id) in prompts.iter().enumerate().zip(next) {
            let all = [prompt.as_slice(), &[*id]].concat();
            assert_close(logits.row(row), &alone(&all), "step");
        }
    }
}

#[test]
fn a_batch_refuses_what_does_not_fit_its_sequences() {
    let model: &dyn Backend = &load("llama-fp32");
    let cancel = Cancel::new();
    let mut batch = model.batch().unwrap();
    let options = |result: Result<_, EngineError>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Options);
    };
    options(batch.step(&[], &cancel));
    options(batch.prefill(&[], &cancel));
    options(batch.prefill(&[&[1], &[]], &cancel));
    batch.prefill(&[&[1], &[2]], &cancel).unwrap();
    options(batch.step(&[3], &cancel));
    options(batch.step(&[3, 999], &cancel));
    batch.step(&[3, 4], &cancel).unwrap();
    options(batch.prefill(&[&[999]], &cancel));
    options(batch.step(&[3, 4], &cancel)); // a prefill that failed leaves none
}

#[test]
fn a_fork_and_a_rewind_continue_as_a_fresh_sequence_would() {
    let model = load("mistral-int4-b64");
    let cancel = Cancel::new();
    let mut first = model.sequence();
    first.extend(&ids(45), Want::Last, &cancel).unwrap();
    let mut fork = first.fork();
    first.extend(&[9, 9, 9], Want::Last, &cancel).unwrap();
    let forked = fork.extend(&[11], Want::Last, &cancel).unwrap();
    first.truncate(45);
    let rewound = first.extend(&[11], Want::Last, &cancel).unwrap();
    let fresh = model
        .sequence()
        .extend(&[ids(45), vec![11]].concat(), Want::Last, &cancel)
        .unwrap();
    assert_close(&forked.data, &fresh.data, "fork");
    assert_close(&rewound.data, &fresh.data, "rewind");
}

/// Crossing LongRoPE's original length (64 in this model) computes the earlier keys anew; coming back does too.
#[test]
fn crossing_the_original_length_gives_what_the_whole_prompt_gives() {
    let model = load("phi4mini-fp32");
    let cancel = Cancel::new();
    let whole = model
        .sequence()
        .extend(&ids(66), Want::Last, &cancel)
        .unwrap();
    let mut sequence = model.sequence();
    sequence.extend(&ids(63), Want::Last, &cancel).unwrap();
    let mut last = Vec::new();
    for id in &ids(66)[63..] {
        last = sequence.extend(&[*id], Want::Last, &cancel).unwrap().data;
    }
    assert_close(&last, &whole.data, "crossing");
    sequence.truncate(30);
    let back = sequence.extend(&[5], Want::Last, &cancel).unwrap();
    let fresh = model
        .sequence()
        .extend(&[ids(30), vec![5]].concat(), Want::Last, &cancel)
        .unwrap();
    assert_close(&back.data, &fresh.data, "coming back");
}

#[test]
fn what_cannot_run_is_refused_and_changes_nothing() {
    let model = load("llama-fp32");
    let mut sequence = model.sequence();
    sequence
        .extend(&ids(5), Want::Last, &Cancel::new())
        .unwrap();
    let error = sequence
        .extend(&[1, 512], Want::Last, &Cancel::new())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Options);
    assert!(error.to_string().contains("512"), "{error}");
    let error = sequence
        .extend(&vec![1; 1020], Want::Last, &Cancel::new())
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::ContextOverflow {
            needed: 1025,
            limit: 1024
        }
    );
    let cancel = Cancel::new();
    cancel.cancel();
    let error = sequence.extend(&ids(9), Want::Last, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!((sequence.len(), sequence.ids().len()), (5, 5));
}

#[test]
fn facts_are_read_from_the_graph() {
    let model = load("qwen2-mixed");
    let info = model.info();
    assert_eq!(
        (
            info.layers,
            info.hidden,
            info.heads,
            info.kv_heads,
            info.head_dim
        ),
        (3, 192, 6, 2, 32)
    );
    assert_eq!(
        info.weights.iter().map(|(_, count)| count).sum::<usize>(),
        3 * 5 + 1
    );
    assert!(
        info.weights.iter().any(|(form, _)| form == "int8 block 32"),
        "{:?}",
        info.weights
    );
    assert_eq!(info.kv_bytes_per_token, 3 * 2 * 2 * 32 * 4);
    assert_eq!(info.backend, "native");
    assert_eq!(info.isa, Some(info.computed_by.as_str()));
    assert_eq!(info.execution_providers, ["cpu"]);
    let model: &dyn Backend = &model;
    assert_eq!(model.info(), info);
    assert!(model.prefill_cost(3).is_some() && model.decode_cost(3, 1).is_some());
    assert_eq!(model.tokenizer_folder(), model.folder());
}
