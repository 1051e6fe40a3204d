//! How far a value may be from the reference, as `docs/parity.md` explains. They are requirements, not settings.
//!
//! Where the reference's own values are further from an exact run than a limit allows, the limit says nothing about
//! our code; [`Limit`] then goes by that measured rounding, which only a folder's manifest can tell.

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
/// How many times the reference's own rounding an error may be where that is more than the usual limit.
///
/// Two runs in f32 are two draws of the same rounding, and some quantities amplify it a hundred times and more. A
/// single draw can be small by luck, and the distance of two draws is larger than that of one from the exact value.
pub(crate) const ROUNDINGS: f64 = 4.0;

/// What an error may be. Every constant above is one that nothing raised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// The limit that counts; never less than the usual one.
    pub(crate) value: f64,
    /// The limit of the group.
    pub(crate) usual: f64,
}

impl Limit {
    /// The limit of a quantity whose values in the reference are `rounding` away from the reference's own f64 run.
    pub(crate) fn new(usual: f64, rounding: Option<f64>) -> Self {
        let rounding = rounding.unwrap_or(0.0);
        // `max` passes over a figure that is not a number.
        Self { value: usual.max(ROUNDINGS * rounding), usual }
    }

    pub(crate) fn is_raised(self) -> bool {
        self.value > self.usual
    }

    /// What a reader should know about it; empty for a usual limit.
    pub(crate) fn note(self) -> String {
        if !self.is_raised() {
            return String::new();
        }
        format!("limit is {ROUNDINGS} x the reference's own rounding, usually {:.0e}", self.usual)
    }
}

impl From<f64> for Limit {
    fn from(usual: f64) -> Self {
        Self::new(usual, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_never_shrinks_and_only_the_references_own_rounding_raises_it() {
        for usual in [TRAINING, TRAJECTORY, PNG_SHARE] {
            assert_eq!(Limit::from(usual), Limit { value: usual, usual });
            assert!(!Limit::from(usual).is_raised() && Limit::from(usual).note().is_empty());
            for rounding in [0.0, usual / 5.0, usual / 4.0, -1.0, f64::NAN] {
                assert_eq!(Limit::new(usual, Some(rounding)), Limit::from(usual), "{rounding}");
            }
            let raised = Limit::new(usual, Some(usual));
            assert_eq!(raised, Limit { value: 4.0 * usual, usual });
            assert!(raised.note().starts_with("limit is 4 x the reference's own rounding"));
        }
    }
}
