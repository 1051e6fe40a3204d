//! `none`: the vector itself, under a penalty on its length or on its distance from the start.

use super::L2Mode;

/// What the penalty's weight multiplies, for one vector `v`: the sum of its squares, or of its squared distances.
pub(super) fn squares(v: &[f32], v0: &[f32], l2: L2Mode) -> f64 {
    let squares = |origin: fn(f32) -> f64| -> f64 {
        v.iter().zip(v0).map(|(v, v0)| f64::from(*v) - origin(*v0)).map(|x| x * x).sum()
    };
    match l2 {
        L2Mode::Decoupled => 0.0,
        L2Mode::Coupled => squares(|_| 0.0),
        L2Mode::Anchor => squares(f64::from),
    }
}

/// The gradient of the plain loss `g` with the penalty's added.
pub(super) fn gradient(v: &[f32], v0: &[f32], g: &[f32], l2: L2Mode, weight: f64) -> Vec<f32> {
    v.iter()
        .zip(v0)
        .zip(g)
        .map(|((v, v0), g)| {
            let pull = match l2 {
                L2Mode::Decoupled => 0.0,
                L2Mode::Coupled => 2.0 * weight * f64::from(*v),
                L2Mode::Anchor => 2.0 * weight * (f64::from(*v) - f64::from(*v0)),
            };
            (f64::from(*g) + pull) as f32
        })
        .collect()
}
