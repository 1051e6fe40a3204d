//! `sphere`: a direction at a fixed length, `v = m u` with `u = d/|d|`, under a prior towards the start's direction.
//!
//! Directional textual inversion (Kim et al. 2025, arXiv 2512.13672): `m` is the mean length of the model's token
//! vectors; the prior is von Mises-Fisher, which adds `kappa (1 - <u0,u>)` to the loss of each vector (its constant is
//! chosen so that it is 0 at the start). So `dL/du = m g - kappa u0`, of which only the part across `u` counts. A step is
//! Riemannian gradient descent as the authors' program takes it: that part is divided by its own length, the direction
//! moves by the learning rate against it and is brought back onto the sphere. Every step turns a vector by
//! `atan(learning rate)`; there are no moments, and nothing is carried from step to step but the direction.

use super::{dot, norm};

/// Added to a gradient's length before dividing by it.
const EPSILON: f64 = 1e-8;

/// `v = m d/|d|`.
pub(super) fn vector(d: &[f32], radius: f64) -> Vec<f32> {
    let scale = radius / norm(d);
    d.iter().map(|x| (f64::from(*x) * scale) as f32).collect()
}

/// The direction of length 1.
pub(super) fn unit(d: &[f32]) -> Vec<f32> {
    vector(d, 1.0)
}

/// The prior's term for one vector: 0 at the start, `2 kappa` opposite to it.
pub(super) fn penalty(d: &[f32], start: &[f32], kappa: f64) -> f64 {
    kappa * (1.0 - dot(d, start) / (norm(d) * norm(start)))
}

/// The gradient of the whole loss with respect to `d`: `(1/|d|)(I - u u')(m g - kappa u0)`.
pub(super) fn gradient(d: &[f32], start: &[f32], g: &[f32], radius: f64, kappa: f64) -> Vec<f32> {
    let (length, start_length) = (norm(d), norm(start));
    let unit = |d: &f32| f64::from(*d) / length;
    let whole = |(g, start): (&f32, &f32)| radius * f64::from(*g) - kappa * f64::from(*start) / start_length;
    let along: f64 = d.iter().zip(g.iter().zip(start)).map(|(d, pair)| unit(d) * whole(pair)).sum();
    let across = |(d, pair)| ((whole(pair) - along * unit(d)) / length) as f32;
    d.iter().zip(g.iter().zip(start)).map(across).collect()
}

/// One step against a gradient that lies across `d`. Where there is none, `d` stays.
pub(super) fn step(d: &mut [f32], gradient: &[f32], learning_rate: f64) {
    let scale = learning_rate / (norm(gradient) + EPSILON);
    for (d, gradient) in d.iter_mut().zip(gradient) {
        *d = (f64::from(*d) - scale * f64::from(*gradient)) as f32;
    }
    let length = norm(d);
    for d in d {
        *d = (f64::from(*d) / length) as f32;
    }
}
