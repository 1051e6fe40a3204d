//! Functions that the compiler can compute for many numbers at once: no branches, no calls.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

/// 1.5 * 2^23: adding it rounds to a whole number that then stands in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts, the first of few bits.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// 1 / sqrt(2 pi).
const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;

/// The exponential, to about 1 ulp; arguments outside [-87, 88] count as the bound.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let rest = x - whole * LN2_HIGH - whole * LN2_LOW;
    let tail = 1.987_569_1e-4;
    let tail = tail * rest + 1.398_2e-3;
    let tail = tail * rest + 8.333_452e-3;
    let tail = tail * rest + 4.166_579_6e-2;
    let tail = tail * rest + 1.666_666_5e-1;
    let tail = tail * rest + 0.5;
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    (tail * rest * rest + rest + 1.0) * power
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function to 3e-7: a quotient of polynomials, as XLA and Eigen compute it.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let above = -2.726_142_3e-10;
    let above = above * square + 2.770_681_4e-8;
    let above = above * square - 2.101_024e-6;
    let above = above * square - 5.692_506_4e-5;
    let above = above * square - 7.349_906_3e-4;
    let above = above * square - 2.954_6e-3;
    let above = above * square - 1.609_603_3e-2;
    let below = -1.456_607_2e-5;
    let below = below * square - 2.133_740_6e-4;
    let below = below * square - 1.682_827e-3;
    let below = below * square - 7.373_329_2e-3;
    let below = below * square - 1.426_473_9e-2;
    x * above / below
}

/// The exact GELU, `x (1 + erf(x / sqrt 2)) / 2`.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// The GELU and its derivative.
#[inline(always)]
pub(super) fn gelu_and_slope(x: f32) -> (f32, f32) {
    let below = 0.5 * (1.0 + erf(x * FRAC_1_SQRT_2));
    (x * below, below + x * FRAC_1_SQRT_2PI * exp(-0.5 * x * x))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> impl Iterator<Item = f32> {
        (-8000..=8000).map(|step| step as f32 * 1e-3)
    }

    #[test]
    fn exp_is_exact_to_a_few_ulp() {
        for x in samples().map(|x| x * 10.0) {
            let (found, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((found / exact - 1.0).abs() < 3e-7, "exp({x}) = {found}, not {exact}");
        }
    }

    #[test]
    fn exp_stays_finite_and_reaches_almost_nothing() {
        assert!(exp(f32::INFINITY).is_finite());
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn gelu_is_exact_to_rounding() {
        for x in samples() {
            let exact = f64::from(x) * 0.5 * (1.0 + erf_f64(f64::from(x) * std::f64::consts::FRAC_1_SQRT_2));
            assert!((f64::from(gelu(x)) - exact).abs() < 1e-6 * f64::from(x).abs().max(0.1), "gelu({x})");
        }
    }

    #[test]
    fn the_slope_is_the_difference_quotient() {
        for x in samples() {
            let step = 1e-4_f64;
            let at = |x: f64| 0.5 * x * (1.0 + erf_f64(x * std::f64::consts::FRAC_1_SQRT_2));
            let quotient = (at(f64::from(x) + step) - at(f64::from(x) - step)) / (2.0 * step);
            let (_, slope) = gelu_and_slope(x);
            assert!((f64::from(slope) - quotient).abs() < 2e-6, "slope at {x}: {slope}, not {quotient}");
        }
    }

    /// The error function in f64, by a series of positive terms.
    fn erf_f64(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..300 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        sum * (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt()
    }
}
