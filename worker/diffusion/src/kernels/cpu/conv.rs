//! 3x3 convolution of channels-last pictures as matrix products.
//!
//! The nine pixels under an output pixel are three runs of `3 x inputs` neighbouring numbers: copying them
//! to a row is cheap, and a product of such rows with the weights is the convolution. Rows are made for a
//! strip of the pictures at a time, small enough to stay in the cache. The gradient of the input runs the
//! same way backwards: products with the weights, added onto the nine pixels.

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;

use super::Floats;
use super::rows::{for_blocks, shape, tensor, vectorised, with_slice};
use crate::layers::Sampling;

/// Pixels under an output pixel.
const TAPS: usize = 9;
/// Elements of the strip that are unfolded at a time.
const STRIP: usize = 1 << 19;

#[derive(Debug, Clone)]
pub(super) struct Conv3x3Op {
    /// `[3, 3, inputs, outputs]`, in this order in memory.
    pub(super) weight: Floats,
    pub(super) sampling: Sampling,
}

impl Conv3x3Op {
    pub(super) fn forward(&self, x: &Floats, bias: &Floats) -> Floats {
        let geometry = Geometry::new(four(&shape(x)), self.sampling);
        let (weight, outputs) = self.unfolded_to_outputs();
        let mut y = vec![0.0; geometry.batch * geometry.output_pixels() * outputs];
        with_slice(x, |x| {
            with_slice(bias, |bias| {
                let share = geometry.share();
                for_blocks(&mut y, share * geometry.output_pixels() * outputs, |index, y| {
                    let pictures = &x[index * share * geometry.input_len()..];
                    let strips = y.chunks_mut(geometry.strip_rows() * geometry.out_width * outputs);
                    for (strip, y) in strips.enumerate() {
                        let rows = y.len() / outputs / geometry.out_width;
                        let unfolded = geometry.unfold(pictures, strip * geometry.strip_rows(), rows);
                        let product = Flex::float_matmul(unfolded, weight.clone());
                        with_slice(&product, |product| vectorised(|| add_bias(y, product, bias)));
                    }
                });
            });
        });
        tensor(y, [geometry.batch, geometry.out_height, geometry.out_width, outputs])
    }

    pub(super) fn gradient(&self, input: [usize; 4], grad: &Floats) -> Floats {
        let geometry = Geometry::new(input, self.sampling);
        let (weight, outputs) = self.unfolded_to_outputs();
        let weight = weight.transpose(0, 1).to_contiguous();
        let mut dx = vec![0.0; geometry.batch * geometry.input_len()];
        with_slice(grad, |grad| {
            let share = geometry.share();
            for_blocks(&mut dx, share * geometry.input_len(), |index, dx| {
                let len = dx.len() / geometry.input_len() * geometry.output_pixels() * outputs;
                let grad = &grad[index * share * geometry.output_pixels() * outputs..][..len];
                let strips = grad.chunks(geometry.strip_rows() * geometry.out_width * outputs);
                for (strip, grad) in strips.enumerate() {
                    let pixels = grad.len() / outputs;
                    let grad = tensor(grad.to_vec(), [pixels, outputs]);
                    let unfolded = Flex::float_matmul(grad, weight.clone());
                    let first = strip * geometry.strip_rows();
                    with_slice(&unfolded, |unfolded| {
                        vectorised(|| geometry.fold(dx, unfolded, first, pixels / geometry.out_width));
                    });
                }
            });
        });
        tensor(dx, input)
    }
}

impl Conv3x3Op {
    /// The weights as `[9 * inputs, outputs]`, and the number of outputs.
    fn unfolded_to_outputs(&self) -> (Floats, usize) {
        let [_, _, inputs, outputs] = four(&shape(&self.weight));
        (self.weight.reshape([TAPS * inputs, outputs].into()), outputs)
    }
}

fn four(shape: &[usize]) -> [usize; 4] {
    std::array::from_fn(|dimension| shape.get(dimension).copied().unwrap_or(1))
}

#[inline(always)]
fn add_bias(y: &mut [f32], product: &[f32], bias: &[f32]) {
    for (y, product) in y.chunks_exact_mut(bias.len()).zip(product.chunks_exact(bias.len())) {
        for ((y, &product), &bias) in y.iter_mut().zip(product).zip(bias) {
            *y = product + bias;
        }
    }
}

/// Where the pixels of input and output lie.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
    stride: usize,
    /// Rows and columns of zeros before the first.
    before: usize,
}

impl Geometry {
    fn new([batch, height, width, channels]: [usize; 4], sampling: Sampling) -> Self {
        let (stride, before, after) = sampling.stride_and_padding();
        let size = |length: usize| (length + before + after - 3) / stride + 1;
        let (out_height, out_width) = (size(height), size(width));
        Self { batch, height, width, channels, out_height, out_width, stride, before }
    }

    fn input_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn output_pixels(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Pictures that one thread works on. Their rows are counted on from picture to picture.
    fn share(&self) -> usize {
        self.batch.div_ceil(rayon::current_num_threads()).max(1)
    }

    /// Rows of the output that are computed at a time.
    fn strip_rows(&self) -> usize {
        (STRIP / (TAPS * self.channels * self.out_width)).max(1)
    }

    /// The input row under tap row `tap` of output row `row`; both are counted over all pictures.
    #[inline(always)]
    fn input_row(&self, row: usize, tap: usize) -> Option<usize> {
        let (picture, row) = (row / self.out_height, row % self.out_height);
        let inside = (row * self.stride + tap).checked_sub(self.before).filter(|&row| row < self.height)?;
        Some(picture * self.height + inside)
    }

    /// For output column `column`: the first tap column inside the picture, the number of those, and the
    /// first input column.
    #[inline(always)]
    fn input_columns(&self, column: usize) -> (usize, usize, usize) {
        let first = column * self.stride;
        let skipped = self.before.saturating_sub(first);
        let start = first + skipped - self.before;
        (skipped, (3 - skipped).min(self.width - start), start)
    }

    /// The pixels under `rows` rows of the output from row `first` on, `[pixels, 9 * channels]`.
    fn unfold(&self, pictures: &[f32], first: usize, rows: usize) -> Floats {
        let run = 3 * self.channels;
        let mut unfolded = vec![0.0; rows * self.out_width * 3 * run];
        for (index, pixel) in unfolded.chunks_exact_mut(3 * run).enumerate() {
            let (row, column) = (first + index / self.out_width, index % self.out_width);
            let (skipped, count, start) = self.input_columns(column);
            for (tap, to) in pixel.chunks_exact_mut(run).enumerate() {
                if let Some(row) = self.input_row(row, tap) {
                    let from = (row * self.width + start) * self.channels;
                    let length = count * self.channels;
                    to[skipped * self.channels..][..length].copy_from_slice(&pictures[from..][..length]);
                }
            }
        }
        tensor(unfolded, [rows * self.out_width, TAPS * self.channels])
    }

    /// Adds unfolded rows back onto the pixels they were taken from.
    #[inline(always)]
    fn fold(&self, pictures: &mut [f32], unfolded: &[f32], first: usize, rows: usize) {
        let run = 3 * self.channels;
        for row in 0..rows {
            for column in 0..self.out_width {
                let pixel = &unfolded[(row * self.out_width + column) * 3 * run..][..3 * run];
                let (skipped, count, start) = self.input_columns(column);
                for (tap, from) in pixel.chunks_exact(run).enumerate() {
                    if let Some(row) = self.input_row(first + row, tap) {
                        let to = (row * self.width + start) * self.channels;
                        let length = count * self.channels;
                        let to = &mut pictures[to..][..length];
                        let from = &from[skipped * self.channels..][..length];
                        to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
                    }
                }
            }
        }
    }
}
