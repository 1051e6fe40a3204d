//! Weights in the order that the products read them in (`pack.cu`). Packing changes the order of the numbers, not the tensor's shape.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{FloatDType, Slice};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::program::{Argument, Program, Text};
use crate::kernels::gpu::launch::{empty_like, packed};

/// Inputs that a step of a product sums, and what both inputs and outputs of packed weights are a multiple of.
pub(super) const STEP: usize = 32;

/// Whether weights of so many inputs and outputs are packed when they are loaded.
pub(super) fn whole(inputs: usize, outputs: usize) -> bool {
    inputs.is_multiple_of(STEP) && outputs.is_multiple_of(STEP)
}

/// A linear layer's `[inputs, outputs]`, packed if they are whole.
pub(in crate::kernels::gpu) fn linear_weight(weight: CubeTensor) -> CubeTensor {
    let [inputs, outputs] = weight.meta.shape().dims();
    if whole(inputs, outputs) { packed_columns(weight) } else { weight }
}

/// A convolution's `[outputs, 3, 3, inputs]`, packed if they are whole.
pub(in crate::kernels::gpu) fn conv_weight(weight: CubeTensor) -> CubeTensor {
    let [outputs, _, _, inputs] = weight.meta.shape().dims();
    if whole(inputs, outputs) { packed_rows(weight) } else { weight }
}

/// A linear layer's weights of whatever size as the products want them.
pub(super) fn ready_linear(weight: CubeTensor) -> CubeTensor {
    let [inputs, outputs] = weight.meta.shape().dims();
    if whole(inputs, outputs) { weight } else { packed_columns(filled(weight, &[0, 1])) }
}

/// The same of a convolution.
pub(super) fn ready_conv(weight: CubeTensor) -> CubeTensor {
    let [outputs, _, _, inputs] = weight.meta.shape().dims();
    if whole(inputs, outputs) { weight } else { packed_rows(filled(weight, &[0, 3])) }
}

/// With zeros up to whole steps along `dimensions`.
pub(super) fn filled(x: CubeTensor, dimensions: &[usize]) -> CubeTensor {
    let shape = x.meta.shape().clone();
    let mut whole = shape.clone();
    for &dimension in dimensions {
        whole[dimension] = shape[dimension].next_multiple_of(STEP);
    }
    if whole == shape {
        return x;
    }
    let zeros = CubeBackend::float_zeros(whole, &x.device, FloatDType::from(x.dtype));
    let place: Vec<Slice> = (0..shape.num_dims()).map(|i| Slice::from(0..shape[i])).collect();
    CubeBackend::float_slice_assign(zeros, &place, x)
}

/// The first `length` of the last dimension.
pub(super) fn cut(x: CubeTensor, length: usize) -> CubeTensor {
    let shape = x.meta.shape().clone();
    let last = shape.num_dims() - 1;
    if shape[last] == length {
        return x;
    }
    let place: Vec<Slice> =
        (0..=last).map(|i| Slice::from(0..if i == last { length } else { shape[i] })).collect();
    packed(CubeBackend::float_slice(x, &place))
}

/// From `[outputs, height, width, inputs]`.
fn packed_rows(weight: CubeTensor) -> CubeTensor {
    let [outputs, height, width, inputs] = weight.meta.shape().dims();
    let blocks = [(outputs * height * width * inputs).div_ceil(8 * THREADS as usize) as u32, 1, 1];
    pack("from_rows", weight, [inputs, outputs, height * width], blocks)
}

/// From `[inputs, outputs]`.
fn packed_columns(weight: CubeTensor) -> CubeTensor {
    let [inputs, outputs] = weight.meta.shape().dims();
    pack("from_columns", weight, [inputs, outputs, 1], tiles(inputs, outputs, 1))
}

/// From packed weights those of the gradient, which has as inputs the outputs.
pub(super) fn packed_for_gradient(
    weight: CubeTensor,
    inputs: usize,
    outputs: usize,
    taps: usize,
) -> CubeTensor {
    pack("for_gradient", weight, [outputs, inputs, taps], tiles(outputs, inputs, taps))
}

const THREADS: u32 = 256;

fn tiles(inputs: usize, outputs: usize, taps: usize) -> [u32; 3] {
    [(outputs / 32) as u32, (inputs / 32) as u32, taps as u32]
}

fn pack(
    entry: &'static str,
    weight: CubeTensor,
    [inputs, outputs, taps]: [usize; 3],
    blocks: [u32; 3],
) -> CubeTensor {
    let weight = packed(weight);
    let result = empty_like(&weight);
    let program = Program { entry, text: Text::Pack, threads: THREADS };
    program.launch(
        &weight.client,
        blocks,
        &[Argument::Read(&weight.handle), Argument::Written(&result.handle)],
        &[inputs as u32, outputs as u32, taps as u32, 0],
    );
    result
}
