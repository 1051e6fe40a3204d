//! Tensors as slices of rows, worked through in parallel with the widest instructions of the processor.

use burn::tensor::TensorData;
use rayon::prelude::*;

use super::Floats;

/// Below this many elements, threads cost more than they bring.
const PARALLEL_FROM: usize = 1 << 14;

/// The elements of `tensor` in order, copied only if they are not already lying so.
pub(super) fn with_slice<R>(tensor: &Floats, work: impl FnOnce(&[f32]) -> R) -> R {
    match tensor.as_slice::<f32>() {
        Some(elements) => work(elements),
        None => work(tensor.to_contiguous().as_slice::<f32>().unwrap_or_default()),
    }
}

/// A tensor of these elements.
pub(super) fn tensor(elements: Vec<f32>, shape: impl Into<Vec<usize>>) -> Floats {
    Floats::from_data(TensorData::new(elements, shape.into()))
}

/// The lengths of a tensor's dimensions.
pub(super) fn shape(tensor: &Floats) -> Vec<usize> {
    tensor.layout().shape().to_vec()
}

/// The shape, and the length of the last dimension, at least 1.
pub(super) fn shape_and_width(tensor: &Floats) -> (Vec<usize>, usize) {
    let shape = shape(tensor);
    let width = shape.last().copied().unwrap_or(1).max(1);
    (shape, width)
}

/// Runs `work` with the widest vector instructions that the processor has.
///
/// `work` and all that it calls must be inlined for that; the kernels mark their inner functions so.
#[inline(always)]
pub(super) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Calls `work` on blocks of `block` elements of `out` with the number of the block, in parallel where
/// that pays; the last block may be shorter.
pub(super) fn for_blocks(out: &mut [f32], block: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if out.len() >= PARALLEL_FROM && out.len() > block && rayon::current_num_threads() > 1 {
        out.par_chunks_mut(block).enumerate().for_each(|(index, out)| work(index, out));
    } else {
        out.chunks_mut(block).enumerate().for_each(|(index, out)| work(index, out));
    }
}

/// A number of elements that makes a block of whole rows of `width`, large enough to be worth a thread.
pub(super) fn block_of_rows(width: usize) -> usize {
    (PARALLEL_FROM / 2).div_ceil(width) * width
}

/// The sum of `term(i)` for `i` below `len`, in many lanes.
#[inline(always)]
pub(super) fn sum(len: usize, term: impl Fn(usize) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0_f32; LANES];
    let whole = len / LANES * LANES;
    let mut at = 0;
    while at < whole {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(at + lane);
        }
        at += LANES;
    }
    let rest: f32 = (whole..len).map(&term).sum();
    lanes.iter().sum::<f32>() + rest
}
