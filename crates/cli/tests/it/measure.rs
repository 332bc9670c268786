//! Commands that measure: bench, perplexity, verify, doctor.

use std::fs;

use crate::support::{User, keys, testdata, zoo, zoo_folders};

/// A figure of `inhouse bench --json`: median, least and most, in their order.
#[track_caller]
fn figure(value: &serde_json::Value) -> [f64; 3] {
    assert_eq!(keys(value), ["median", "min", "max"]);
    let [median, min, max] = ["median", "min", "max"].map(|name| value[name].as_f64().unwrap());
    assert!(min <= median && median <= max, "{value}");
    [median, min, max]
}

#[test]
fn bench_prints_every_figure_with_its_share_of_the_limit() {
    let folder = zoo("phi4mini-int4");
    let folder = folder.to_str().unwrap();
    let report = User::new().json(&[
        "bench", "-m", folder, "-p", "8,3", "-n", "4", "-r", "2", "--batch", "3", "--json",
    ]);
    assert_eq!(report["engine"], "inhouse");
    assert_eq!(report["backend"], "native");
    assert_eq!(report["computed_by"], report["isa"]);
    assert!(report["threads"].as_u64().unwrap() >= 1);
    assert!(!report["processor"].as_str().unwrap().is_empty());
    let lines = report["lines"].as_array().unwrap();
    let lengths: Vec<_> = lines
        .iter()
        .map(|line| line["prompt_tokens"].as_u64())
        .collect();
    assert_eq!(lengths, [Some(8), Some(3)]);
    for line in lines {
        for key in [
            "prefill_tok_s",
            "ttft_s",
            "decode_tok_s",
            "prefill_share",
            "decode_share",
        ] {
            let [_, min, _] = figure(&line[key]);
            // The share of so small a model may be rounded to nothing.
            assert!(min > 0.0 || key.ends_with("share"), "{key}: {line}");
        }
    }
    let batch = &report["batch"];
    assert_eq!(
        (&batch["sequences"], &batch["prompt_tokens"]),
        (&3.into(), &8.into())
    );
    assert!(figure(&batch["tok_s"])[1] > 0.0 && batch["ratio_to_one"].as_f64().unwrap() > 0.0);
    for key in ["read_gb_s", "int8_gmac_s", "f32_gmac_s"] {
        assert!(figure(&report["limits"][key])[1] > 0.0, "{key}");
    }
    let load = figure(&report["load_s"])[0];
    assert!(figure(&report["load_to_first_token_s"])[0] >= load);
    assert!(report["sampling"]["ms"].as_f64().unwrap() > 0.0);
    assert!(report["idle_share_of_core"].is_null(), "not asked for");
    if cfg!(unix) {
        assert!(figure(&report["peak_rss_mb"])[0] > 1.0);
    }
}

#[test]
fn bench_prints_a_table_for_people() {
    let folder = zoo("phi4mini-int4");
    let folder = folder.to_str().unwrap();
    let shown = User::new().run(&[
        "bench", "-m", folder, "-p", "4", "-n", "2", "-r", "1", "--idle",
    ]);
    let bare = User::new().run(&["bench", "-m", folder, "-p", "4", "-n", "2", "--no-limits"]);
    assert!(
        bare.contains("prefill 4") && !bare.contains("limits:"),
        "{bare}"
    );
    for word in [
        "status: 0",
        "median",
        "of the limit",
        "prefill 4, tokens/s",
        "decode after 4, tokens/s",
        "load to first token, s",
        "peak memory, MiB",
        "limits: memory is read at",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert_eq!(shown.contains("idle, % of a core"), cfg!(unix), "{shown}");
}

#[test]
fn the_scripts_that_time_other_engines_parse() {
    let bench = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench");
    for script in [
        "peers",
        "run_genai.py",
        "run_llama.py",
        "make_phi4mini.py",
        "make_phi4mini_gguf.py",
    ] {
        let check = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')";
        let output = std::process::Command::new("python3")
            .args(["-c", check])
            .arg(bench.join(script))
            .output();
        let Ok(output) = output else {
            return; // no python3 here
        };
        assert!(
            output.status.success(),
            "{script}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn every_zoo_folder_is_verified_in_both_modes() {
    let user = User::new();
    for folder in zoo_folders() {
        let report = user.json(&["verify", folder.to_str().unwrap(), "--json"]);
        assert_eq!(report["passed"], true, "{report:#}");
        let checks = report["checks"].as_array().unwrap();
        for mode in ["exact", "default"] {
            for prompt in ["whole", "pieces of 7", "token by token"] {
                let found = checks
                    .iter()
                    .any(|check| check["mode"] == mode && check["prompt"] == prompt);
                assert!(found, "{mode}, {prompt}: {report:#}");
            }
        }
    }
}

#[test]
fn verify_has_status_1_beyond_the_bounds() {
    let user = User::new();
    let folder = zoo("qwen3-int8");
    let recorded = fs::read_to_string(folder.join("expected.json")).unwrap();
    let mut recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    let logit = &mut recorded["cases"][0]["exact"]["prefill_last_logits"][3];
    *logit = serde_json::json!(logit.as_f64().unwrap() + 1.0);
    fs::write(user.path("expected.json"), recorded.to_string()).unwrap();
    let args = [
        "verify",
        folder.to_str().unwrap(),
        "--expected",
        "expected.json",
        "--mode",
        "exact",
    ];
    let shown = user.run(&args);
    assert!(shown.starts_with("status: 1\n"), "{shown}");
    assert!(
        shown.contains("FAILED") && shown.contains("beyond bounds"),
        "{shown}"
    );
}

#[test]
fn perplexity_is_measured_of_ids_and_of_text() {
    let user = User::new();
    let model = zoo("phi4mini-fp32");
    let model = model.to_str().unwrap();
    let ids: Vec<u32> = (0..40).map(|i| i * 7 % 400).collect();
    fs::write(
        user.path("ids.json"),
        serde_json::json!({"perplexity": {"input_ids": ids}}).to_string(),
    )
    .unwrap();
    let of_ids = user.json(&["perplexity", "-m", model, "--ids", "ids.json", "--json"]);
    assert_eq!(
        keys(&of_ids),
        [
            "model",
            "backend",
            "computed_by",
            "execution_providers",
            "notes",
            "tokens",
            "windows",
            "mean_nll",
            "perplexity"
        ]
    );
    assert_eq!(
        (&of_ids["tokens"], &of_ids["windows"]),
        (&39.into(), &1.into())
    );
    let (nll, perplexity) = (
        of_ids["mean_nll"].as_f64().unwrap(),
        of_ids["perplexity"].as_f64().unwrap(),
    );
    assert!(
        nll > 1.0 && (perplexity - nll.exp()).abs() < 1e-6 * perplexity,
        "{of_ids}"
    );

    let text: String = fs::read_to_string(testdata("smollm2/eval.txt"))
        .unwrap()
        .chars()
        .take(300)
        .collect();
    fs::write(user.path("a.txt"), text).unwrap();
    let shown = user.run(&["perplexity", "-m", model, "a.txt"]);
    assert!(
        shown.starts_with("status: 0\n") && shown.contains("mean negative log-likelihood"),
        "{shown}"
    );
}

#[test]
fn doctor_tells_what_the_machine_is() {
    let user = User::new();
    let report = user.json(&["doctor", "--json"]);
    assert!(report["read_bandwidth"]["gb_per_s"].as_f64().unwrap() > 0.0);
    for key in ["int8_g_per_s", "f32_g_per_s"] {
        assert!(report["multiply_adds"][key].as_f64().unwrap() > 0.0);
    }
    assert!(report["memory"]["total_bytes"].as_u64().unwrap() > 0);
    assert!(report["processor"]["threads_usable"].as_u64().unwrap() >= 1);
    let used = &report["instruction_set"]["used"];
    assert!(
        report["instruction_set"]["available"]
            .as_array()
            .unwrap()
            .contains(used)
    );
    assert_eq!(report["offline"], true);
    let shown = user.shown(
        &user
            .command(&["doctor"])
            .env("INHOUSE_ISA", "portable")
            .output()
            .unwrap(),
    );
    for word in [
        "status: 0",
        "instruction set",
        "portable",
        "memory is read at",
        "no models are here yet",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}
