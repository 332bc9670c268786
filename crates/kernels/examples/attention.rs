//! Times attention at the shape of Phi-4-mini: one row over a long cache against the memory's speed,
//! and rows of a prompt against the processor's.
//!
//! `cargo run --release -p inhouse-kernels --example attention [threads] [instruction set]`
#![allow(clippy::print_stdout, reason = "a program, not the library")]

use std::time::Instant;

use half::f16;
use inhouse_kernels::{AttentionShape, Isa, Kernels, KvPage, Pool, QueryRow};

const KV_HEADS: usize = 8;
const GROUP: usize = 3;
const HEAD_DIM: usize = 128;
const PAGE_TOKENS: usize = 32;
/// Caches that take turns, so that none is still near the processor when its turn comes.
const CACHES: usize = 8;

/// One layer of a sequence.
enum Cache {
    Half(Vec<i16>, Vec<f32>, Vec<f16>),
    Int8(Vec<i8>, Vec<f32>, Vec<i8>),
}

impl Cache {
    fn int8(tokens: usize, seed: usize) -> Cache {
        let lines = tokens.next_multiple_of(PAGE_TOKENS) * KV_HEADS;
        let number = |i: usize| (((i + seed) * 2_654_435_761) >> 7) % 255;
        let values = (0..lines * HEAD_DIM).map(|i| (number(i) as i32 - 127) as i8);
        Cache::Int8(
            values.clone().collect(),
            vec![1e-2; lines],
            values.collect(),
        )
    }

    fn half(tokens: usize, seed: usize) -> Cache {
        let lines = tokens.next_multiple_of(PAGE_TOKENS) * KV_HEADS;
        let number = |i: usize| (((i + seed) * 2_654_435_761) >> 7) % 2001;
        let k = (0..lines * HEAD_DIM).map(|i| number(i) as i16 - 1000);
        let v = (0..lines * HEAD_DIM).map(|i| f16::from_f32(number(i) as f32 / 1000.0 - 1.0));
        Cache::Half(k.collect(), vec![1e-3; lines], v.collect())
    }

    fn pages(&self) -> Vec<KvPage<'_>> {
        let lines = PAGE_TOKENS * KV_HEADS;
        let page = |i: usize| match self {
            Cache::Half(k, k_scales, v) => KvPage::Half {
                k: &k[i * lines * HEAD_DIM..][..lines * HEAD_DIM],
                k_scales: &k_scales[i * lines..][..lines],
                v: &v[i * lines * HEAD_DIM..][..lines * HEAD_DIM],
            },
            Cache::Int8(k, scales, v) => KvPage::Int8 {
                k: &k[i * lines * HEAD_DIM..][..lines * HEAD_DIM],
                k_scales: &scales[i * lines..][..lines],
                v: &v[i * lines * HEAD_DIM..][..lines * HEAD_DIM],
                v_scales: &scales[i * lines..][..lines],
            },
        };
        let (Cache::Half(_, scales, _) | Cache::Int8(_, scales, _)) = self;
        (0..scales.len() / lines).map(page).collect()
    }

    fn bytes(&self) -> usize {
        match self {
            Cache::Half(k, k_scales, v) => 2 * (k.len() + v.len()) + 4 * k_scales.len(),
            Cache::Int8(k, scales, v) => k.len() + v.len() + 8 * scales.len(),
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let threads: Option<usize> = args.next().and_then(|threads| threads.parse().ok());
    let isas: Vec<Isa> = match args.next().as_deref().and_then(Isa::from_name) {
        Some(isa) => vec![isa],
        None => vec![Isa::best()],
    };
    for isa in isas {
        let kernels = Kernels::new(isa).expect("the processor lacks this instruction set");
        for threads in threads.map_or(vec![1, 2], |threads| vec![threads]) {
            let pool = Pool::new(threads);
            let name = format!("{:>10} {threads} threads", isa.name());
            decode(kernels, &pool, &name, 4096, Cache::half);
            decode(kernels, &pool, &format!("{name}, i8"), 4096, Cache::int8);
            for end in [256, 2048, 4096] {
                prefill(kernels, &pool, &name, 256, end);
            }
        }
    }
}

fn decode(
    kernels: Kernels,
    pool: &Pool,
    name: &str,
    tokens: usize,
    cache: fn(usize, usize) -> Cache,
) {
    let caches: Vec<Cache> = (0..CACHES).map(|seed| cache(tokens, seed)).collect();
    let seconds = run(kernels, pool, &caches, 1, tokens, 1000);
    println!(
        "{name}, 1 row at {tokens}: {:8.3} ms, {:5.1} GB/s",
        seconds * 1e3,
        caches[0].bytes() as f64 / seconds / 1e9,
    );
}

fn prefill(kernels: Kernels, pool: &Pool, name: &str, rows: usize, end: usize) {
    let caches = [Cache::half(end, 0)];
    let seconds = run(kernels, pool, &caches, rows, end, 15);
    let positions: usize = (end - rows + 1..=end).sum();
    // Scores and values.
    let products = 2 * positions * KV_HEADS * GROUP * HEAD_DIM;
    println!(
        "{name}, {rows} rows up to {end}: {:8.3} ms, {:5.1} G MAC/s",
        seconds * 1e3,
        products as f64 / seconds / 1e9,
    );
}

/// The least time of a call, in seconds: other programs only ever add to it.
fn run(
    kernels: Kernels,
    pool: &Pool,
    caches: &[Cache],
    rows: usize,
    end: usize,
    turns: usize,
) -> f64 {
    let shape = AttentionShape {
        heads: KV_HEADS * GROUP,
        kv_heads: KV_HEADS,
        head_dim: HEAD_DIM,
        page_tokens: PAGE_TOKENS,
        scale: 1.0 / (HEAD_DIM as f32).sqrt(),
        softcap: None,
    };
    let len = rows * shape.heads * HEAD_DIM;
    let q: Vec<f32> = (0..len).map(|i| (i % 97) as f32 / 48.0 - 1.0).collect();
    let mut out = vec![0.0; len];
    let rows: Vec<QueryRow> = (end - rows + 1..=end)
        .map(|end| QueryRow {
            sequence: 0,
            start: 0,
            end,
        })
        .collect();
    let pages: Vec<Vec<KvPage<'_>>> = caches.iter().map(Cache::pages).collect();
    let mut least = f64::INFINITY;
    for turn in 0..turns {
        let pages = &pages[turn % pages.len()];
        let start = Instant::now();
        kernels.attention(pool, &shape, &q, &rows, &[pages], &mut out);
        least = least.min(start.elapsed().as_secs_f64());
        assert!(out.iter().all(|x| x.is_finite()));
    }
    least
}
