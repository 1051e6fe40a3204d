//! A card's answers are tried once before they are trusted: every kernel on a few numbers, against sums on the host. A kernel that a
//! driver or a compiler gets wrong must not draw wrong pictures; where one does, the backend's own kernels serve.

use std::sync::{Mutex, PoisonError};

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape, TensorData};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};
use half::bf16;

use super::attention::{attend, attend_gradient};
use super::pack::{conv_weight, linear_weight};
use super::product::{TILES, convolve, convolve_gradient, linear, linear_gradient, with_plan};
use crate::kernels::Weighing;
use crate::kernels::gpu::launch::packed;
use crate::layers::Sampling;

/// What bf16 and another order of a sum may make of a result, of its norm.
const TOLERANCE: f64 = 0.02;

/// `always` takes the kernels untried, `never` leaves them; else they are tried.
const VARIABLE: &str = "LIKENESS_HOPPER_KERNELS";

/// Whether this device's answers are right. Tried at the first question, which then takes seconds.
pub(super) fn passed(device: &CubeDevice) -> bool {
    static VERDICTS: Mutex<Vec<(CubeDevice, bool)>> = Mutex::new(Vec::new());
    let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, passed)) = verdicts.iter().find(|(tried, _)| tried == device) {
        return *passed;
    }
    let passed = match std::env::var(VARIABLE).as_deref() {
        Ok("always") => true,
        Ok("never") => false,
        _ => wrong(device).is_none_or(|kernel| {
            tracing::warn!(
                kernel,
                ?device,
                "a kernel for this card gives wrong numbers and is not used: passes will be several times slower"
            );
            false
        }),
    };
    verdicts.push((device.clone(), passed));
    passed
}

/// The first kernel whose answer is not that of the host.
fn wrong(device: &CubeDevice) -> Option<String> {
    let products = TILES.iter().flat_map(|tile| [1, 2].map(|splits| Some((*tile, splits))));
    for plan in std::iter::once(None).chain(products) {
        let found = with_plan(plan, || linear_is_wrong(device).or_else(|| convolution_is_wrong(device)));
        if let Some(kernel) = found {
            return Some(format!("{kernel} {plan:?}"));
        }
    }
    attention_is_wrong(device)
}

fn linear_is_wrong(device: &CubeDevice) -> Option<&'static str> {
    const ROWS: usize = 70;
    const INPUTS: usize = 320;
    const OUTPUTS: usize = 96;
    let (x, w, b) = (numbers(1, ROWS * INPUTS), numbers(2, INPUTS * OUTPUTS), numbers(3, OUTPUTS));
    let g = numbers(4, ROWS * OUTPUTS);
    let product = |row: usize, output: usize| -> f64 {
        (0..INPUTS).map(|i| x[row * INPUTS + i] * w[i * OUTPUTS + output]).sum::<f64>() + b[output]
    };
    let expected: Vec<f64> = (0..ROWS * OUTPUTS).map(|i| product(i / OUTPUTS, i % OUTPUTS)).collect();
    let weight = linear_weight(tensor(device, &w, [INPUTS, OUTPUTS]));
    let y = linear(tensor(device, &x, [ROWS, INPUTS]), weight.clone(), Some(tensor(device, &b, [OUTPUTS])));
    if differs(y, &expected) {
        return Some("linear layer");
    }
    let turned = |row: usize, input: usize| -> f64 {
        (0..OUTPUTS).map(|o| g[row * OUTPUTS + o] * w[input * OUTPUTS + o]).sum()
    };
    let expected: Vec<f64> = (0..ROWS * INPUTS).map(|i| turned(i / INPUTS, i % INPUTS)).collect();
    let dx = linear_gradient(tensor(device, &g, [ROWS, OUTPUTS]), weight);
    differs(dx, &expected).then_some("gradient of a linear layer")
}

fn convolution_is_wrong(device: &CubeDevice) -> Option<&'static str> {
    const BATCH: usize = 2;
    const HEIGHT: usize = 6;
    const WIDTH: usize = 8;
    const INPUTS: usize = 64;
    const OUTPUTS: usize = 36;
    let x = numbers(5, BATCH * HEIGHT * WIDTH * INPUTS);
    let (w, b) = (numbers(6, OUTPUTS * 9 * INPUTS), numbers(7, OUTPUTS));
    let weight = conv_weight(tensor(device, &w, [OUTPUTS, 3, 3, INPUTS]));
    let picture = [BATCH, HEIGHT, WIDTH, INPUTS];
    for sampling in [Sampling::Same, Sampling::HalvePadAll, Sampling::HalvePadRightBottom] {
        let (stride, before, after) = sampling.stride_and_padding();
        let along = |length: usize| (length + before + after - 3) / stride + 1;
        let (rows, columns) = (along(HEIGHT), along(WIDTH));
        let g = numbers(8, BATCH * rows * columns * OUTPUTS);
        let mut expected: Vec<f64> = (0..BATCH * rows * columns * OUTPUTS).map(|i| b[i % OUTPUTS]).collect();
        let mut of_input = vec![0.0; x.len()];
        for place in 0..BATCH * rows * columns {
            let (picture, row, column) = (place / columns / rows, place / columns % rows, place % columns);
            for tap in 0..9 {
                let down = (row * stride + tap / 3).checked_sub(before).filter(|down| *down < HEIGHT);
                let right = (column * stride + tap % 3).checked_sub(before).filter(|right| *right < WIDTH);
                let (Some(down), Some(right)) = (down, right) else { continue };
                let from = ((picture * HEIGHT + down) * WIDTH + right) * INPUTS;
                for output in 0..OUTPUTS {
                    let kernel = &w[(output * 9 + tap) * INPUTS..][..INPUTS];
                    let grad = g[place * OUTPUTS + output];
                    for (i, weight) in kernel.iter().enumerate() {
                        expected[place * OUTPUTS + output] += x[from + i] * weight;
                        of_input[from + i] += grad * weight;
                    }
                }
            }
        }
        let bias = tensor(device, &b, [OUTPUTS]);
        let y = convolve(tensor(device, &x, picture), weight.clone(), bias, sampling);
        if differs(y, &expected) {
            return Some("convolution");
        }
        let grad = tensor(device, &g, [BATCH, rows, columns, OUTPUTS]);
        if differs(convolve_gradient(grad, weight.clone(), picture, sampling), &of_input) {
            return Some("gradient of a convolution");
        }
    }
    None
}

fn attention_is_wrong(device: &CubeDevice) -> Option<String> {
    for (queries, keys, causal) in [(70, 77, false), (70, 70, true), (130, 200, false)] {
        if let Some(kernel) = attention_of_is_wrong(device, queries, keys, causal) {
            return Some(format!("{kernel} {queries} {keys} {causal}"));
        }
    }
    None
}

fn attention_of_is_wrong(
    device: &CubeDevice,
    queries: usize,
    keys: usize,
    causal: bool,
) -> Option<&'static str> {
    const HEADS: usize = 2;
    const HEAD: usize = 64;
    let [q, g] = [9, 10].map(|seed| numbers(seed, queries * HEADS * HEAD));
    let [k, v] = [11, 12].map(|seed| numbers(seed, keys * HEADS * HEAD));
    let scale = 0.5;
    // [position, head, number], as a layer has them
    let row = |x: &[f64], position: usize, head: usize| -> Vec<f64> {
        x[(position * HEADS + head) * HEAD..][..HEAD].to_vec()
    };
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let add = |sum: &mut [f64], position: usize, head: usize, factor: f64, x: &[f64]| {
        let place = (position * HEADS + head) * HEAD;
        sum[place..place + HEAD].iter_mut().zip(x).for_each(|(sum, x)| *sum += factor * x);
    };
    let (mut y, mut dq) = (vec![0.0; q.len()], vec![0.0; q.len()]);
    let (mut dk, mut dv) = (vec![0.0; k.len()], vec![0.0; k.len()]);
    for head in 0..HEADS {
        for at in 0..queries {
            let (query, grad) = (row(&q, at, head), row(&g, at, head));
            let seen = if causal { at + 1 } else { keys };
            let scores: Vec<f64> = (0..seen).map(|key| scale * dot(&query, &row(&k, key, head))).collect();
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
            let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp() / total).collect();
            let slopes: Vec<f64> = (0..seen).map(|key| dot(&grad, &row(&v, key, head))).collect();
            let mean = dot(&weights, &slopes);
            for (key, (weight, slope)) in weights.iter().zip(&slopes).enumerate() {
                add(&mut y, at, head, *weight, &row(&v, key, head));
                add(&mut dv, key, head, *weight, &grad);
                let of_score = weight * (slope - mean) * scale;
                add(&mut dq, at, head, of_score, &row(&k, key, head));
                add(&mut dk, key, head, of_score, &query);
            }
        }
    }
    let heads = |x: &[f64], positions: usize| {
        CubeBackend::float_swap_dims(tensor(device, x, [1, positions, HEADS, HEAD]), 1, 2)
    };
    let by_position = |x: CubeTensor| CubeBackend::float_swap_dims(x, 1, 2);
    let weighing = Weighing { scale, causal };
    let (query, key, value) = (heads(&q, queries), heads(&k, keys), heads(&v, keys));
    if differs(by_position(attend(query.clone(), key.clone(), value.clone(), weighing)), &y) {
        return Some("attention");
    }
    let (of_query, of_key, of_value) = attend_gradient(query, key, value, heads(&g, queries), weighing);
    for (found, expected) in [(of_query, &dq), (of_key, &dk), (of_value, &dv)] {
        if differs(by_position(found), expected) {
            return Some("gradient of attention");
        }
    }
    None
}

/// Numbers from -1 to 1 that bf16 has.
fn numbers(seed: u32, count: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(bf16::from_f64(f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0))
    };
    (0..count).map(|_| next()).collect()
}

fn tensor<const D: usize>(device: &CubeDevice, values: &[f64], shape: [usize; D]) -> CubeTensor {
    let values: Vec<bf16> = values.iter().map(|value| bf16::from_f64(*value)).collect();
    CubeBackend::float_from_data(TensorData::new(values, Shape::new(shape)), device)
}

/// Whether the tensor has other numbers, or none.
fn differs(found: CubeTensor, expected: &[f64]) -> bool {
    debug_assert_eq!(found.dtype, DType::BF16);
    let found = packed(found);
    let Ok(bytes) = found.client.read_one(found.handle.clone()) else { return true };
    let found: Vec<f64> = bytes
        .chunks_exact(2)
        .take(expected.len())
        .map(|two| f64::from(bf16::from_le_bytes([two[0], two[1]])))
        .collect();
    let square = |x: f64| x * x;
    let error: f64 = found.iter().zip(expected).map(|(found, expected)| square(found - expected)).sum();
    let norm: f64 = expected.iter().map(|expected| square(*expected)).sum();
    // not "error > ...": what is no number differs
    found.len() != expected.len() || !(error.sqrt() <= TOLERANCE * norm.sqrt())
}
