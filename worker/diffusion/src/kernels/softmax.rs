//! `softmax(scale * x)` over the last dimension.

use super::rows::{block_of_rows, for_blocks, shape_and_width, sum, tensor, vectorised, with_slice};
use super::{Floats, Operation, math};

#[derive(Debug, Clone)]
pub(super) struct SoftmaxOp {
    /// Above 0.
    pub(super) scale: f32,
}

impl Operation for SoftmaxOp {
    /// The probabilities.
    type Kept = Floats;

    fn forward(&self, x: &Floats) -> Floats {
        let (shape, width) = shape_and_width(x);
        with_slice(x, |x| {
            let mut y = vec![0.0; x.len()];
            let block = block_of_rows(width);
            for_blocks(&mut y, block, |index, y| {
                let x = &x[index * block..][..y.len()];
                vectorised(|| {
                    for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                        forward_row(y, x, self.scale);
                    }
                });
            });
            tensor(y, shape)
        })
    }

    fn keep(&self, _: Floats, y: &Floats) -> Floats {
        y.clone()
    }

    fn gradient(&self, y: Floats, grad: Floats) -> Floats {
        let (shape, width) = shape_and_width(&y);
        with_slice(&y, |y| {
            with_slice(&grad, |grad| {
                let mut dx = vec![0.0; y.len()];
                let block = block_of_rows(width);
                for_blocks(&mut dx, block, |index, dx| {
                    let y = &y[index * block..][..dx.len()];
                    let grad = &grad[index * block..][..dx.len()];
                    let rows = y.chunks_exact(width).zip(grad.chunks_exact(width));
                    vectorised(|| {
                        for (dx, (y, grad)) in dx.chunks_exact_mut(width).zip(rows) {
                            let mean = sum(width, |i| y[i] * grad[i]);
                            for ((dx, &y), &grad) in dx.iter_mut().zip(y).zip(grad) {
                                *dx = self.scale * y * (grad - mean);
                            }
                        }
                    });
                });
                tensor(dx, shape)
            })
        })
    }
}

#[inline(always)]
fn forward_row(y: &mut [f32], x: &[f32], scale: f32) {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = x.chunks_exact(lanes.len());
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let highest = lanes.iter().copied().fold(rest, f32::max);
    for (y, &x) in y.iter_mut().zip(x) {
        *y = math::exp((x - highest) * scale);
    }
    let total = sum(y.len(), |i| y[i]).recip();
    y.iter_mut().for_each(|y| *y *= total);
}
