//! A linear layer: one matrix product over all rows, the bias added where the product lies.

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;

use super::Floats;
use super::rows::{shape, shape_and_width, vectorised, with_slice};

#[derive(Debug, Clone)]
pub(super) struct LinearOp {
    /// `[inputs, outputs]`, in this order in memory.
    pub(super) weight: Floats,
    pub(super) bias: Option<Floats>,
}

impl LinearOp {
    pub(super) fn forward(&self, x: &Floats) -> Floats {
        let mut y = product(x, self.weight.clone());
        if let Some(bias) = &self.bias {
            let y: &mut [f32] = y.storage_mut();
            with_slice(bias, |bias| {
                vectorised(|| {
                    for row in y.chunks_exact_mut(bias.len()) {
                        row.iter_mut().zip(bias).for_each(|(y, &bias)| *y += bias);
                    }
                });
            });
        }
        y
    }

    pub(super) fn gradient(&self, grad: &Floats) -> Floats {
        product(grad, self.weight.transpose(0, 1).to_contiguous())
    }
}

/// The rows of `x` times `matrix`.
fn product(x: &Floats, matrix: Floats) -> Floats {
    let (mut x_shape, width) = shape_and_width(x);
    let columns = shape(&matrix).last().copied().unwrap_or(1);
    let rows = x_shape.iter().product::<usize>() / width;
    let y = Flex::float_matmul(x.to_contiguous().reshape([rows, width].into()), matrix);
    if let Some(last) = x_shape.last_mut() {
        *last = columns;
    }
    y.reshape(x_shape.into())
}
