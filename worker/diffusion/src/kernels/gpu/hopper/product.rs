//! Linear layers and convolutions (`product.cu`): tiles, and how a sum is split where there are few of them.

use std::cell::Cell;

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, FloatDType, Shape, Slice};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::pack::{cut, filled, packed_for_gradient, ready_conv, ready_linear};
use super::program::{Argument, Program, Text};
use crate::kernels::gpu::launch::{empty_in, empty_of, in_rows, packed};
use crate::layers::Sampling;

/// What a block of threads makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Outputs: a multiple of 8, and of what divides the layers' widths.
    outputs: u32,
    /// Of 128 rows each.
    blocks: u32,
    /// Of the window.
    side: u32,
}

/// What is tried for a product: the smaller ones leave less of few rows idle.
pub(super) const TILES: [(u32, u32); 4] = [(160, 2), (128, 2), (160, 1), (128, 1)];
/// Parts that the sum of a product can be split into.
const SPLITS: [u32; 6] = [1, 2, 3, 4, 6, 8];

impl Tile {
    /// For linear layers.
    pub(super) fn is_a_matrix(self) -> bool {
        self.side == 1
    }

    /// What stands before the text: the sizes, and the instruction that multiplies 64 rows.
    pub(super) fn beginning(self) -> String {
        let Self { outputs, blocks, side } = self;
        let sums = outputs / 2;
        let list = |one: &dyn Fn(u32) -> String| (0..sums).map(one).collect::<Vec<_>>().join(", ");
        let (names, places) = (list(&|i| format!("%{i}")), list(&|i| format!("\"+f\"(d[{i}])")));
        let rows = (0..4).map(|i| format!("%{}", sums + i)).collect::<Vec<_>>().join(", ");
        format!(
            "#define TILE_N {outputs}\n#define BLOCKS {blocks}\n#define SIDE {side}\n\
             __device__ __forceinline__ void multiply(float (&d)[{sums}], unsigned a0, unsigned a1, unsigned a2, unsigned a3, \
             unsigned long long b) {{\n  asm volatile(\"wgmma.mma_async.sync.aligned.m64n{outputs}k16.f32.bf16.bf16 {{{names}}}, \
             {{{rows}}}, %{}, 1, 1, 1, 0;\" : {places} : \"r\"(a0), \"r\"(a1), \"r\"(a2), \"r\"(a3), \"l\"(b));\n}}\n",
            sums + 4
        )
    }
}

/// A product: so many rows of so many inputs.
struct Product {
    rows: usize,
    outputs: usize,
    /// Of 32 inputs each.
    steps: usize,
    side: u32,
}

impl Product {
    /// The tile and the parts of the sum that are expected to be done first. Units are what a processor multiplies 128 rows of 32
    /// inputs for one output in; the constants are from measurements on an H100.
    fn plan(&self, processors: u32) -> (Tile, u32) {
        let mut best = (f64::INFINITY, (Tile { outputs: 128, blocks: 1, side: self.side }, 1));
        for (outputs, blocks) in TILES {
            let tiles = self.rows.div_ceil(128 * blocks as usize) * self.outputs.div_ceil(outputs as usize);
            // Two small blocks share a processor; alone, one gets more than half of it.
            let together = if blocks == 1 { 2.0 } else { 1.0 };
            let ease = match (self.side, blocks) {
                (1, 2) => 1.05,
                (_, 1) => 1.06,
                _ => 1.0,
            };
            for splits in SPLITS {
                if self.steps < splits as usize * 4 && splits > 1 {
                    continue;
                }
                let waves = (tiles as f64 * f64::from(splits) / (f64::from(processors) * together)).ceil();
                let crowded = tiles as f64 * f64::from(splits) > f64::from(processors);
                let shared = if crowded { together } else { 1.0 + (together - 1.0) * 0.3 };
                let step = f64::from(outputs * blocks) * ease * shared;
                let gathered = match splits {
                    1 => 0.0,
                    _ => {
                        let numbers = (self.rows * self.outputs) as f64 * f64::from(splits);
                        2000.0 + numbers / f64::from(processors) / 7.0
                    }
                };
                let steps = self.steps.div_ceil(splits as usize) as f64;
                let cost = waves * (steps * step + 800.0) + gathered;
                if cost < best.0 {
                    best = (cost, (Tile { outputs, blocks, side: self.side }, splits));
                }
            }
        }
        best.1
    }
}

thread_local! {
    /// The plan of all products of this thread, where they are tried.
    static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
}

/// Outputs and blocks of a tile, and the parts of the sum.
type Plan = ((u32, u32), u32);

/// Makes products by this plan.
pub(super) fn with_plan<T>(plan: Option<Plan>, work: impl FnOnce() -> T) -> T {
    let before = PLAN.replace(plan);
    let result = work();
    PLAN.set(before);
    result
}

/// A picture and the window that goes over it. A matrix is a picture of one column and rows, with a window of one.
struct Window {
    batch: usize,
    height: usize,
    width: usize,
    /// Numbers from a pixel to the next.
    pitch: usize,
    inputs: usize,
    rows: usize,
    columns: usize,
    side: usize,
    stride: usize,
    before: usize,
}

/// `packed_weight` for as many outputs as `outputs`; the result lies in rows of outputs.
fn run(
    x: &CubeTensor,
    packed_weight: &CubeTensor,
    bias: Option<CubeTensor>,
    window: &Window,
    outputs: usize,
    result: CubeTensor,
) -> CubeTensor {
    let client = &x.client;
    let pixels = window.batch * window.rows * window.columns;
    let steps = window.inputs / 32 * window.side * window.side;
    let product = Product { rows: pixels, outputs, steps, side: window.side as u32 };
    let processors = client.properties().hardware.num_streaming_multiprocessors.unwrap_or(132);
    let (tile, splits) = match PLAN.get() {
        Some(((outputs, blocks), splits)) => (Tile { outputs, blocks, side: product.side }, splits),
        None => product.plan(processors.max(1)),
    };
    let tiles = outputs.div_ceil(tile.outputs as usize);
    let blocks = pixels.div_ceil(128 * tile.blocks as usize) * tiles;
    let bias = bias.map(|bias| packed(filled(bias, &[0])));
    let partial =
        (splits > 1).then(|| empty_in(x, Shape::new([splits as usize, pixels, outputs]), DType::F32));
    let numbers = [
        window.height,
        window.width,
        window.inputs,
        outputs,
        window.rows,
        window.columns,
        window.stride,
        window.before,
        pixels,
        tiles,
        splits as usize,
        usize::from(bias.is_some()),
        window.pitch,
        0,
        0,
        0,
    ]
    .map(|number| number as u32);
    // What is not there is not looked at: any buffer stands in for it.
    let bias = bias.as_ref().map_or(&packed_weight.handle, |bias| &bias.handle);
    let text = Text::Product(tile);
    let program = Program { entry: "product", text, threads: 256 };
    let parts = partial.as_ref().map_or(&result.handle, |partial| &partial.handle);
    let (input, weight) = (Argument::Read(&x.handle), Argument::Read(&packed_weight.handle));
    program.launch(
        client,
        [blocks as u32, splits, 1],
        &[input, weight, Argument::Read(bias), Argument::Written(&result.handle), Argument::Written(parts)],
        &numbers,
    );
    if let Some(partial) = &partial {
        let program = Program { entry: "gather", text, threads: 256 };
        program.launch(
            client,
            [(pixels * outputs).div_ceil(1024) as u32, 1, 1],
            &[Argument::Read(&partial.handle), Argument::Read(bias), Argument::Written(&result.handle)],
            &numbers,
        );
    }
    result
}

/// `x weight + bias` over the last dimension; `weight` is `[inputs, outputs]` as `linear_weight` left it.
pub(in crate::kernels::gpu) fn linear(
    x: CubeTensor,
    weight: CubeTensor,
    bias: Option<CubeTensor>,
) -> CubeTensor {
    let [_, outputs] = weight.meta.shape().dims();
    cut(over_rows(x, &ready_linear(weight), bias), outputs)
}

/// The gradient of the rows of [`linear`].
pub(in crate::kernels::gpu) fn linear_gradient(grad: CubeTensor, weight: CubeTensor) -> CubeTensor {
    let [inputs, _] = weight.meta.shape().dims();
    cut(over_rows(grad, &for_gradient_of_linear(ready_linear(weight)), None), inputs)
}

fn for_gradient_of_linear(weight: CubeTensor) -> CubeTensor {
    let [inputs, outputs] = weight.meta.shape().dims();
    let weight = packed_for_gradient(weight, inputs, outputs, 1);
    CubeBackend::float_reshape(weight, Shape::new([outputs, inputs]))
}

fn over_rows(x: CubeTensor, weight: &CubeTensor, bias: Option<CubeTensor>) -> CubeTensor {
    let [inputs, outputs] = weight.meta.shape().dims();
    let last = x.meta.shape().num_dims() - 1;
    let (x, pitch) = in_rows(filled(x, &[last]));
    let mut shape = x.meta.shape().clone();
    let rows = shape.num_elements() / inputs;
    shape[last] = outputs;
    let result = empty_of(&x, shape);
    let window = Window {
        batch: 1,
        height: rows,
        width: 1,
        pitch,
        inputs,
        rows,
        columns: 1,
        side: 1,
        stride: 1,
        before: 0,
    };
    run(&x, weight, bias, &window, outputs, result)
}

/// Of `x` `[batch, height, width, inputs]`; `weight` is `[outputs, 3, 3, inputs]` as `conv_weight` left it.
pub(in crate::kernels::gpu) fn convolve(
    x: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    sampling: Sampling,
) -> CubeTensor {
    let [outputs, side, _, _] = weight.meta.shape().dims();
    let (stride, before, after) = sampling.stride_and_padding();
    let weight = ready_conv(weight);
    let [filled_outputs, _, _, inputs] = weight.meta.shape().dims();
    let (x, pitch) = in_rows(filled(x, &[3]));
    let [batch, height, width, _] = x.meta.shape().dims();
    let along = |length: usize| (length + before + after - side) / stride + 1;
    let (rows, columns) = (along(height), along(width));
    let result = empty_of(&x, Shape::new([batch, rows, columns, filled_outputs]));
    let window = Window { batch, height, width, pitch, inputs, rows, columns, side, stride, before };
    cut(run(&x, &weight, Some(bias), &window, filled_outputs, result), outputs)
}

/// The gradient of the input `[batch, height, width, inputs]` of [`convolve`]: a convolution of the result's gradient, between whose
/// pixels there are zeros where the window strode over some.
pub(in crate::kernels::gpu) fn convolve_gradient(
    grad: CubeTensor,
    weight: CubeTensor,
    [batch, height, width, inputs]: [usize; 4],
    sampling: Sampling,
) -> CubeTensor {
    let (stride, before, _) = sampling.stride_and_padding();
    let weight = ready_conv(weight);
    let [outputs, side, _, filled_inputs] = weight.meta.shape().dims();
    let grad = filled(grad, &[3]);
    let (grad, pitch) = in_rows(if stride == 1 { grad } else { spread(grad, stride) });
    let [_, grad_height, grad_width, _] = grad.meta.shape().dims();
    let weight = packed_for_gradient(weight, filled_inputs, outputs, side * side);
    let result = empty_of(&grad, Shape::new([batch, height, width, filled_inputs]));
    let window = Window {
        batch,
        height: grad_height,
        width: grad_width,
        pitch,
        inputs: outputs,
        rows: height,
        columns: width,
        side,
        stride: 1,
        before: side - 1 - before,
    };
    cut(run(&grad, &weight, None, &window, filled_inputs, result), inputs)
}

/// Pixels at multiples of the stride, zeros between them.
fn spread(x: CubeTensor, stride: usize) -> CubeTensor {
    let [batch, height, width, channels] = x.meta.shape().dims();
    let shape = Shape::new([batch, height, stride, width, stride, channels]);
    let zeros = CubeBackend::float_zeros(shape, &x.device, FloatDType::from(x.dtype));
    let x = CubeBackend::float_reshape(x, Shape::new([batch, height, 1, width, 1, channels]));
    let places = [0..batch, 0..height, 0..1, 0..width, 0..1, 0..channels].map(Slice::from);
    let spread = CubeBackend::float_slice_assign(zeros, &places, x);
    let shape = Shape::new([batch, height * stride, width * stride, channels]);
    CubeBackend::float_reshape(spread, shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(rows: usize, outputs: usize, steps: usize, side: u32) -> (u32, u32, u32) {
        let (tile, splits) = Product { rows, outputs, steps, side }.plan(132);
        (tile.outputs, tile.blocks, splits)
    }

    #[test]
    fn few_rows_are_split_and_many_are_not() {
        // 64x64 latents, eight of them, 320 channels: every processor has enough to do
        let (outputs, _, splits) = planned(8 * 4096, 320, 90, 3);
        assert_eq!((outputs, splits), (160, 1));
        // 8x8 latents: sixteen tiles of a long sum
        assert!(planned(512, 1280, 360, 3).2 > 2);
        // a single row
        assert!(planned(8, 1280, 40, 1).2 > 1);
    }

    #[test]
    fn a_short_sum_is_not_split() {
        assert_eq!(planned(64, 320, 2, 1).2, 1);
    }

    #[test]
    fn the_instruction_names_all_its_registers() {
        let text = Tile { outputs: 16, blocks: 1, side: 3 }.beginning();
        assert!(
            text.contains(
                "m64n16k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7}, {%8, %9, %10, %11}, %12, 1"
            ),
            "{text}"
        );
        assert!(text.contains("float (&d)[8]"), "{text}");
    }
}
