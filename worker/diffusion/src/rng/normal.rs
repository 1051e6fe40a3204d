//! Box-Muller in f32 with the Cephes polynomials that torch's vectorised CPU code uses
//! (`avx_mathfun.h`, multiply-adds fused).
//!
//! Every operation is a correctly rounded IEEE one (`+ - * sqrt fma`), so the results are equal on all
//! targets, with or without hardware fused multiply-add.

/// How many uniforms make one group: eight radii, then eight angles.
pub(super) const GROUP: usize = 16;

/// Turns sixteen uniforms of [0, 1) into sixteen standard normals, in place: the pair (j, j + 8) becomes
/// `(r cos θ, r sin θ)` with `r = sqrt(-2 ln(1 - u_j))` and `θ = 2π u_{j+8}`.
pub(super) fn box_muller_group(group: &mut [f32; GROUP]) {
    let (radii, angles) = group.split_at_mut(GROUP / 2);
    for (first, second) in radii.iter_mut().zip(angles) {
        (*first, *second) = box_muller_pair(*first, *second);
    }
}

/// Two standard normals of two uniforms of [0, 1) with 24 bits.
fn box_muller_pair(u1: f32, u2: f32) -> (f32, f32) {
    let radius = (-2.0 * cephes_ln(1.0 - u1)).sqrt();
    let (sin, cos) = cephes_sin_cos(std::f32::consts::TAU * u2);
    (radius * cos, radius * sin)
}

/// Cephes `logf` for normal positive x.
#[allow(clippy::excessive_precision, reason = "the constants as Cephes publishes them")]
fn cephes_ln(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 8] = [
        -1.151_461_031_0e-1,
        1.167_699_874_0e-1,
        -1.242_014_084_6e-1,
        1.424_932_278_7e-1,
        -1.666_805_766_5e-1,
        2.000_071_476_5e-1,
        -2.499_999_399_3e-1,
        3.333_333_117_4e-1,
    ];
    let bits = x.to_bits();
    let mut exponent = ((bits >> 23) as i32 - 126) as f32;
    let mantissa = f32::from_bits((bits & 0x807f_ffff) | 0x3f00_0000);
    let x = if mantissa < std::f32::consts::FRAC_1_SQRT_2 {
        exponent -= 1.0;
        (mantissa - 1.0) + mantissa
    } else {
        mantissa - 1.0
    };
    let z = x * x;
    let polynomial = COEFFICIENTS.iter().fold(7.037_683_629_2e-2f32, |y, c| y.mul_add(x, *c));
    let y = (polynomial * x).mul_add(z, exponent * -2.121_944_40e-4);
    let y = (-z).mul_add(0.5, y);
    exponent.mul_add(0.693_359_375, x + y)
}

/// Cephes `sinf` and `cosf` for x of [0, 2π].
#[allow(clippy::excessive_precision, reason = "the constants as Cephes publishes them")]
fn cephes_sin_cos(x: f32) -> (f32, f32) {
    let octant = ((x * 1.273_239_544_735_16) as i32 + 1) & !1;
    let y = octant as f32;
    let x = y.mul_add(-0.785_156_25, x);
    let x = y.mul_add(-2.418_756_484_985_351_562_5e-4, x);
    let x = y.mul_add(-3.774_894_977_445_941_08e-8, x);
    let z = x * x;
    let cosine = z.mul_add(2.443_315_711_809_948e-5, -1.388_731_625_493_765e-3);
    let cosine = cosine.mul_add(z, 4.166_664_568_298_827e-2) * z;
    let cosine = cosine.mul_add(z, -(z * 0.5)) + 1.0;
    let sine = z.mul_add(-1.951_529_589_1e-4, 8.332_160_873_6e-3);
    let sine = sine.mul_add(z, -1.666_665_461_1e-1) * z;
    let sine = sine.mul_add(x, x);
    let swapped = octant & 2 != 0;
    let sine_sign = if octant & 4 != 0 { -1.0 } else { 1.0 };
    let cosine_sign = if (octant - 2) & 4 != 0 { 1.0 } else { -1.0 };
    let (first, second) = if swapped { (cosine, sine) } else { (sine, cosine) };
    (sine_sign * first, cosine_sign * second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_follow_the_real_functions() {
        for step in 1..=1000 {
            let u = step as f32 / 1000.0;
            assert!((f64::from(cephes_ln(u)) - f64::from(u).ln()).abs() < 1e-6, "ln {u}");
            let angle = std::f32::consts::TAU * u;
            let (sin, cos) = cephes_sin_cos(angle);
            assert!((f64::from(sin) - f64::from(angle).sin()).abs() < 2e-7, "sin {angle}");
            assert!((f64::from(cos) - f64::from(angle).cos()).abs() < 2e-7, "cos {angle}");
        }
    }

    #[test]
    fn the_smallest_radius_argument_is_finite() {
        let mut group = [1.0 - f32::EPSILON / 2.0; GROUP];
        box_muller_group(&mut group);
        assert!(group.iter().all(|value| value.is_finite()));
    }
}
