//! `softmax(scale * scores)` over the last dimension, where a row may see only its first scores.

use super::rows::{block_of_rows, for_blocks, shape_and_width, sum, tensor, vectorised, with_slice};
use super::{Floats, math};

/// How the rows of a matrix of scores are weighed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Softmax {
    /// Above 0.
    pub(super) scale: f32,
    /// Where hidden positions are: the query of the first row of each matrix, and the rows of a matrix.
    pub(super) causal: Option<(usize, usize)>,
}

impl Softmax {
    /// Scores that row `row` of all sees, of `width`.
    fn seen(&self, row: usize, width: usize) -> usize {
        self.causal.map_or(width, |(first, rows)| (first + row % rows + 1).min(width))
    }

    pub(super) fn probabilities(&self, scores: &Floats) -> Floats {
        let (shape, width) = shape_and_width(scores);
        with_slice(scores, |x| {
            let mut y = vec![0.0; x.len()];
            let block = block_of_rows(width);
            for_blocks(&mut y, block, |index, y| {
                let x = &x[index * block..][..y.len()];
                vectorised(|| {
                    let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(width));
                    for (row, (y, x)) in rows.enumerate() {
                        let seen = self.seen(index * block / width + row, width);
                        forward_row(&mut y[..seen], &x[..seen], self.scale);
                    }
                });
            });
            tensor(y, shape)
        })
    }

    /// The gradient of the scores, given the probabilities and their gradient.
    pub(super) fn gradient(&self, probabilities: &Floats, grad: &Floats) -> Floats {
        let (shape, width) = shape_and_width(probabilities);
        with_slice(probabilities, |y| {
            with_slice(grad, |grad| {
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
