//! What a decoder does to a row, at the sizes of Phi-4-mini, in every instruction set this machine has.
//!
//! `cargo bench -p inhouse-kernels --bench kernels`, or with `-- rms_norm` for one of them. Two threads where there is a pool.
#![allow(missing_docs, reason = "the macro makes public items")]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use half::f16;
use inhouse_kernels::{
    AttentionShape, Bits, Depth, Isa, Join, Kernels, KvPage, NBits, Packed, PackedLayout, Pool,
    QuantizedRows, QueryRow, Then, ZeroPoints,
};

const HIDDEN: usize = 3072;
const FEED_FORWARD: usize = 8192;
const HEADS: usize = 24;
const KV_HEADS: usize = 8;
const HEAD_DIM: usize = 128;
const VOCAB: usize = 200_064;
const PAGE: usize = 32;
const THREADS: usize = 2;

fn main() {
    divan::main();
}

/// The instruction sets to bench, by name.
fn sets() -> impl Iterator<Item = &'static str> {
    Isa::available().map(Isa::name)
}

fn kernels(name: &str) -> Kernels {
    Isa::from_name(name)
        .and_then(Kernels::new)
        .expect("only available ones are listed")
}

/// Values from -1 to 1 without a pattern.
fn values(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| (i * 7919 % 10_007) as f32 / 5003.5 - 1.0)
        .collect()
}

#[divan::bench(args = sets())]
fn rms_norm(bencher: Bencher<'_, '_>, isa: &str) {
    let (kernels, x, weight) = (kernels(isa), values(HIDDEN), values(HIDDEN));
    let mut out = vec![0.0; HIDDEN];
    bencher
        .counter(ItemsCount::new(HIDDEN))
        .bench_local(|| kernels.rms_norm(black_box(&x), &weight, 1e-5, &mut out));
}

#[divan::bench(args = sets())]
fn silu_mul(bencher: Bencher<'_, '_>, isa: &str) {
    let (kernels, up, mut gate) = (kernels(isa), values(FEED_FORWARD), values(FEED_FORWARD));
    bencher
        .counter(ItemsCount::new(FEED_FORWARD))
        .bench_local(|| kernels.silu_mul(black_box(&mut gate), &up));
}

#[divan::bench(args = sets())]
fn rope(bencher: Bencher<'_, '_>, isa: &str) {
    let (kernels, mut row) = (kernels(isa), values(HEADS * HEAD_DIM));
    let (cos, sin) = (vec![0.8; 48], vec![0.6; 48]);
    bencher.counter(ItemsCount::new(row.len())).bench_local(|| {
        for head in row.chunks_exact_mut(HEAD_DIM) {
            kernels.rope(black_box(head), &cos, &sin, false);
        }
    });
}

#[divan::bench(args = sets())]
fn softmax(bencher: Bencher<'_, '_>, isa: &str) {
    let (kernels, row) = (kernels(isa), values(4096));
    bencher
        .counter(ItemsCount::new(row.len()))
        .with_inputs(|| row.clone())
        .bench_local_refs(|row| kernels.softmax(row));
}

#[divan::bench(args = sets())]
fn argmax_of_logits(bencher: Bencher<'_, '_>, isa: &str) {
    let (kernels, row) = (kernels(isa), values(VOCAB));
    bencher
        .counter(BytesCount::of_slice(&row))
        .bench_local(|| kernels.argmax(black_box(&row)));
}

#[divan::bench(args = sets())]
fn log_sum_exp_of_logits(bencher: Bencher<'_, '_>, isa: &str) {
    let (kernels, row) = (kernels(isa), values(VOCAB));
    bencher
        .counter(BytesCount::of_slice(&row))
        .bench_local(|| kernels.log_sum_exp(black_box(&row)));
}

#[divan::bench(args = sets())]
fn quantize_a_key(bencher: Bencher<'_, '_>, isa: &str) {
    let (kernels, key, mut out) = (kernels(isa), values(HEAD_DIM), vec![0; HEAD_DIM]);
    bencher
        .counter(ItemsCount::new(HEAD_DIM))
        .bench_local(|| kernels.quantize_i16(black_box(&key), &mut out));
}
/// One layer's keys and values, in pages of the two-byte form.
struct Cache {
    keys: Vec<i16>,
    scales: Vec<f32>,
    values: Vec<f16>,
}

impl Cache {
    const PAGE_VALUES: usize = KV_HEADS * PAGE * HEAD_DIM;

    fn new(positions: usize) -> Cache {
        let pages = positions.div_ceil(PAGE);
        let numbers = values(pages * Self::PAGE_VALUES);
        Cache {
            keys: numbers.iter().map(|x| (x * 32767.0) as i16).collect(),
            scales: vec![1.0 / 32767.0; pages * KV_HEADS * PAGE],
            values: numbers.iter().map(|&x| f16::from_f32(x)).collect(),
        }
    }

    fn pages(&self) -> Vec<KvPage<'_>> {
        let keys = self.keys.chunks_exact(Self::PAGE_VALUES);
        let scales = self.scales.chunks_exact(KV_HEADS * PAGE);
        let values = self.values.chunks_exact(Self::PAGE_VALUES);
        keys.zip(scales)
            .zip(values)
            .map(|((k, k_scales), v)| KvPage::Half { k, k_scales, v })
            .collect()
    }
}

/// `rows` queries behind `before` positions, as one layer of a forward has them.
fn attend(bencher: Bencher<'_, '_>, isa: &str, before: usize, rows: usize) {
    let (kernels, pool) = (kernels(isa), Pool::new(THREADS));
    let shape = AttentionShape {
        heads: HEADS,
        kv_heads: KV_HEADS,
        head_dim: HEAD_DIM,
        page_tokens: PAGE,
        scale: 1.0 / (HEAD_DIM as f32).sqrt(),
        softcap: None,
    };
    let cache = Cache::new(before + rows);
    let pages = cache.pages();
    let q = values(rows * HEADS * HEAD_DIM);
    let mut out = vec![0.0; q.len()];
    let rows: Vec<QueryRow> = (before..before + rows)
        .map(|position| QueryRow {
            sequence: 0,
            start: 0,
            end: position + 1,
        })
        .collect();
    // Multiply-adds, of queries with keys and of weights with values.
    let positions: usize = rows.iter().map(|row| row.end).sum();
    bencher
        .counter(ItemsCount::new(2 * positions * HEADS * HEAD_DIM))
        .bench_local(|| {
            kernels.attention(&pool, &shape, black_box(&q), &rows, &[&pages], &mut out)
        });
}

#[divan::bench(args = sets())]
fn attention_of_a_token_after_2048(bencher: Bencher<'_, '_>, isa: &str) {
    attend(bencher, isa, 2048, 1);
}

#[divan::bench(args = sets(), sample_count = 20)]
fn attention_of_a_prompt_of_512(bencher: Bencher<'_, '_>, isa: &str) {
    attend(bencher, isa, 0, 512);
}

/// The product of `rows` rows of activations and one 4-bit matrix of the feed-forward, packed, quantising them included.
///
/// Eight matrices in turn, so that none is in a cache when its turn comes: one row is to be as fast as memory.
fn product(bencher: Bencher<'_, '_>, isa: &str, rows: usize, depth: Depth) {
    const BLOCK: usize = 32;
    const MATRICES: usize = 8;
    let (kernels, pool) = (kernels(isa), Pool::new(THREADS));
    let quants: Vec<u8> = (0..FEED_FORWARD * HIDDEN / 2)
        .map(|i| (i * 31 + i / 97) as u8)
        .collect();
    let weights = NBits {
        n: FEED_FORWARD,
        k: HIDDEN,
        bits: Bits::Four,
        block: BLOCK,
        quants: &quants,
        scales: &vec![0.01; FEED_FORWARD * HIDDEN / BLOCK],
        zero_points: ZeroPoints::None,
    };
    let layout =
        PackedLayout::of(&[weights], Join::Stacked, depth).expect("one matrix fits itself");
    let mut bytes = vec![0; layout.bytes()];
    layout.pack(&pool, &[weights], 0..layout.pieces(), &mut bytes);
    let matrices = vec![bytes; MATRICES];
    let activations = values(rows * HIDDEN);
    let (mut x, mut out) = (QuantizedRows::new(), vec![0.0; rows * FEED_FORWARD]);
    let mut turn = 0;
    bencher
        .counter(BytesCount::new(layout.bytes()))
        .counter(ItemsCount::new(rows * FEED_FORWARD * HIDDEN))
        .bench_local(|| {
            turn = (turn + 1) % MATRICES;
            let weights = Packed::new(layout, &matrices[turn]).expect("it was packed");
            x.quantize(kernels, &pool, black_box(&activations), rows, HIDDEN, depth);
            kernels.matmul_packed(&pool, &weights, &x, Then::Store, &mut out);
        });
}

#[divan::bench(args = sets(), consts = [1, 8, 64], sample_count = 20)]
fn product_int8<const ROWS: usize>(bencher: Bencher<'_, '_>, isa: &str) {
    product(bencher, isa, ROWS, Depth::Eight);
}

#[divan::bench(args = sets(), consts = [1, 8, 64], sample_count = 20)]
fn product_int15<const ROWS: usize>(bencher: Bencher<'_, '_>, isa: &str) {
    product(bencher, isa, ROWS, Depth::Fifteen);
}
