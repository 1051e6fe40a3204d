//! How far a value may be from the reference, as `docs/parity.md` explains. They are requirements, not settings.

/// Text encoder: the tanh form of GELU alone makes 1.5e-4.
pub(crate) const TEXT: f64 = 5e-5;
/// Any other single pass: VAE, UNet, and the gradient through it.
pub(crate) const PASS: f64 = 1e-4;
/// Latents along a trajectory, and the picture before clamping.
pub(crate) const TRAJECTORY: f64 = 2e-4;
/// Everything that an optimisation makes.
pub(crate) const TRAINING: f64 = 1e-4;
/// Values of a schedule, which take a few roundings of f32.
pub(crate) const SCHEDULE: f64 = 1e-6;
/// Vectors that are only copied or rebuilt: a few roundings of f32.
pub(crate) const COPY: f64 = 1e-6;
/// The largest difference of two bytes of a PNG.
pub(crate) const PNG_DIFFERENCE: f64 = 1.0;
/// The share of a PNG's bytes that may differ.
pub(crate) const PNG_SHARE: f64 = 0.005;
/// Numbers that must be the same: the error is how many are not.
pub(crate) const EXACT: f64 = 0.0;
