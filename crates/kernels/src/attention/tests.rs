//! Every variant against a plain loop in double precision.

use super::*;
use crate::testing::{Random, assert_close, every_isa};

/// A cache of one sequence that owns its pages, and knows the values in them exactly.
struct Cache {
    /// `[position][kv_head][head_dim]`
    k: Vec<f32>,
    v: Vec<f32>,
    pages: Vec<Page>,
}

enum Page {
    Half(Vec<i16>, Vec<f32>, Vec<f16>),
    F32(Vec<f32>, Vec<f32>),
    Int8([Vec<i8>; 2], [Vec<f32>; 2]),
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Half,
    F32,
    Int8,
}

impl Form {
    const ALL: [Form; 3] = [Form::Half, Form::F32, Form::Int8];

    /// Each form in turn.
    fn of(number: usize) -> Form {
        Form::ALL[number % 3]
    }

    /// The scale of a key at a position: a power of two, so that what was rounded is exact as a float.
    fn key_scale(self, token: usize) -> f32 {
        let bits = if self == Form::Half { 10 } else { 5 };
        1.0 / (1_u32 << (bits + token % 3)) as f32
    }

    fn value_scale(token: usize) -> f32 {
        1.0 / (1_u32 << (5 + token % 2)) as f32
    }

    /// What a key becomes in this form.
    fn key(self, x: f32, token: usize) -> f32 {
        let scale = self.key_scale(token);
        match self {
            Form::F32 => x,
            Form::Half => (x / scale).round() * scale,
            Form::Int8 => (x / scale).round().clamp(-127.0, 127.0) * scale,
        }
    }

    /// What a value becomes in this form.
    fn value(self, x: f32, token: usize) -> f32 {
        let scale = Form::value_scale(token);
        match self {
            Form::F32 => x,
            Form::Half => f16::from_f32(x).to_f32(),
            Form::Int8 => (x / scale).round().clamp(-127.0, 127.0) * scale,
        }
    }

    /// A page of keys and values that this form holds exactly, or that are not numbers; the first is of this position.
    fn page(self, k: Vec<f32>, v: Vec<f32>, first: usize, shape: &AttentionShape) -> Page {
        let token = |line: usize| first + line % shape.page_tokens;
        // Where there is nothing, scales are no numbers either.
        let scales = |x: &[f32], scale: &dyn Fn(usize) -> f32| -> Vec<f32> {
            let lines = x.chunks(shape.head_dim).enumerate();
            lines
                .map(|(line, x)| {
                    if x[0].is_nan() {
                        f32::NAN
                    } else {
                        scale(token(line))
                    }
                })
                .collect()
        };
        let k_scales = scales(&k, &|token| self.key_scale(token));
        let v_scales = scales(&v, &Form::value_scale);
        let whole = |x: &[f32], scales: &[f32]| -> Vec<f32> {
            let values = x.iter().enumerate();
            values
                .map(|(i, x)| x / scales[i / shape.head_dim])
                .collect()
        };
        match self {
            Form::F32 => Page::F32(k, v),
            Form::Half => {
                let k = whole(&k, &k_scales).into_iter().map(|x| x as i16);
                Page::Half(
                    k.collect(),
                    k_scales,
                    v.into_iter().map(f16::from_f32).collect(),
                )
            }
            Form::Int8 => {
                let [k, v] = [whole(&k, &k_scales), whole(&v, &v_scales)]
                    .map(|x| x.into_iter().map(|x| x as i8).collect());
                Page::Int8([k, v], [k_scales, v_scales])
            }
        }
    }
}

impl Cache {
    /// Pages for `tokens` positions; what they do not fill of the last is not a number.
    fn new(random: &mut Random, shape: &AttentionShape, tokens: usize, form: Form) -> Cache {
        let (heads, dim) = (shape.kv_heads, shape.head_dim);
        let mut values = |held: &dyn Fn(f32, usize) -> f32| -> Vec<f32> {
            let random = random.floats(tokens * heads * dim).into_iter().enumerate();
            random.map(|(i, x)| held(x, i / (heads * dim))).collect()
        };
        let k = values(&|x, token| form.key(x, token));
        let v = values(&|x, token| form.value(x, token));
        let page = |values: &[f32], page: usize| {
            let mut out = vec![f32::NAN; heads * shape.page_tokens * dim];
            for (at, out) in out.chunks_exact_mut(dim).enumerate() {
                let (head, token) = (
                    at / shape.page_tokens,
                    page * shape.page_tokens + at % shape.page_tokens,
                );
                if token < tokens {
                    out.copy_from_slice(&values[(token * heads + head) * dim..][..dim]);
                }
            }
            out
        };
        let pages = (0..tokens.div_ceil(shape.page_tokens))
            .map(|i| form.page(page(&k, i), page(&v, i), i * shape.page_tokens, shape))
            .collect();
        Cache { k, v, pages }
    }

    fn view(&self) -> Vec<KvPage<'_>> {
        self.pages
            .iter()
            .map(|page| match page {
                Page::Half(k, k_scales, v) => KvPage::Half { k, k_scales, v },
                Page::F32(k, v) => KvPage::F32 { k, v },
                Page::Int8([k, v], [k_scales, v_scales]) => KvPage::Int8 {
                    k,
                    k_scales,
                    v,
                    v_scales,
                },
            })
            .collect()
    }

    /// What one head of one row attends to.
    fn attend(
        &self,
        shape: &AttentionShape,
        q: &[f32],
        kv_head: usize,
        row: &QueryRow,
    ) -> Vec<f64> {
        let dim = shape.head_dim;
        let mut out = vec![0.0; dim];
        let mut total = 0.0;
        for token in row.start..row.end {
            let at = (token * shape.kv_heads + kv_head) * dim;
            let dot: f64 = q
                .iter()
                .zip(&self.k[at..])
                .map(|(&q, &k)| f64::from(q) * f64::from(k))
                .sum();
            let mut score = dot * f64::from(shape.scale);
            if let Some(cap) = shape.softcap.map(f64::from) {
                score = (score / cap).tanh() * cap;
            }
            let weight = score.exp();
            total += weight;
            for (out, &v) in out.iter_mut().zip(&self.v[at..]) {
                *out += weight * f64::from(v);
            }
        }
        out.iter()
            .map(|x| if total > 0.0 { x / total } else { 0.0 })
            .collect()
    }
}

fn check(
    random: &mut Random,
    kernels: Kernels,
    shape: &AttentionShape,
    caches: &[Cache],
    rows: &[QueryRow],
) {
    let (heads, dim) = (shape.heads, shape.head_dim);
    let q = random.floats(rows.len() * heads * dim);
    let mut want = Vec::new();
    for (row, q) in rows.iter().zip(q.chunks(heads * dim)) {
        for (head, q) in q.chunks(dim).enumerate() {
            let kv_head = head / (heads / shape.kv_heads);
            want.extend(caches[row.sequence].attend(shape, q, kv_head, row));
        }
    }
    let views: Vec<Vec<KvPage<'_>>> = caches.iter().map(Cache::view).collect();
    let sequences: Vec<&[KvPage<'_>]> = views.iter().map(Vec::as_slice).collect();
    let got = [1, 2, 3].map(|threads| {
        let mut got = vec![f32::NAN; q.len()];
        kernels.attention(&Pool::new(threads), shape, &q, rows, &sequences, &mut got);
        got
    });
    let what = format!("{:?} {shape:?} {rows:?}", kernels.isa());
    assert_close(&got[0], &want, 0.1, 5e-6, &what);
    assert!(got[0] == got[1] && got[0] == got[2], "{what}");
}

fn shape(heads: usize, kv_heads: usize, head_dim: usize, page_tokens: usize) -> AttentionShape {
    AttentionShape {
        heads,
        kv_heads,
        head_dim,
        page_tokens,
        scale: 1.0 / (head_dim as f32).sqrt(),
        softcap: None,
    }
}

/// The rows of a prompt whose first token has this position.
fn causal(sequence: usize, first: usize, len: usize, window: usize) -> Vec<QueryRow> {
    let row = |end: usize| QueryRow {
        sequence,
        start: end.saturating_sub(window),
        end,
    };
    (first + 1..=first + len).map(row).collect()
}

#[test]
fn every_head_dim() {
    let mut random = Random::new(1);
    for kernels in every_isa() {
        for head_dim in (1..=132).chain([160, 255, 256, 257, 320]) {
            let shape = shape(2, 1, head_dim, 8);
            let caches = [Cache::new(&mut random, &shape, 19, Form::of(head_dim))];
            check(
                &mut random,
                kernels,
                &shape,
                &caches,
                &causal(0, 16, 3, usize::MAX),
            );
        }
    }
}

#[test]
fn every_group_of_heads_and_number_of_rows() {
    let mut random = Random::new(2);
    for kernels in every_isa() {
        for group in [1, 2, 3, 4, 5, 6, 7, 8, 9, 40] {
            for kv_heads in [1, 2, 3] {
                for rows in [1, 2, 4, 5, 9, 40] {
                    let shape = shape(group * kv_heads, kv_heads, 16, 16);
                    let rows = causal(0, 60 - rows, rows, usize::MAX);
                    for form in Form::ALL {
                        let caches = [Cache::new(&mut random, &shape, 60, form)];
                        check(&mut random, kernels, &shape, &caches, &rows);
                    }
                }
            }
        }
    }
}

#[test]
fn every_length_and_page_size() {
    let mut random = Random::new(3);
    for kernels in every_isa() {
        for page_tokens in [1, 3, 16, 64, 100, 256] {
            for tokens in (1..=20).chain([63, 64, 65, 127, 128, 129, 200, 300]) {
                let shape = shape(3, 1, 20, page_tokens);
                let caches = [Cache::new(&mut random, &shape, tokens, Form::of(tokens))];
                check(
                    &mut random,
                    kernels,
                    &shape,
                    &caches,
                    &causal(0, tokens - 1, 1, usize::MAX),
                );
            }
        }
    }
}

#[test]
fn windows() {
    let mut random = Random::new(4);
    for kernels in every_isa() {
        for window in [1, 2, 15, 16, 17, 63, 64, 65, 100] {
            let shape = shape(4, 2, 24, 16);
            let caches = [Cache::new(&mut random, &shape, 150, Form::of(window))];
            check(
                &mut random,
                kernels,
                &shape,
                &caches,
                &causal(0, 100, 50, window),
            );
        }
    }
}

/// Positions are cut into stretches, the last of which may be short and the first begin anywhere.
#[test]
fn long_contexts() {
    let mut random = Random::new(8);
    for kernels in every_isa() {
        for (tokens, window, rows) in [
            (127, 500, 1),
            (128, 500, 1),
            (129, 500, 1),
            (257, 500, 3),
            (400, 500, 1),
            (400, 270, 1),
            (400, 145, 4),
            (400, 3, 1),
            (400, 250, 20),
            (513, 600, 20),
        ] {
            let shape = shape(6, 2, 24, 32);
            let rows = causal(0, tokens - rows, rows, window);
            for form in Form::ALL {
                let caches = [Cache::new(&mut random, &shape, tokens, form)];
                check(&mut random, kernels, &shape, &caches, &rows);
            }
        }
    }
}

/// What a row is computed along with does not change its result, not even by rounding.
#[test]
fn rows_are_computed_alike_in_any_company() {
    let mut random = Random::new(9);
    let shape = shape(6, 2, 40, 32);
    let cache = Cache::new(&mut random, &shape, 300, Form::Half);
    let (pages, width) = (cache.view(), shape.heads * shape.head_dim);
    let rows = causal(0, 200, 100, 150);
    let q = random.floats(rows.len() * width);
    for kernels in every_isa() {
        let attend = |range: Range<usize>| {
            let q = &q[range.start * width..range.end * width];
            let mut out = vec![f32::NAN; q.len()];
            let pool = Pool::new(2);
            kernels.attention(&pool, &shape, q, &rows[range], &[&pages], &mut out);
            out
        };
        for cuts in [[0, 100], [0, 20], [33, 100], [57, 64]] {
            let [start, end] = cuts;
            let all = &attend(0..100)[start * width..end * width];
            assert!(attend(start..end) == all, "{:?} {cuts:?}", kernels.isa());
        }
        let all = &attend(90..94)[2 * width..3 * width];
        assert!(attend(92..93) == all, "{:?}", kernels.isa());
    }
}

#[test]
fn softcaps() {
    let mut random = Random::new(5);
    for kernels in every_isa() {
        for cap in [0.1, 1.0, 50.0] {
            let shape = AttentionShape {
                softcap: Some(cap),
                scale: 1.0,
                ..shape(4, 2, 24, 16)
            };
            let caches = [Cache::new(&mut random, &shape, 70, Form::F32)];
            check(
                &mut random,
                kernels,
                &shape,
                &caches,
                &causal(0, 65, 5, usize::MAX),
            );
        }
    }
}

#[test]
fn several_sequences_at_once() {
    let mut random = Random::new(6);
    for kernels in every_isa() {
        let shape = shape(6, 2, 32, 16);
        let lengths = [40, 1, 95];
        let caches =
            lengths.map(|tokens| Cache::new(&mut random, &shape, tokens, Form::of(tokens)));
        let mut rows = causal(2, 80, 10, usize::MAX);
        rows.extend(causal(0, 39, 1, usize::MAX));
        rows.extend(causal(1, 0, 1, usize::MAX));
        rows.extend(causal(2, 10, 3, 5));
        // Nothing to attend to: zeros.
        rows.push(QueryRow {
            sequence: 0,
            start: 7,
            end: 7,
        });
        rows.push(QueryRow {
            sequence: 0,
            start: 0,
            end: 0,
        });
        check(&mut random, kernels, &shape, &caches, &rows);
    }
}

#[test]
fn large_scores_neither_overflow_nor_vanish() {
    for kernels in every_isa() {
        let shape = AttentionShape {
            scale: 1.0,
            ..shape(1, 1, 4, 4)
        };
        // The scores are 0, 1000, 2000 .. and then the same downwards: only the largest counts.
        let k: Vec<f32> = [0.0, 10.0, 20.0, 30.0, 20.0, 10.0, 0.0, -10.0]
            .iter()
            .flat_map(|&x| [x, 0.0, 0.0, 0.0])
            .collect();
        let v: Vec<f32> = (0..32).map(|x| (x / 4) as f32).collect();
        let pages: Vec<KvPage<'_>> = k
            .chunks(16)
            .zip(v.chunks(16))
            .map(|(k, v)| KvPage::F32 { k, v })
            .collect();
        let mut out = [0.0; 4];
        let rows = [QueryRow {
            sequence: 0,
            start: 0,
            end: 8,
        }];
        kernels.attention(
            &Pool::new(1),
            &shape,
            &[100.0, 0.0, 0.0, 0.0],
            &rows,
            &[&pages],
            &mut out,
        );
        assert_eq!(out, [3.0; 4], "{:?}", kernels.isa());
    }
}

#[test]
#[should_panic(expected = "of several forms")]
fn pages_of_several_forms_are_refused() {
    let shape = shape(1, 1, 1, 4);
    let mut random = Random::new(10);
    let caches = [Form::Half, Form::Int8].map(|form| Cache::new(&mut random, &shape, 4, form));
    let pages = [caches[0].view()[0], caches[1].view()[0]];
    Kernels::best().attention(&Pool::new(1), &shape, &[], &[], &[&pages], &mut []);
}

#[test]
#[should_panic(expected = "beyond 1 pages")]
fn positions_without_a_page_are_refused() {
    let page = KvPage::F32 {
        k: &[0.0; 4],
        v: &[0.0; 4],
    };
    let rows = [QueryRow {
        sequence: 0,
        start: 0,
        end: 5,
    }];
    Kernels::best().attention(
        &Pool::new(1),
        &shape(1, 1, 1, 4),
        &[0.0],
        &rows,
        &[&[page]],
        &mut [0.0],
    );
}
