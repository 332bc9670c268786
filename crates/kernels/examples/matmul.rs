//! Times the quantised product at one shape of Phi-4-mini: one row against the memory's speed, and
//! more rows against the processor's.
//!
//! `cargo run --release -p inhouse-kernels --example matmul [threads]`
#![allow(clippy::print_stdout, reason = "a program, not the library")]

use std::time::Instant;

use inhouse_kernels::{Bits, Isa, Kernels, NBits, Pool, QuantizedRows, ZeroPoints};

const N: usize = 8192;
const K: usize = 3072;
const BLOCK: usize = 32;

fn main() {
    let threads = std::env::args()
        .nth(1)
        .and_then(|threads| threads.parse().ok())
        .unwrap_or(2);
    let pool = Pool::new(threads);
    // Several matrices in turn, so that none is still in a cache when its turn comes.
    let matrices: Vec<Vec<u8>> = (0..16)
        .map(|seed| {
            (0..N * K / 2)
                .map(|i| (i * 31 + seed * 7 + i / 97) as u8)
                .collect()
        })
        .collect();
    let scales: Vec<f32> = (0..N * K / BLOCK)
        .map(|i| 0.01 + (i % 13) as f32 * 1e-4)
        .collect();
    let zero_points: Vec<u8> = (0..N * K / BLOCK).map(|i| (i % 16) as u8).collect();
    for isa in Isa::available() {
        let kernels = Kernels::new(isa).expect("it is available");
        for (name, zero_points) in [
            ("", ZeroPoints::None),
            (", zero points", ZeroPoints::Bytes(&zero_points)),
        ] {
            for rows in [1, 2, 4, 8, 12, 16, 64, 256] {
                if isa == Isa::Portable && rows > 4 {
                    continue;
                }
                let weights = |quants| NBits {
                    n: N,
                    k: K,
                    bits: Bits::Four,
                    block: BLOCK,
                    quants,
                    scales: &scales,
                    zero_points,
                };
                let seconds = median(9, |turn| {
                    run(kernels, &pool, &weights(&matrices[turn % 16]), rows)
                });
                // The quants and as many bytes of scales as there are.
                let bytes = (N * K / 2 + N * K / BLOCK * 4) as f64;
                println!(
                    "{:>10} {threads} threads, {rows:>3} rows{name}: {:7.2} ms, {:5.1} GB/s, {:6.1} G MAC/s",
                    isa.name(),
                    seconds * 1e3,
                    bytes / seconds / 1e9,
                    (rows * N * K) as f64 / seconds / 1e9,
                );
            }
        }
    }
}

/// Quantises activations and multiplies, as a decoder does.
fn run(kernels: Kernels, pool: &Pool, weights: &NBits<'_>, rows: usize) {
    let activations: Vec<f32> = (0..rows * K)
        .map(|i| (i % 101) as f32 / 50.0 - 1.0)
        .collect();
    let (mut x, mut out) = (QuantizedRows::new(), vec![0.0; rows * N]);
    x.quantize(kernels, pool, &activations, rows, K, Bits::Four);
    kernels.matmul_nbits_int8(pool, weights, &x, &mut out);
    assert!(out[0].is_finite());
}

/// The median time of a call, in seconds.
fn median(turns: usize, mut f: impl FnMut(usize)) -> f64 {
    let mut times: Vec<f64> = (0..turns)
        .map(|turn| {
            let start = Instant::now();
            f(turn);
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[turns / 2]
}
