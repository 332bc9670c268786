//! Products of a few queries with rows of keys, and of their weights with rows of values, which are
//! widened in registers on the way.

use crate::simd::{Element, Simd, array_of};

/// How many vectors of sums a tile may keep in registers, what is multiplied not counted.
const fn sums_in_registers<S: Simd>() -> usize {
    match S::REGISTERS {
        32.. => 24,
        16.. => 12,
        _ => 4,
    }
}

/// How far ahead of what is read memory is asked for, in bytes: as they lie in memory, one head of a page
/// follows the other. Without it a core waits for a third of the time; beyond the page it does no harm.
const AHEAD: usize = 4096;

/// Asks for what lies [`AHEAD`] of these elements.
#[inline(always)]
fn prefetch<S: Simd, E>(s: S, from: *const E, elements: usize) {
    let from = from.cast::<u8>().wrapping_add(AHEAD);
    s.prefetch(from, elements * size_of::<E>());
}

/// How many rows of keys a tile has: a third of the registers less for sums than with values, since the
/// keys take some.
const fn rows_of_keys<S: Simd>(queries: usize) -> usize {
    match sums_in_registers::<S>() / 3 * 2 / queries {
        8.. => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// `scores[m][t] = q[m] . keys[t]` for `tokens` rows of keys, `dim` long and without gaps.
///
/// # Safety
/// There are `tokens * dim` values at `keys`, `M` rows at `q` every `q_stride` values, each of `dim`
/// and then zeros up to a whole vector, and room for `tokens` scores at `scores` and at each of the
/// first `M` multiples of `scores_stride` from there, which nothing else uses meanwhile.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "three matrices")]
pub(super) unsafe fn scores<S: Simd, E: Element, const M: usize>(
    s: S,
    q: *const f32,
    q_stride: usize,
    keys: *const E,
    dim: usize,
    tokens: usize,
    scores: *mut f32,
    scores_stride: usize,
) {
    if const { S::REGISTERS < 16 && M > 1 } {
        for m in 0..M {
            let (q, to) = (
                q.wrapping_add(m * q_stride),
                scores.wrapping_add(m * scores_stride),
            );
            // SAFETY: as for all of them.
            unsafe { self::scores::<S, E, 1>(s, q, 0, keys, dim, tokens, to, 0) };
        }
        return;
    }
    let mut token = 0;
    // SAFETY: of each call: as many rows as are left.
    unsafe {
        macro_rules! tiles {
            ($($t:literal)*) => {$(
                if const { $t == rows_of_keys::<S>(M) || $t == 1 } {
                    while tokens - token >= $t {
                        let (keys, to) = (keys.add(token * dim), scores.add(token));
                        prefetch::<S, E>(s, keys, $t * dim);
                        tile::<S, E, M, $t>(s, q, q_stride, keys, dim, to, scores_stride);
                        token += $t;
                    }
                }
            )*};
        }
        tiles!(8 4 2 1);
    }
}

/// # Safety
/// As [`scores`], for `T` rows of keys.
#[inline(always)]
unsafe fn tile<S: Simd, E: Element, const M: usize, const T: usize>(
    s: S,
    q: *const f32,
    q_stride: usize,
    keys: *const E,
    dim: usize,
    scores: *mut f32,
    scores_stride: usize,
) {
    let mut sums = [[s.splat(0.0); T]; M];
    let whole = dim / S::LANES * S::LANES;
    // SAFETY: whole vectors end before `dim`, and a part is as long as what is left; queries go on
    // to a whole vector.
    unsafe {
        for at in (0..whole).step_by(S::LANES) {
            let keys = array_of(
                s.splat(0.0),
                #[inline(always)]
                |t| E::load(s, keys.add(t * dim + at)),
            );
            add_outer::<S, M, T>(s, &mut sums, q.add(at), q_stride, keys);
        }
        if whole < dim {
            let keys = array_of(
                s.splat(0.0),
                #[inline(always)]
                |t| E::load_part(s, keys.add(t * dim + whole), dim - whole),
            );
            add_outer::<S, M, T>(s, &mut sums, q.add(whole), q_stride, keys);
        }
        for (m, sums) in sums.iter().enumerate() {
            for (t, &sum) in sums.iter().enumerate() {
                scores.add(m * scores_stride + t).write(s.reduce_add(sum));
            }
        }
    }
}

/// # Safety
/// There is a vector at each of the first `M` multiples of `q_stride` from `q`.
#[inline(always)]
unsafe fn add_outer<S: Simd, const M: usize, const T: usize>(
    s: S,
    sums: &mut [[S::F; T]; M],
    q: *const f32,
    q_stride: usize,
    keys: [S::F; T],
) {
    for (m, sums) in sums.iter_mut().enumerate() {
        // SAFETY: `m < M`.
        let q = unsafe { s.load(q.add(m * q_stride)) };
        for (sum, &key) in sums.iter_mut().zip(&keys) {
            *sum = s.mul_add(q, key, *sum);
        }
    }
}

/// `sums[m][j] += sum over t of weights[m][t] * values[t][j]` for `tokens` rows of values, `dim` long
/// and `stride` apart. With `PREFETCH` they come from memory, otherwise from a cache.
///
/// # Safety
/// There are `dim` values at each of the first `tokens` multiples of `stride` from `values`, a weight at
/// `m * weights_stride[0] + t * weights_stride[1]` from `weights` for every `m` and `t`, and at `M` multiples of
/// `sums_stride` from `sums` `dim` of them, which nothing else uses meanwhile.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "three matrices")]
pub(super) unsafe fn add_values<S: Simd, E: Element, const M: usize, const PREFETCH: bool>(
    s: S,
    values: *const E,
    stride: usize,
    dim: usize,
    tokens: usize,
    weights: *const f32,
    weights_stride: [usize; 2],
    sums: *mut f32,
    sums_stride: usize,
) {
    if const { S::REGISTERS < 16 && M > 1 } {
        for m in 0..M {
            let weights = weights.wrapping_add(m * weights_stride[0]);
            let sums = sums.wrapping_add(m * sums_stride);
            // SAFETY: as for all of them.
            unsafe {
                self::add_values::<S, E, 1, PREFETCH>(
                    s,
                    values,
                    stride,
                    dim,
                    tokens,
                    weights,
                    weights_stride,
                    sums,
                    0,
                );
            }
        }
        return;
    }
    let mut column = 0;
    // SAFETY: of each call: as many columns as are left.
    unsafe {
        macro_rules! vectors {
            ($($v:literal)*) => {$(
                if const { $v * M <= sums_in_registers::<S>() || $v == 1 } {
                    while dim - column >= $v * S::LANES {
                        let (values, sums) = (values.add(column), sums.add(column));
                        add_columns::<S, E, M, $v, PREFETCH>(
                            s, values, stride, tokens, weights, weights_stride, sums, sums_stride,
                        );
                        column += $v * S::LANES;
                    }
                }
            )*};
        }
        vectors!(8 4 2 1);
        if column < dim {
            let (values, sums) = (values.add(column), sums.add(column));
            for m in 0..M {
                let sums = std::slice::from_raw_parts_mut(sums.add(m * sums_stride), dim - column);
                let mut sum = s.get_part(sums, 0.0);
                for t in 0..tokens {
                    let value = E::load_part(s, values.add(t * stride), dim - column);
                    let weight =
                        s.splat(*weights.add(m * weights_stride[0] + t * weights_stride[1]));
                    sum = s.mul_add(weight, value, sum);
                }
                s.put_part(sum, sums);
            }
        }
    }
}

/// # Safety
/// As [`add_values`], with `V` vectors of columns.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "three matrices")]
unsafe fn add_columns<S: Simd, E: Element, const M: usize, const V: usize, const PREFETCH: bool>(
    s: S,
    values: *const E,
    stride: usize,
    tokens: usize,
    weights: *const f32,
    weights_stride: [usize; 2],
    sums: *mut f32,
    sums_stride: usize,
) {
    // SAFETY: everything is inside what the caller vouches for.
    unsafe {
        let mut tile = [[s.splat(0.0); V]; M];
        for (m, tile) in tile.iter_mut().enumerate() {
            for (v, sum) in tile.iter_mut().enumerate() {
                *sum = s.load(sums.add(m * sums_stride + v * S::LANES));
            }
        }
        for t in 0..tokens {
            if PREFETCH {
                prefetch::<S, E>(s, values.add(t * stride), V * S::LANES);
            }
            let values = array_of(
                s.splat(0.0),
                #[inline(always)]
                |v| E::load(s, values.add(t * stride + v * S::LANES)),
            );
            for (m, tile) in tile.iter_mut().enumerate() {
                let weight = s.splat(*weights.add(m * weights_stride[0] + t * weights_stride[1]));
                for (sum, &value) in tile.iter_mut().zip::<&[S::F; V]>(&values) {
                    *sum = s.mul_add(weight, value, *sum);
                }
            }
        }
        for (m, tile) in tile.iter().enumerate() {
            for (v, &sum) in tile.iter().enumerate() {
                s.store(sum, sums.add(m * sums_stride + v * S::LANES));
            }
        }
    }
}
