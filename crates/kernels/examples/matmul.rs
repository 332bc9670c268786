//! Times the quantised product at one shape of Phi-4-mini: one row against the memory's speed, and
//! more rows against the processor's.
//!
//! `cargo run --release -p inhouse-kernels --example matmul [threads] [instruction set]`
#![allow(clippy::print_stdout, reason = "a program, not the library")]

use std::time::Instant;

use inhouse_kernels::{
    Bits, Depth, Isa, Join, Kernels, NBits, Packed, PackedLayout, Pool, QuantizedRows, Then,
    ZeroPoints, read_rate,
};

const N: usize = 8192;
const K: usize = 3072;
const BLOCK: usize = 32;

fn main() {
    let threads = std::env::args()
        .nth(1)
        .and_then(|threads| threads.parse().ok())
        .unwrap_or(2);
    let pool = Pool::new(threads);
    let read = read_rate(&pool, &vec![1; 512 << 20]) / 1e9;
    println!("a loop that only reads: {threads} threads, {read:.1} GB/s");
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
    let only = std::env::args().nth(2);
    for isa in Isa::available() {
        let kernels = Kernels::new(isa).expect("it is available");
        if only.as_deref().is_some_and(|only| only != isa.name()) {
            continue;
        }
        for (name, zero_points, depth) in [
            ("", ZeroPoints::None, Depth::Eight),
            (
                ", zero points",
                ZeroPoints::Bytes(&zero_points),
                Depth::Eight,
            ),
            (", 15 bits", ZeroPoints::None, Depth::Fifteen),
        ] {
            let weights = |quants| NBits {
                n: N,
                k: K,
                bits: Bits::Four,
                block: BLOCK,
                quants,
                scales: &scales,
                zero_points,
            };
            let layout =
                PackedLayout::of(&[weights(&matrices[0])], Join::Stacked, depth).expect("a layout");
            let packed: Vec<Vec<u8>> = matrices
                .iter()
                .map(|quants| {
                    let mut out = vec![0; layout.bytes()];
                    layout.pack(&pool, &[weights(quants)], 0..layout.pieces(), &mut out);
                    out
                })
                .collect();
            for rows in [1, 2, 4, 8, 12, 16, 64, 256] {
                if isa == Isa::Portable && rows > 4 {
                    continue;
                }
                let seconds = least(if rows > 16 { 15 } else { 48 }, |turn| {
                    let weights = Packed::new(layout, &packed[turn % 16]).expect("it was packed");
                    run(kernels, &pool, &weights, rows, depth)
                });
                println!(
                    "{:>10} {threads} threads, {rows:>3} rows{name}: {:7.2} ms, {:5.1} GB/s, {:6.1} G MAC/s",
                    isa.name(),
                    seconds * 1e3,
                    layout.bytes() as f64 / seconds / 1e9,
                    (rows * N * K) as f64 / seconds / 1e9,
                );
            }
        }
    }
}

/// Multiplies as a decoder does, and says how long the product took.
fn run(kernels: Kernels, pool: &Pool, weights: &Packed<'_>, rows: usize, depth: Depth) -> f64 {
    let activations: Vec<f32> = (0..rows * K)
        .map(|i| (i % 101) as f32 / 50.0 - 1.0)
        .collect();
    let (mut x, mut out) = (QuantizedRows::new(), vec![0.0; rows * N]);
    x.quantize(kernels, pool, &activations, rows, K, depth);
    let start = Instant::now();
    kernels.matmul_packed(pool, weights, &x, Then::Store, &mut out);
    let seconds = start.elapsed().as_secs_f64();
    assert!(out[0].is_finite());
    seconds
}

/// The least of several times: what the machine can do when nothing else runs on it.
fn least(turns: usize, mut f: impl FnMut(usize) -> f64) -> f64 {
    (0..turns).map(&mut f).fold(f64::INFINITY, f64::min)
}
