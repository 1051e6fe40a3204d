//! Normalisation of rows, with the variance of the centred values.

use super::Floats;
use super::rows::{block_of_rows, for_blocks, shape_and_width, sum, tensor, vectorised, with_slice};

#[derive(Debug, Clone)]
pub(super) struct LayerNormOp {
    pub(super) gamma: Floats,
    pub(super) epsilon: f64,
}

impl LayerNormOp {
    pub(super) fn forward(&self, x: &Floats, beta: &Floats) -> Floats {
        let (shape, width) = shape_and_width(x);
        let epsilon = self.epsilon as f32;
        with_slices(x, &self.gamma, beta, |x, gamma, beta| {
            let mut y = vec![0.0; x.len()];
            let block = block_of_rows(width);
            for_blocks(&mut y, block, |index, y| {
                let x = &x[index * block..][..y.len()];
                vectorised(|| {
                    for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                        let (mean, scale) = moments(x, epsilon);
                        for (((y, &x), &gamma), &beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                            *y = (x - mean) * scale * gamma + beta;
                        }
                    }
                });
            });
            tensor(y, shape)
        })
    }

    pub(super) fn gradient(&self, x: &Floats, grad: &Floats) -> Floats {
        let (shape, width) = shape_and_width(x);
        let epsilon = self.epsilon as f32;
        with_slices(x, &self.gamma, grad, |x, gamma, grad| {
            let mut dx = vec![0.0; x.len()];
            let block = block_of_rows(width);
            for_blocks(&mut dx, block, |index, dx| {
                let x = &x[index * block..][..dx.len()];
                let grad = &grad[index * block..][..dx.len()];
                let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
                vectorised(|| {
                    for (dx, (x, grad)) in dx.chunks_exact_mut(width).zip(rows) {
                        gradient_row(dx, x, grad, gamma, epsilon);
                    }
                });
            });
            tensor(dx, shape)
        })
    }
}

fn with_slices<R>(
    one: &Floats,
    two: &Floats,
    three: &Floats,
    work: impl FnOnce(&[f32], &[f32], &[f32]) -> R,
) -> R {
    with_slice(one, |one| with_slice(two, |two| with_slice(three, |three| work(one, two, three))))
}

/// The mean, and one over the deviation.
#[inline(always)]
fn moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = sum(x.len(), |i| x[i]) / count;
    let variance = sum(x.len(), |i| (x[i] - mean) * (x[i] - mean)) / count;
    (mean, (variance + epsilon).sqrt().recip())
}

#[inline(always)]
fn gradient_row(dx: &mut [f32], x: &[f32], grad: &[f32], gamma: &[f32], epsilon: f32) {
    let width = x.len();
    let (mean, scale) = moments(x, epsilon);
    let (grad, gamma) = (&grad[..width], &gamma[..width]);
    let level = sum(width, |i| grad[i] * gamma[i]) / width as f32;
    let slope = sum(width, |i| grad[i] * gamma[i] * (x[i] - mean)) * scale / width as f32;
    for (((dx, &x), &grad), &gamma) in dx.iter_mut().zip(x).zip(grad).zip(gamma) {
        *dx = (grad * gamma - level - (x - mean) * scale * slope) * scale;
    }
}
