//! `log_norm`: length and direction apart, `v = a^n d/|d|`.
//!
//! `dL/dn = <g,u> a^n ln a` (2) and `dL/dd = (a^n/|d|)(g - <g,u>u)` for `g = dL/dv`, `u = d/|d|`. Start: `d = v0`,
//! `n = ln|v0| / ln a`, hence `v = v0`. `d` is never renormalised.

use super::norm;

/// `n` at the start.
pub(super) fn log_norm_of(start: &[f32], base: f64) -> f32 {
    (norm(start).ln() / base.ln()) as f32
}

/// Equation (1) for one vector.
pub(super) fn vector(d: &[f32], n: f32, base: f64) -> Vec<f32> {
    let scale = base.powf(f64::from(n)) / norm(d);
    d.iter().map(|x| (f64::from(*x) * scale) as f32).collect()
}

/// `(dL/dd, dL/dn)` of one vector.
pub(super) fn gradient(d: &[f32], n: f64, g: &[f32], base: f64) -> (Vec<f32>, f32) {
    let length = norm(d);
    let along: f64 = d.iter().zip(g).map(|(d, g)| f64::from(*d) / length * f64::from(*g)).sum();
    let scale = base.powf(n);
    let across = d
        .iter()
        .zip(g)
        .map(|(d, g)| (scale / length * (f64::from(*g) - along * f64::from(*d) / length)) as f32)
        .collect();
    (across, (along * scale * base.ln()) as f32)
}
