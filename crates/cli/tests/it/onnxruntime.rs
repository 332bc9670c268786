//! ONNX Runtime behind the commands: the library that `inhouse runtime install cpu` fetched, and what is said without it.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};

use crate::runtime::runtime_home;
use crate::support::{User, keys, testdata, zoo, zoo_folders};

/// What verify and compare take as the same in f32.
const SAME: f64 = 0.001;

/// The program with ONNX Runtime in its home.
fn with_runtime(user: &User, args: &[&str]) -> Command {
    let mut command = user.command(args);
    command.env("INHOUSE_HOME", runtime_home());
    command.env("INHOUSE_PACKED", "off");
    command
}

fn shown(user: &User, mut command: Command) -> String {
    user.shown(&command.output().unwrap())
}

fn json(user: &User, mut command: Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", user.shown(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The library itself.
fn library() -> PathBuf {
    let folder = runtime_home().join("runtimes/cpu");
    let record = std::fs::read_to_string(folder.join("record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    folder.join(record["files"][0]["path"].as_str().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_zoo_folder_is_verified_on_it_in_both_modes() {
    let user = User::new();
    for folder in zoo_folders() {
        let args = [
            "verify",
            text(&folder),
            "--backend",
            "onnxruntime",
            "--json",
        ];
        let report = json(&user, with_runtime(&user, &args));
        assert_eq!(report["passed"], true, "{report:#}");
        assert_eq!(report["backend"], "onnxruntime");
        assert_eq!(report["execution_providers"], json!(["cpu"]));
        assert_eq!(report["notes"], json!([]));
        for mode in ["exact", "default"] {
            let mut checks = report["checks"].as_array().unwrap().iter();
            assert!(checks.any(|check| check["mode"] == mode), "{report:#}");
        }
    }
}

#[test]
fn a_family_that_the_native_engine_does_not_know_runs_on_it() {
    let user = User::new();
    let folder = testdata("onnxruntime/phi2-int4-gqa");
    let args = ["verify", text(&folder), "--backend", "auto", "--json"];
    let report = json(&user, with_runtime(&user, &args));
    assert_eq!(
        (&report["passed"], &report["backend"]),
        (&json!(true), &json!("onnxruntime"))
    );

    let args = [
        "chat",
        "hello",
        "--raw",
        "-m",
        text(&folder),
        "--max-tokens",
        "5",
    ];
    let mut command = with_runtime(&user, &args);
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    assert_eq!(
        errors.matches("does not recognise this graph").count(),
        1,
        "{errors}"
    );
    let answer = json(
        &user,
        with_runtime(&user, &[&args[..], &["--json"]].concat()),
    );
    assert_eq!(answer["backend"], "onnxruntime");
    assert_eq!(answer["usage"]["completion_tokens"], 5);
    assert_eq!(answer["notes"].as_array().unwrap().len(), 1);

    // Alone, the native engine says what stopped it.
    let native = shown(
        &user,
        with_runtime(&user, &[&args[..], &["--backend", "native"]].concat()),
    );
    assert!(
        native.starts_with("status: 1\n") && native.contains("SkipLayerNorm"),
        "{native}"
    );
    let compared = shown(&user, with_runtime(&user, &["compare", text(&folder)]));
    assert!(
        compared.starts_with("status: 1\n") && compared.contains("SkipLayerNorm"),
        "{compared}"
    );
}

#[test]
fn both_backends_answer_alike() {
    let user = User::new();
    let folder = zoo("llama-fp32");
    let answer = |backend: &str| {
        let args = [
            "chat",
            "A story:",
            "--raw",
            "-m",
            text(&folder),
            "--kv",
            "f32",
            "--backend",
            backend,
        ];
        let answer = json(
            &user,
            with_runtime(
                &user,
                &[
                    &args[..],
                    &["--max-tokens", "24", "--temperature", "0", "--json"],
                ]
                .concat(),
            ),
        );
        assert_eq!(answer["backend"], backend);
        answer["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(answer("native"), answer("onnxruntime"));
    let perplexity = |backend: &str| {
        let text_file = testdata("smollm2/README.md");
        let args = [
            "perplexity",
            text(&text_file),
            "-m",
            text(&folder),
            "--backend",
            backend,
            "--json",
        ];
        let report = json(&user, with_runtime(&user, &args));
        assert_eq!(report["backend"], backend);
        report["mean_nll"].as_f64().unwrap()
    };
    let (native, onnxruntime) = (perplexity("native"), perplexity("onnxruntime"));
    assert!(
        (native - onnxruntime).abs() < 0.001 * native,
        "{native} and {onnxruntime}"
    );
}

#[test]
fn compare_sets_logits_and_speed_side_by_side() {
    let user = User::new();
    let folder = zoo("llama-fp32");
    let args = [
        "compare",
        text(&folder),
        "--exact",
        "--new",
        "12",
        "--max-rms",
        "0.001",
    ];
    let report = json(
        &user,
        with_runtime(&user, &[&args[..], &["--json"]].concat()),
    );
    assert_eq!(
        (&report["reference"], &report["within"]),
        (&json!("native"), &json!(true))
    );
    let prompts = report["prompts"].as_array().unwrap();
    assert!(prompts.len() > 2);
    for line in prompts {
        assert_eq!(
            (&line["positions"], &line["agreed"]),
            (&json!(12), &json!(12))
        );
        assert!(line["worst_sd"].as_f64().unwrap() < SAME, "{line}");
        assert!(line["kl_divergence"].as_f64().unwrap() < 1e-6, "{line}");
        assert!(line["first_difference"].is_null());
    }
    assert_eq!(report["positions"], json!(12 * prompts.len()));
    for side in ["native", "onnxruntime"] {
        let side = &report[side];
        for key in ["load_s", "prefill_tok_s", "decode_tok_s"] {
            assert!(side[key].as_f64().unwrap() > 0.0, "{key}: {side}");
        }
        assert_eq!(
            side["memory_bytes"].is_u64(),
            cfg!(target_os = "linux"),
            "{side}"
        );
    }
    let table = shown(&user, with_runtime(&user, &args));
    for word in [
        "status: 0",
        "same token",
        "12 of 12",
        "native / onnxruntime",
        "decode, tokens/s",
        "passed: rms/sd",
    ] {
        assert!(table.contains(word), "{word}: {table}");
    }
}

#[test]
fn compare_has_status_1_beyond_the_bound_and_tells_where_ways_part() {
    let user = User::new();
    // int8 activations are rounded differently, and random weights make near ties.
    let folder = zoo("phi4mini-int4");
    let args = [
        "compare",
        text(&folder),
        "--prompt",
        "hello",
        "--max-rms",
        "0.00001",
    ];
    let beyond = shown(&user, with_runtime(&user, &args));
    assert!(
        beyond.starts_with("status: 1\n") && beyond.contains("failed: rms/sd is"),
        "{beyond}"
    );
    let report = json(
        &user,
        with_runtime(&user, &["compare", text(&folder), "--json"]),
    );
    assert_eq!(
        (&report["max_rms"], &report["within"]),
        (&Value::Null, &json!(true))
    );
    for line in report["prompts"].as_array().unwrap() {
        let parts = line["agreed"] != line["positions"];
        let parting = &line["first_difference"];
        assert_eq!(parting.is_object(), parts, "{line}");
        if parts {
            assert_ne!(parting["reference"]["id"], parting["other"]["id"]);
            assert!(parting["gap_sd"].as_f64().unwrap() >= 0.0, "{line}");
        }
    }
}

#[test]
fn without_a_tokenizer_prompts_are_random_tokens() {
    let user = User::new();
    let folder = user.path("bare");
    std::fs::create_dir(&folder).unwrap();
    for name in ["genai_config.json", "model.onnx", "model.onnx.data"] {
        std::fs::copy(zoo("llama-fp32").join(name), folder.join(name)).unwrap();
    }
    let report = json(
        &user,
        with_runtime(
            &user,
            &["compare", "./bare", "--exact", "--new", "3", "--json"],
        ),
    );
    let first = &report["prompts"][0];
    assert_eq!(
        (&first["text"], &first["prompt_tokens"]),
        (&Value::Null, &json!(32))
    );
    assert!(report["rms_sd"].as_f64().unwrap() < SAME, "{report:#}");
    let given = shown(
        &user,
        with_runtime(&user, &["compare", "./bare", "--prompt", "hello"]),
    );
    assert!(
        given.starts_with("status: 1\n") && given.contains("tokenizer.json"),
        "{given}"
    );
}

#[test]
fn bench_times_one_backend_or_both() {
    let user = User::new();
    let folder = zoo("phi4mini-int4");
    let args = [
        "bench",
        "-m",
        text(&folder),
        "-p",
        "8",
        "-n",
        "4",
        "-r",
        "1",
        "--backend",
    ];
    let bench = |more: &[&str]| with_runtime(&user, &[&args[..], more].concat());
    let one = json(&user, bench(&["onnxruntime", "--batch", "2", "--json"]));
    assert_eq!(
        (&one["backend"], &one["isa"]),
        (&json!("onnxruntime"), &Value::Null)
    );
    assert!(
        one["computed_by"]
            .as_str()
            .unwrap()
            .starts_with("ONNX Runtime 1.")
    );
    assert!(one["batch"]["tok_s"]["median"].as_f64().unwrap() > 0.0);
    assert!(
        one["lines"][0]["prefill_share"].is_null(),
        "it does not tell what it computes"
    );
    assert!(one["limits"].is_object(), "it computes on the processor");

    let both = json(&user, bench(&["both", "--json"]));
    let backends: Vec<_> = both
        .as_array()
        .unwrap()
        .iter()
        .map(|report| &report["backend"])
        .collect();
    assert_eq!(backends, ["native", "onnxruntime"]);
    let table = shown(&user, bench(&["both", "--no-limits"]));
    for word in [
        "native / onnxruntime",
        "decode after 8, tokens/s",
        "peak memory, MiB",
    ] {
        assert!(table.contains(word), "{word}: {table}");
    }
    let header = table
        .lines()
        .find(|line| line.contains("native / onnxruntime"))
        .unwrap();
    let columns: Vec<_> = header.split_whitespace().collect();
    assert_eq!(
        columns,
        ["native", "onnxruntime", "native", "/", "onnxruntime"]
    );
}

#[test]
fn a_device_that_is_not_here_is_refused_with_the_reason() {
    let user = User::new();
    let folder = zoo("llama-fp32");
    let chat = |more: &[&str]| {
        let args = [
            "chat",
            "hello",
            "--raw",
            "--max-tokens",
            "2",
            "-m",
            text(&folder),
        ];
        with_runtime(&user, &[&args[..], more].concat())
    };
    let why = "cuda cannot be used: this ONNX Runtime";
    let advice = "was built without CUDA; `inhouse runtime install cuda` fetches one that has it";
    for backend in ["onnxruntime", "auto"] {
        let refused = shown(&user, chat(&["--backend", backend, "--ep", "cuda"]));
        assert!(refused.starts_with("status: 1\n"), "{refused}");
        assert!(
            refused.contains(&format!("error: {why}")) && refused.contains(advice),
            "{refused}"
        );
    }

    // With something else to try it is a note, told once.
    let answered = shown(&user, chat(&["--ep", "cuda,cpu"]));
    assert!(answered.starts_with("status: 0\n"), "{answered}");
    assert_eq!(answered.matches(why).count(), 1, "{answered}");
    let answer = json(
        &user,
        chat(&[
            "--ep",
            "CUDA",
            "--ep",
            "cpu",
            "--backend",
            "onnxruntime",
            "--json",
        ]),
    );
    assert_eq!(
        (&answer["backend"], &answer["execution_providers"]),
        (&json!("onnxruntime"), &json!(["cpu"]))
    );
    assert!(
        answer["notes"][0].as_str().unwrap().contains(why),
        "{answer}"
    );
    let answer = json(&user, chat(&["--ep", "auto", "--json"]));
    assert_eq!(answer["backend"], "native");
    assert!(
        answer["notes"]
            .to_string()
            .contains("webgpu cannot be used"),
        "{answer}"
    );
}

#[test]
fn a_library_that_is_named_is_used_or_refused() {
    let user = User::new();
    let folder = zoo("llama-fp32");
    std::fs::write(user.path("libonnxruntime.so.1.31.1"), "no library").unwrap();
    std::fs::create_dir(user.path("empty")).unwrap();
    let library = library();
    let args = [
        "verify",
        text(&folder),
        "--backend",
        "onnxruntime",
        "--mode",
        "exact",
    ];
    let by_variable = |path: &Path| {
        let mut command = user.command(&args);
        command.env("ORT_DYLIB_PATH", path);
        shown(&user, command)
    };
    let by_flag = |path: &Path| {
        let mut command = user.command(&[&args[..], &["--ort-library", text(path)]].concat());
        command.env("ORT_DYLIB_PATH", "/nowhere"); // the flag goes before it
        shown(&user, command)
    };
    for said in [
        by_variable(&library),
        by_flag(&library),
        by_flag(library.parent().unwrap()),
    ] {
        assert!(
            said.starts_with("status: 0\n") && said.contains("computed by ONNX Runtime 1."),
            "{said}"
        );
    }
    let refused = |said: String, why: &str| {
        assert!(
            said.starts_with("status: 1\n") && said.contains(why),
            "{said}"
        );
    };
    refused(
        by_variable(Path::new("/nowhere")),
        "error: ORT_DYLIB_PATH names /nowhere, which does not exist",
    );
    refused(by_flag(Path::new("nothing")), "which does not exist");
    refused(
        by_variable(&user.path("libonnxruntime.so.1.31.1")),
        "which is not a library of this system",
    );
    refused(
        by_flag(Path::new("empty")),
        "which is a folder without ONNX Runtime's library",
    );
}

#[test]
fn what_could_have_no_effect_is_wrong_usage() {
    let user = User::new();
    let check = |args: &[&str], said: &str| {
        let shown = user.run(args);
        assert!(
            shown.starts_with("status: 2\n") && shown.contains(said),
            "{args:?}: {shown}"
        );
    };
    check(
        &["chat", "x", "--ep", "rocm"],
        "there is no execution provider \"rocm\"; there are cpu,",
    );
    check(
        &["chat", "x", "--ep-option", "device_id=1"],
        "write NAME.KEY=VALUE",
    );
    check(
        &["chat", "x", "--ep-option", "gpu.device_id=1"],
        "there is no execution provider \"gpu\"",
    );
    check(
        &["chat", "x", "--backend", "native", "--ep", "webgpu"],
        "--ep names webgpu",
    );
    check(
        &["bench", "--backend", "gpu"],
        "possible values: auto, native, onnxruntime, both",
    );
    check(&["verify", ".", "--ep", "cuda"], "--ep names cuda");
    check(
        &[
            "perplexity",
            "a.txt",
            "--ep",
            "cpu",
            "--ep-option",
            "cuda.device_id=1",
        ],
        "which --ep does not name",
    );
    check(
        &[
            "chat",
            "x",
            "--local-only",
            "--backend",
            "native",
            "--ep",
            "cpu",
        ],
        "--backend and --ep cannot go through the router",
    );
    check(
        &["compare", ".", "--max-rms", "-1"],
        "a number of 0 or more is wanted",
    );
}

#[test]
fn doctor_tells_what_it_can_compute_on_and_what_runs_where() {
    let user = User::new();
    let models = ["zoo/llama-fp32", "onnxruntime/phi2-int4-gqa"].map(testdata);
    let doctor = |library: &Path, args: &[&str]| {
        let mut command = user.command(args);
        command.env("ORT_DYLIB_PATH", library);
        command
    };
    for (folder, name) in models.iter().zip(["known", "unknown"]) {
        user.json(&["pull", text(folder), "--name", name, "--json"]);
    }
    let library = library();
    let report = json(&user, doctor(&library, &["doctor", "--json"]));
    let section = &report["onnxruntime"];
    assert_eq!(keys(section), ["library", "problem", "others", "providers"]);
    assert_eq!(
        section["library"]["path"],
        json!(library.canonicalize().unwrap())
    );
    assert_eq!(section["library"]["found_in"], "ORT_DYLIB_PATH");
    assert!(
        section["library"]["version"]
            .as_str()
            .unwrap()
            .starts_with("1.")
    );
    let providers = section["providers"].as_array().unwrap();
    assert_eq!(providers.len(), 9);
    for provider in providers {
        let works = provider["name"] == "cpu";
        assert_eq!(provider["works"], works, "{provider}");
        assert_eq!(
            provider["problem"].is_null() && provider["advice"].is_null(),
            works
        );
    }
    let runs = |report: &Value| {
        let models = report["models"].as_array().unwrap().clone();
        models
            .into_iter()
            .map(|model| (model["name"].clone(), model["backend"].clone()))
            .collect::<Vec<_>>()
    };
    let (known, unknown) = (json!("known"), json!("unknown"));
    let native = (known, json!("native"));
    assert_eq!(
        runs(&report),
        [native.clone(), (unknown.clone(), json!("onnxruntime"))]
    );
    let table = shown(&user, doctor(&library, &["doctor"]));
    for word in [
        "ONNX Runtime  ",
        "cpu                 yes",
        "was built without CUDA; `inhouse runtime install cuda`",
        "onnxruntime, on cpu",
    ] {
        assert!(table.contains(word), "{word}: {table}");
    }

    // Without it everything is told as well, and nothing is an error.
    let nowhere = Path::new("/nowhere");
    let report = json(&user, doctor(nowhere, &["doctor", "--json"]));
    let section = &report["onnxruntime"];
    assert_eq!(
        (&section["library"], &section["providers"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(
        section["problem"],
        "ORT_DYLIB_PATH names /nowhere, which does not exist"
    );
    assert_eq!(runs(&report), [native, (unknown, Value::Null)]);
    let problem = report["models"][1]["problem"].as_str().unwrap();
    assert!(
        problem.contains("SkipLayerNorm") && problem.contains("/nowhere"),
        "{problem}"
    );
    let table = shown(&user, doctor(nowhere, &["doctor"]));
    assert!(
        table.starts_with("status: 0\n") && table.contains("none: ORT_DYLIB_PATH names /nowhere"),
        "{table}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn doctor_tells_why_other_libraries_are_passed_over() {
    let user = User::new();
    let processor = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x64"
    };
    let stranger =
        format!("node_modules/onnxruntime-node/bin/napi-v6/linux/{processor}/libonnxruntime.so.1");
    let old = "venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.21.0";
    for file in [&stranger, old] {
        let file = user.path(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, b"\x7fELF, as it begins").unwrap();
    }
    let mut command = with_runtime(&user, &["doctor", "--json"]);
    command.env("VIRTUAL_ENV", user.path("venv"));
    let report = json(&user, command);
    assert_eq!(
        report["onnxruntime"]["library"]["found_in"],
        "inhouse's runtimes (cpu)"
    );
    let others = report["onnxruntime"]["others"].as_array().unwrap();
    let problem = |file: &str| {
        let other = others
            .iter()
            .find(|other| other["path"].as_str().unwrap().ends_with(file));
        let other = other.unwrap_or_else(|| panic!("{file} is not in {report:#}"));
        other["problem"].as_str().unwrap()
    };
    assert!(
        problem(old).contains("is ONNX Runtime 1.21.0, and 1.22 or newer is needed"),
        "{}",
        problem(old)
    );
    let why = "came with the folder that inhouse was started in";
    assert!(problem(&stranger).contains(why), "{}", problem(&stranger));
}

#[test]
fn without_a_library_it_is_said_how_to_get_one() {
    let user = User::new();
    let bare = |args: &[&str]| {
        let mut command = user.command(args);
        command.env("PATH", ""); // by which Python's packages are found
        command
    };
    let report = json(&user, bare(&["doctor", "--json"]));
    if !report["onnxruntime"]["library"].is_null() {
        return; // this machine has one for everybody
    }
    let check = |folder: &Path, backend: &str, why: &str| {
        let args = [
            "chat",
            "x",
            "--raw",
            "-m",
            text(folder),
            "--backend",
            backend,
        ];
        let said = shown(&user, bare(&args));
        assert!(
            said.starts_with("status: 1\n") && said.contains(why),
            "{said}"
        );
        assert!(
            said.contains("no usable ONNX Runtime was found in [USER]/home/runtimes"),
            "{said}"
        );
        assert!(
            said.contains("`inhouse runtime install` fetches one"),
            "{said}"
        );
    };
    check(&zoo("llama-fp32"), "onnxruntime", "error: no usable");
    check(
        &testdata("onnxruntime/phi2-int4-gqa"),
        "auto",
        "SkipLayerNorm",
    );
}
