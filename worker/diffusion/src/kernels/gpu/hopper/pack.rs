//! Weights in the order that the products read them in (`pack.cu`). Packing changes the order of the numbers, not the tensor's shape.

use burn_cubecl::tensor::CubeTensor;

use super::program::{Argument, Program, Text};
use crate::kernels::gpu::launch::{empty_like, packed};

/// Those of a convolution, `[outputs, 3, 3, inputs]`.
pub(in crate::kernels::gpu) fn packed_rows(weight: CubeTensor) -> CubeTensor {
    let [outputs, height, width, inputs] = weight.meta.shape().dims();
    let blocks = [(outputs * height * width * inputs).div_ceil(8 * THREADS as usize) as u32, 1, 1];
    pack("from_rows", weight, [inputs, outputs, height * width], blocks)
}

/// Those of a linear layer, `[inputs, outputs]`.
pub(in crate::kernels::gpu) fn packed_columns(weight: CubeTensor) -> CubeTensor {
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
