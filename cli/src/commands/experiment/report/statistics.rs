//! The statistics of the report: spread over seeds, and tests of paired differences over people.

use likeness_worker::score::mean;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// With more differences than this, signs are drawn instead of counted through.
const EXACT_UP_TO: usize = 16;
const FLIPS: u32 = 20_000;
const SEED: u64 = 0x5eed;

/// Deviation of a sample, with n - 1 below; `None` for fewer than two values.
pub(super) fn sample_deviation(values: &[f64]) -> Option<f64> {
    let centre = mean(values.iter().copied())?;
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// Two-sided p-value of paired differences, by flipping their signs: the share of all assignments of signs whose mean is at least as far
/// from 0 as the mean that was found. Exact for up to 16 differences; beyond, of 20,000 assignments from a fixed seed, the one that was
/// found counted among them, so that p is never 0. `None` of nothing.
pub(super) fn sign_flip_p(differences: &[f64]) -> Option<f64> {
    let (first, others) = differences.split_first()?;
    let scale: f64 = differences.iter().map(|difference| difference.abs()).sum();
    // Sums in another order differ in the last bits.
    let found = differences.iter().sum::<f64>().abs() - 1e-12 * scale;
    if differences.len() <= EXACT_UP_TO {
        // Assignments come in mirrored pairs, so the first sign can stay.
        let assignments = 1_u32 << others.len();
        let as_far = (0..assignments).filter(|signs| {
            let flipped = others.iter().enumerate().map(|(bit, other)| flip(*other, signs >> bit & 1 == 1));
            (first + flipped.sum::<f64>()).abs() >= found
        });
        return Some(as_far.count() as f64 / f64::from(assignments));
    }
    let mut random = StdRng::seed_from_u64(SEED);
    let as_far = (0..FLIPS)
        .filter(|_| differences.iter().map(|one| flip(*one, random.random())).sum::<f64>().abs() >= found)
        .count();
    Some((as_far as f64 + 1.0) / (f64::from(FLIPS) + 1.0))
}

/// The smallest p-value that [`sign_flip_p`] can give for so many differences.
pub(super) fn smallest_p(differences: usize) -> f64 {
    if differences > EXACT_UP_TO {
        return 1.0 / (f64::from(FLIPS) + 1.0);
    }
    2.0 / f64::from(1_u32 << differences)
}

/// Holm's correction of p-values that are judged together, in their own order.
pub(super) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|one, other| p_values[*one].total_cmp(&p_values[*other]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        let remaining = (p_values.len() - rank) as f64;
        least = least.max((remaining * p_values[index]).min(1.0));
        corrected[index] = least;
    }
    corrected
}

fn flip(value: f64, is_flipped: bool) -> f64 {
    if is_flipped { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }

    #[test]
    fn the_deviation_is_of_a_sample() {
        // Mean 5; squares 9 + 1 + 1 + 9 = 20; 20 / 3.
        near(sample_deviation(&[2.0, 4.0, 6.0, 8.0]).unwrap(), (20.0_f64 / 3.0).sqrt());
        assert_eq!(sample_deviation(&[1.0]), None);
        assert_eq!(sample_deviation(&[]), None);
    }

    /// |1 + 2 + 3| = 6 is reached by two of the eight; |1 - 2 + 3| = 2 by 2, 4 or 6, which all but (+ + -) and (- - +), both 0, are.
    #[test]
    fn signs_are_counted_through() {
        near(sign_flip_p(&[1.0, 2.0, 3.0]).unwrap(), 2.0 / 8.0);
        near(sign_flip_p(&[1.0, -2.0, 3.0]).unwrap(), 6.0 / 8.0);
        near(sign_flip_p(&[1.0, 2.0, -3.0]).unwrap(), 1.0);
        near(sign_flip_p(&[0.0, 0.0]).unwrap(), 1.0);
        assert_eq!(sign_flip_p(&[]), None);
    }

    #[test]
    fn as_far_is_not_a_matter_of_rounding() {
        for differences in [[0.1; 6], [-0.3; 6]] {
            near(sign_flip_p(&differences).unwrap(), smallest_p(6));
        }
        near(smallest_p(4), 0.125);
    }

    #[test]
    fn many_people_are_sampled_and_the_sample_is_fixed() {
        let alike = [1.0, -1.0].repeat(10);
        near(sign_flip_p(&alike).unwrap(), 1.0);
        let raised = [0.5; 20];
        assert!(sign_flip_p(&raised).unwrap() < 0.001);
        // 16 up, 4 down of one size: 2 P(at most 4 of 20) = 2 * 6196 / 2^20 = 0.0118.
        let mixed: Vec<f64> = (0..20).map(|index| if index < 16 { 1.0 } else { -1.0 }).collect();
        let p = sign_flip_p(&mixed).unwrap();
        assert!((p - 0.0118).abs() < 0.003, "{p}");
        near(p, sign_flip_p(&mixed).unwrap());
    }

    /// Sorted: 0.01 * 4 = 0.04, 0.02 * 3 = 0.06, 0.03 * 2 = 0.06, 0.5 * 1 = 0.5.
    #[test]
    fn holm_counts_what_is_left_and_never_falls() {
        for (found, expected) in holm(&[0.03, 0.01, 0.5, 0.02]).into_iter().zip([0.06, 0.04, 0.5, 0.06]) {
            near(found, expected);
        }
        assert_eq!(holm(&[0.4, 0.9]), [0.8, 0.9]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
