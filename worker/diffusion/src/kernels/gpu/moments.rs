//! Mean and deviation of what a cube normalises, with the variance of the centred values.

use cubecl::prelude::*;

use super::reduce::{cube_sum, lane_sum};

/// The mean and one over the deviation of `count` vectors, which lie from `base` on in runs of `width`, one every `row` vectors.
#[cube]
pub(super) fn moments<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    base: usize,
    row: usize,
    count: usize,
    epsilon: f32,
    scratch: &mut Shared<[f32]>,
    #[comptime] width: usize,
    #[comptime] units: u32,
) -> (f32, f32) {
    let total = (count * N::value()) as f32;
    let mut sums = Vector::<f32, N>::new(0.0f32);
    let mut at = UNIT_POS as usize;
    while at < count {
        sums += Vector::<f32, N>::cast_from(x[base + (at / width) * row + at % width]);
        at += units as usize;
    }
    let mean = cube_sum(lane_sum::<N>(sums), scratch) / total;

    let mut squares = Vector::<f32, N>::new(0.0f32);
    let mut at = UNIT_POS as usize;
    while at < count {
        let centred =
            Vector::<f32, N>::cast_from(x[base + (at / width) * row + at % width]) - Vector::new(mean);
        squares += centred * centred;
        at += units as usize;
    }
    let variance = cube_sum(lane_sum::<N>(squares), scratch) / total;
    (mean, 1.0f32 / (variance + epsilon).sqrt())
}
