//! Group normalisation of channels-last pictures, with SiLU after it where wanted.
//!
//! A picture is `pixels x channels`; sums run down the pixels for all channels at once. They are gathered
//! in f32 over a few pixels and in f64 over these, so that large pictures lose nothing.

use super::rows::{for_blocks, shape, tensor, vectorised, with_slice};
use super::{Floats, Grouping, math};

/// Pixels whose sums are gathered in f32.
const RUN: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct GroupNormOp {
    pub(super) gamma: Floats,
    pub(super) beta: Floats,
    pub(super) grouping: Grouping,
}

impl GroupNormOp {
    pub(super) fn forward(&self, x: &Floats) -> Floats {
        let shape = shape(x);
        let (channels, picture) = sizes(&shape);
        self.with_parameters(|gamma, beta| {
            with_slice(x, |x| {
                let mut y = vec![0.0; x.len()];
                for_blocks(&mut y, picture, |index, y| {
                    let x = &x[index * picture..][..picture];
                    vectorised(|| {
                        let moments = Moments::of(x, channels, self.grouping.groups, self.grouping.epsilon);
                        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                            normalise(y, x, &moments, gamma, beta, self.grouping.activate);
                        }
                    });
                });
                tensor(y, shape)
            })
        })
    }

    pub(super) fn gradient(&self, x: &Floats, grad: &Floats) -> Floats {
        let shape = shape(x);
        let (channels, picture) = sizes(&shape);
        self.with_parameters(|gamma, beta| {
            with_slice(x, |x| {
                with_slice(grad, |grad| {
                    let mut dx = vec![0.0; x.len()];
                    for_blocks(&mut dx, picture, |index, dx| {
                        let x = &x[index * picture..][..picture];
                        let grad = &grad[index * picture..][..picture];
                        vectorised(|| self.gradient_of_picture(dx, x, grad, gamma, beta, channels));
                    });
                    tensor(dx, shape)
                })
            })
        })
    }
}

impl GroupNormOp {
    fn with_parameters<R>(&self, work: impl FnOnce(&[f32], &[f32]) -> R) -> R {
        with_slice(&self.gamma, |gamma| with_slice(&self.beta, |beta| work(gamma, beta)))
    }

    /// With `u` the normalised values and `g` the gradient of them,
    /// `dx = (g - mean(g) - u mean(g u)) / deviation`, the means over a group.
    #[inline(always)]
    fn gradient_of_picture(
        &self,
        dx: &mut [f32],
        x: &[f32],
        grad: &[f32],
        gamma: &[f32],
        beta: &[f32],
        channels: usize,
    ) {
        let moments = Moments::of(x, channels, self.grouping.groups, self.grouping.epsilon);
        let rows = dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels));
        for ((dx, x), grad) in rows.zip(grad.chunks_exact(channels)) {
            gradient_of_normalised(dx, x, grad, &moments, gamma, beta, self.grouping.activate);
        }
        let mut levels = column_sums(dx, channels, |g, _| g, &moments.means);
        let mut slopes = product_sums(dx, x, channels, &moments);
        let count = (x.len() / self.grouping.groups) as f64;
        spread_over_groups(&mut levels, self.grouping.groups, |sum| sum / count);
        spread_over_groups(&mut slopes, self.grouping.groups, |sum| sum / count);
        let (levels, slopes) = (narrow(&levels), narrow(&slopes));
        for (dx, x) in dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            let moments = moments.means.iter().zip(&moments.scales);
            let means = levels.iter().zip(&slopes).zip(moments);
            for ((dx, &x), ((&level, &slope), (&mean, &scale))) in dx.iter_mut().zip(x).zip(means) {
                *dx = (*dx - level - (x - mean) * scale * slope) * scale;
            }
        }
    }
}

/// Channels, and elements of a picture; both at least 1.
fn sizes(shape: &[usize]) -> (usize, usize) {
    let channels = shape.last().copied().unwrap_or(1).max(1);
    (channels, shape.iter().skip(1).product::<usize>().max(1))
}

/// For each channel, its group's mean and one over its group's deviation.
struct Moments {
    means: Vec<f32>,
    scales: Vec<f32>,
}

impl Moments {
    #[inline(always)]
    fn of(x: &[f32], channels: usize, groups: usize, epsilon: f64) -> Self {
        let count = (x.len() / groups) as f64;
        let none = vec![0.0; channels];
        let mut means = column_sums(x, channels, |x, _| x, &none);
        spread_over_groups(&mut means, groups, |sum| sum / count);
        let means = narrow(&means);
        let mut scales = column_sums(x, channels, |x, mean| (x - mean) * (x - mean), &means);
        spread_over_groups(&mut scales, groups, |sum| (sum / count + epsilon).sqrt().recip());
        Self { scales: narrow(&scales), means }
    }
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// The sum over all pixels of `term(x, offset)`, for each channel.
#[inline(always)]
fn column_sums(x: &[f32], channels: usize, term: impl Fn(f32, f32) -> f32, offsets: &[f32]) -> Vec<f64> {
    let mut totals = vec![0.0_f64; channels];
    let mut run = vec![0.0_f32; channels];
    for pixels in x.chunks(channels * RUN) {
        run.fill(0.0);
        for pixel in pixels.chunks_exact(channels) {
            for ((sum, &x), &offset) in run.iter_mut().zip(pixel).zip(offsets) {
                *sum += term(x, offset);
            }
        }
        totals.iter_mut().zip(&run).for_each(|(total, &sum)| *total += f64::from(sum));
    }
    totals
}

/// The sum over all pixels of `g` times the normalised `x`, for each channel.
#[inline(always)]
fn product_sums(g: &[f32], x: &[f32], channels: usize, moments: &Moments) -> Vec<f64> {
    let mut totals = vec![0.0_f64; channels];
    let mut run = vec![0.0_f32; channels];
    for (g, x) in g.chunks(channels * RUN).zip(x.chunks(channels * RUN)) {
        run.fill(0.0);
        for (g, x) in g.chunks_exact(channels).zip(x.chunks_exact(channels)) {
            for (((sum, &g), &x), &mean) in run.iter_mut().zip(g).zip(x).zip(&moments.means) {
                *sum += g * (x - mean);
            }
        }
        let scaled = run.iter().zip(&moments.scales).map(|(&sum, &scale)| f64::from(sum) * f64::from(scale));
        totals.iter_mut().zip(scaled).for_each(|(total, sum)| *total += sum);
    }
    totals
}

/// Replaces every channel's sum by `finish` of the sum over its group.
fn spread_over_groups(sums: &mut [f64], groups: usize, finish: impl Fn(f64) -> f64) {
    let width = (sums.len() / groups).max(1);
    for group in sums.chunks_exact_mut(width) {
        let finished = finish(group.iter().sum());
        group.fill(finished);
    }
}

/// A pixel of the result.
#[inline(always)]
fn normalise(y: &mut [f32], x: &[f32], moments: &Moments, gamma: &[f32], beta: &[f32], activate: bool) {
    let affine = gamma.iter().zip(beta);
    let parameters = moments.means.iter().zip(&moments.scales).zip(affine);
    for ((y, &x), ((&mean, &scale), (&gamma, &beta))) in y.iter_mut().zip(x).zip(parameters) {
        *y = (x - mean) * scale * gamma + beta;
    }
    if activate {
        y.iter_mut().for_each(|y| *y *= math::sigmoid(*y));
    }
}

/// A pixel of the gradient of the normalised values.
#[inline(always)]
fn gradient_of_normalised(
    dx: &mut [f32],
    x: &[f32],
    grad: &[f32],
    moments: &Moments,
    gamma: &[f32],
    beta: &[f32],
    activate: bool,
) {
    if !activate {
        for ((dx, &grad), &gamma) in dx.iter_mut().zip(grad).zip(gamma) {
            *dx = grad * gamma;
        }
        return;
    }
    let affine = gamma.iter().zip(beta);
    let parameters = moments.means.iter().zip(&moments.scales).zip(affine);
    let inputs = x.iter().zip(grad).zip(parameters);
    for (dx, ((&x, &grad), ((&mean, &scale), (&gamma, &beta)))) in dx.iter_mut().zip(inputs) {
        let y = (x - mean) * scale * gamma + beta;
        let sigmoid = math::sigmoid(y);
        *dx = grad * gamma * sigmoid * (1.0 + y * (1.0 - sigmoid));
    }
}
