//! Every variant against a plain loop in double precision.

use super::*;
use crate::testing::{Random, assert_close, every_isa};

fn check(random: &mut Random, pool: &Pool, kernels: Kernels, rows: usize, n: usize, k: usize) {
    let x = random.floats(rows * k);
    let numbers = random.floats(n * k);
    let halves: Vec<f16> = numbers.iter().map(|&x| f16::from_f32(x)).collect();
    let brains: Vec<bf16> = numbers.iter().map(|&x| bf16::from_f32(x)).collect();
    for layout in [Layout::KN, Layout::NK] {
        for data in [
            DenseData::F32(&numbers),
            DenseData::F16(&halves),
            DenseData::Bf16(&brains),
        ] {
            let value = |i: usize| -> f64 {
                match data {
                    DenseData::F32(x) => f64::from(x[i]),
                    DenseData::F16(x) => x[i].to_f64(),
                    DenseData::Bf16(x) => x[i].to_f64(),
                }
            };
            let at = |n_at: usize, k_at: usize| match layout {
                Layout::KN => value(k_at * n + n_at),
                Layout::NK => value(n_at * k + k_at),
            };
            let mut want = Vec::new();
            for x in x.chunks(k) {
                for column in 0..n {
                    want.push(
                        x.iter()
                            .enumerate()
                            .map(|(i, &x)| f64::from(x) * at(column, i))
                            .sum(),
                    );
                }
            }
            let mut got = vec![f32::NAN; rows * n];
            kernels.matmul_dense(pool, &Dense { n, k, layout, data }, &x, &mut got);
            let what = format!("{:?} {layout:?}: {rows} x {k} x {n}", kernels.isa());
            assert_close(&got, &want, (k as f64).sqrt(), 3e-6, &what);
        }
    }
}

#[test]
fn every_short_length() {
    let mut random = Random::new(2);
    let pool = Pool::new(2);
    for kernels in every_isa() {
        for size in 1..=130 {
            let other = 1 + random.bits() as usize % 40;
            let rows = 1 + random.bits() as usize % 9;
            check(&mut random, &pool, kernels, rows, size, other);
            check(&mut random, &pool, kernels, rows, other, size);
        }
    }
}

#[test]
fn every_number_of_rows() {
    let mut random = Random::new(3);
    let pool = Pool::new(3);
    for kernels in every_isa() {
        for rows in 0..=13 {
            check(&mut random, &pool, kernels, rows, 133, 37);
        }
    }
}

#[test]
fn long_rows_and_many_tasks() {
    let mut random = Random::new(4);
    for kernels in every_isa() {
        check(&mut random, &Pool::new(2), kernels, 5, 131, 2500);
        check(&mut random, &Pool::new(2), kernels, 1, 600, 1024);
    }
}

#[test]
fn rows_are_copied() {
    let numbers: Vec<f32> = (0..30).map(|x| x as f32).collect();
    let halves: Vec<f16> = numbers.iter().map(|&x| f16::from_f32(x)).collect();
    let brains: Vec<bf16> = numbers.iter().map(|&x| bf16::from_f32(x)).collect();
    for data in [
        DenseData::F32(&numbers),
        DenseData::F16(&halves),
        DenseData::Bf16(&brains),
    ] {
        let table = Dense {
            n: 3,
            k: 10,
            layout: Layout::NK,
            data,
        };
        let mut row = [0.0; 10];
        table.copy_row(1, &mut row);
        assert_eq!(row[..], numbers[10..20]);
    }
}

#[test]
#[should_panic(expected = "rows together")]
fn rows_of_the_other_layout_are_refused() {
    let table = Dense {
        n: 1,
        k: 1,
        layout: Layout::KN,
        data: DenseData::F32(&[1.0]),
    };
    table.copy_row(0, &mut [0.0]);
}
