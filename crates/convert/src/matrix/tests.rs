use super::*;
use crate::blocks::dequantise;

/// What ONNX Runtime reads from a matrix.
fn values(matrix: &Matrix) -> Vec<f32> {
    let Form { bits, block, .. } = matrix.form;
    let blocks = matrix.k / block;
    let unpack = |bytes: &[u8], index: usize| match bits {
        8 => bytes[index],
        _ => (bytes[index / 2] >> (4 * (index % 2))) & 15,
    };
    let zero = |row: usize, at: usize| match matrix.form.zero_points {
        ZeroPointForm::Absent => (1u32 << (bits - 1)) as f32,
        ZeroPointForm::Float => matrix.float_zero_points[row * blocks + at],
        ZeroPointForm::Packed => {
            let width = matrix.form.zero_point_bytes(matrix.k);
            f32::from(unpack(&matrix.packed_zero_points[row * width..], at))
        }
    };
    let mut out = Vec::new();
    for row in 0..matrix.n {
        for k in 0..matrix.k {
            let level = f32::from(unpack(&matrix.levels, row * matrix.k + k));
            let scale = matrix.scales[row * blocks + k / block];
            out.push(scale * (level - zero(row, k / block)));
        }
    }
    out
}

/// Blocks of pseudo-random bytes with scales like those of real weights.
fn random_rows(tensor_type: TensorType, n: usize, k: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    };
    let mut data = Vec::new();
    for _ in 0..n * k / tensor_type.block_len() {
        let start = data.len();
        data.extend((0..tensor_type.block_bytes()).map(|_| (next() >> 24) as u8));
        let scale = half::f16::from_f32(0.001 + (next() >> 20) as f32 * 1e-5).to_le_bytes();
        let offset = half::f16::from_f32(-0.008 - (next() >> 20) as f32 * 1e-4).to_le_bytes();
        match tensor_type {
            TensorType::Q6_K => data[start + 208..].copy_from_slice(&scale),
            TensorType::Q4_1 | TensorType::Q5_1 => {
                data[start..start + 2].copy_from_slice(&scale);
                data[start + 2..start + 4].copy_from_slice(&offset);
            }
            TensorType::Q4_K | TensorType::Q5_K => {
                data[start..start + 2].copy_from_slice(&scale);
                data[start + 2..start + 4].copy_from_slice(&scale);
            }
            _ => data[start..start + 2].copy_from_slice(&scale),
        }
    }
    data
}

/// Converts rows and returns the error as a part of the values, both root mean square.
fn relative_error(tensor_type: TensorType, wanted: ZeroPoints, used: Use) -> (Form, f32) {
    let (n, k) = (5, 768);
    let data = random_rows(tensor_type, n, k);
    let shape = Shape::of(tensor_type).unwrap();
    let form = Form::of(shape, wanted, used);
    let source = Source {
        name: "t",
        tensor_type,
        n,
        k,
        data: &data,
        row: &|row| row,
    };
    let got = values(&Matrix::convert(&source, shape, form).unwrap());
    let expected = dequantise(tensor_type, &data);
    assert_eq!(got.len(), expected.len());
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>();
    let error = square(&mut got.iter().zip(&expected).map(|(a, b)| a - b));
    (form, (error / square(&mut expected.iter().copied())).sqrt())
}

fn check(tensor_type: TensorType, wanted: ZeroPoints, used: Use, form: &str, most: f32) {
    let (got, error) = relative_error(tensor_type, wanted, used);
    assert_eq!(got.to_string(), form, "{tensor_type:?}");
    assert!(error <= most, "{tensor_type:?} as {form}: {error} > {most}");
}

#[test]
fn what_onnx_can_hold_is_carried_exactly() {
    use TensorType::*;
    let float = ZeroPoints::Float;
    check(Q4_0, float, Use::Multiply, "4 bits, block 32", 0.0);
    check(Q5_0, float, Use::Multiply, "8 bits, block 32", 0.0);
    check(Q8_0, float, Use::Gather, "8 bits, block 32", 0.0);
    check(Q6_K, float, Use::Gather, "8 bits, block 16", 0.0);
    check(
        Q8_0,
        ZeroPoints::Packed,
        Use::Multiply,
        "8 bits, block 32",
        0.0,
    );
    // An offset as a zero point is off by the rounding of one division.
    check(
        Q4_1,
        float,
        Use::Multiply,
        "4 bits, block 32, float zero points",
        1e-6,
    );
    check(
        Q4_K,
        float,
        Use::Multiply,
        "4 bits, block 32, float zero points",
        1e-6,
    );
}

#[test]
fn the_rest_goes_to_the_nearest() {
    use TensorType::*;
    let (packed, none) = (ZeroPoints::Packed, ZeroPoints::None);
    let eight = "8 bits, block 32, packed zero points";
    check(Q5_1, ZeroPoints::Float, Use::Multiply, eight, 0.01);
    check(Q5_K, ZeroPoints::Float, Use::Multiply, eight, 0.01);
    check(Q4_1, ZeroPoints::Float, Use::Gather, eight, 0.01);
    check(Q4_K, ZeroPoints::Float, Use::Gather, eight, 0.01);
    check(
        Q4_1,
        packed,
        Use::Multiply,
        "4 bits, block 32, packed zero points",
        0.06,
    );
    check(
        Q4_K,
        packed,
        Use::Gather,
        "4 bits, block 32, packed zero points",
        0.06,
    );
    check(Q5_1, packed, Use::Multiply, eight, 0.01);
    check(Q4_1, none, Use::Multiply, "4 bits, block 32", 0.15);
    check(Q4_K, none, Use::Multiply, "4 bits, block 32", 0.15);
    check(Q5_1, none, Use::Multiply, "8 bits, block 32", 0.01);
}

/// One Q4_1 block: scale, offset, levels.
fn block(scale: f32, offset: f32, level: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut block = half::f16::from_f32(scale).to_le_bytes().to_vec();
    block.extend(half::f16::from_f32(offset).to_le_bytes());
    block.extend((0..16).map(|i| level(i) | (level(i + 16) << 4)));
    block
}

fn check_block(data: &[u8], wanted: ZeroPoints, most: f32) {
    let shape = Shape::of(TensorType::Q4_1).unwrap();
    let source = Source {
        name: "t",
        tensor_type: TensorType::Q4_1,
        n: 1,
        k: 32,
        data,
        row: &|row| row,
    };
    let matrix = Matrix::convert(&source, shape, Form::of(shape, wanted, Use::Multiply)).unwrap();
    let expected = dequantise(TensorType::Q4_1, data);
    for (got, expected) in values(&matrix).iter().zip(expected) {
        assert!(
            (got - expected).abs() <= most,
            "{wanted:?}: {got} for {expected}"
        );
    }
}

#[test]
fn odd_blocks_are_carried() {
    let ramp = |i: usize| (i % 16) as u8;
    for wanted in [ZeroPoints::Float, ZeroPoints::Packed, ZeroPoints::None] {
        // No scale: every value is the offset.
        check_block(&block(0.0, -0.375, ramp), wanted, 0.0);
        check_block(&block(0.0, 0.0, ramp), wanted, 0.0);
        // One level only, far from zero.
        check_block(&block(0.001, 2.0, |_| 7), wanted, 1e-6);
        // A negative scale.
        check_block(&block(-0.5, 4.0, ramp), wanted, 1e-6);
        check_block(&block(0.5, -4.0, ramp), wanted, 1e-6);
    }
}

#[test]
fn scales_that_are_no_numbers_are_refused() {
    let shape = Shape::of(TensorType::Q8_0).unwrap();
    let mut data = vec![0u8; 34];
    data[..2].copy_from_slice(&half::f16::NAN.to_le_bytes());
    let source = Source {
        name: "blk.0.attn_v.weight",
        tensor_type: TensorType::Q8_0,
        n: 1,
        k: 32,
        data: &data,
        row: &|row| row,
    };
    let form = Form::of(shape, ZeroPoints::Float, Use::Multiply);
    let error = Matrix::convert(&source, shape, form)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("blk.0.attn_v.weight"), "{error}");
}
