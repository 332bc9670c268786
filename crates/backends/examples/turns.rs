//! A worker of `bench/runtime`: loads a model on ONNX Runtime's processor and times what is asked for, line by line.
//!
//!     cargo run --release -p inhouse-backends --example turns -- MODEL THREADS HOME
//!
//! HOME is where `inhouse runtime install` has put the library. Each line `PROMPT NEW` on stdin is answered by the seconds
//! that reading so many tokens took, and decoding so many; the end by the peak memory.
#![allow(clippy::print_stdout)] // that is how it answers

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use inhouse_backends::{Choice, Options, RuntimeOptions, Search, load, telemetry};
use inhouse_engine::{Backend, Cancel, LoadOptions, Want};

fn main() -> Result<(), Box<dyn Error>> {
    telemetry::turn_off();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, threads, home] = arguments.as_slice() else {
        return Err("turns MODEL THREADS HOME".into());
    };
    let home = Path::new(home);
    let options = Options {
        backend: Choice::OnnxRuntime,
        load: LoadOptions {
            threads: Some(threads.parse()?),
            ..LoadOptions::default()
        },
        onnxruntime: RuntimeOptions::new(Search::from_env(&|_| None, home, home)),
    };
    let started = Instant::now();
    let model = load(model.as_ref(), &options, &mut |_| {})?;
    println!("{}", started.elapsed().as_secs_f64());
    for line in std::io::stdin().lines() {
        let line = line?;
        let (prompt, new) = line.split_once(' ').ok_or("PROMPT NEW")?;
        let (read, decoded) = time(&*model, prompt.parse()?, new.parse()?)?;
        println!("{read} {decoded}");
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("{}", peak.unwrap_or("0 kB").trim());
    Ok(())
}

/// From an empty cache, greedily; the first token counts to the prompt.
fn time(model: &dyn Backend, prompt: u32, new: usize) -> Result<(f64, f64), Box<dyn Error>> {
    let cancel = Cancel::new();
    let prompt: Vec<u32> = (0..prompt).map(|i| i * 7919 % 40_000 + 100).collect();
    let mut session = model.session()?;
    let started = Instant::now();
    let mut id = best(&session.extend(&prompt, Want::Last, &cancel)?.data);
    let read = started.elapsed().as_secs_f64();
    let started = Instant::now();
    for _ in 0..new {
        id = best(&session.extend(&[id], Want::Last, &cancel)?.data);
    }
    Ok((read, started.elapsed().as_secs_f64()))
}

fn best(logits: &[f32]) -> u32 {
    let each = logits.iter().enumerate();
    each.max_by(|a, b| a.1.total_cmp(b.1))
        .map_or(0, |(id, _)| id as u32)
}
