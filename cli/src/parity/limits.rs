//! How far a value may be from the reference, as `docs/parity.md` explains. They are requirements, not settings.
//!
//! Where the reference's own values are further from a run that differs only in rounding than a limit allows, the limit says
//! nothing about our code; [`Limit`] then goes by that measured rounding, which only a folder's manifest can tell.

/// Values of a schedule, which take a few roundings of f32.
pub(crate) const SCHEDULE: f64 = 1e-6;
/// Vectors that are only copied or rebuilt: a few roundings of f32.
pub(crate) const COPY: f64 = 1e-6;
/// Numbers that are only rounded to bf16: 2^-8 at most.
pub(crate) const BF16_COPY: f64 = 4e-3;
/// Numbers that must be the same: the error is how many are not.
pub(crate) const EXACT: f64 = 0.0;
/// What errors may be in one arithmetic: relative L2 of whole tensors. The usual limits, before anything raises them.
#[derive(Debug, PartialEq)]
pub(crate) struct Limits {
    /// Text encoder.
    pub(crate) text: f64,
    /// Any other single pass: VAE, UNet.
    pub(crate) pass: f64,
    /// The gradient through the UNet.
    pub(crate) gradient: f64,
    /// Latents along a trajectory, and the picture before clamping.
    pub(crate) trajectory: f64,
    /// Everything that an optimisation makes.
    pub(crate) training: f64,
    /// The bytes of a picture.
    pub(crate) picture: PictureLimit,
    /// How many times the reference's own rounding an error may be where that is more than the usual limit.
    ///
    /// Two runs are two draws of the same rounding, and some quantities amplify it a hundred times and more. A single draw
    /// can be small by luck, and the distance of two draws is larger than that of one from the exact value. In a coarse
    /// arithmetic a figure is large, and lucky ones are rare.
    pub(crate) roundings: f64,
}

/// What the bytes of a PNG are held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum PictureLimit {
    /// The largest difference of two bytes, and the share of bytes that may differ.
    Bytes { difference: f64, share: f64 },
    /// The mean difference of two bytes.
    Mean(f64),
}

impl Limits {
    /// The tanh form of GELU alone makes 1.5e-4 in the text encoder.
    pub(crate) const F32: Self = Self {
        text: 5e-5,
        pass: 1e-4,
        gradient: 1e-4,
        trajectory: 2e-4,
        training: 1e-4,
        picture: PictureLimit::Bytes { difference: 1.0, share: 0.005 },
        roundings: 4.0,
    };
    /// Operands of products in 11 bits: an error of 2^-11 at most and 3e-4 in the root mean square of a product's sum.
    pub(crate) const TF32: Self = Self {
        text: 1e-3,
        pass: 1e-3,
        gradient: 1e-3,
        trajectory: 1e-3,
        training: 1e-3,
        picture: PictureLimit::Mean(0.5),
        roundings: 3.0,
    };
    /// All in 8 bits: an error of 2^-8 at most and 1.6e-3 in the root mean square of each rounding, of which a path through
    /// the UNet has some hundred.
    pub(crate) const BF16: Self = Self {
        text: 3e-2,
        pass: 3e-2,
        gradient: 3e-2,
        trajectory: 3e-2,
        training: 3e-2,
        picture: PictureLimit::Mean(4.0),
        roundings: 3.0,
    };
}

/// What an error may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// The limit that counts; never less than the usual one.
    pub(crate) value: f64,
    /// The limit of the group.
    pub(crate) usual: f64,
    /// How many times the reference's own rounding a raised limit is.
    roundings: f64,
}

impl Limit {
    /// The limit of a quantity whose values in the reference are `rounding` away from a run of the reference that differs
    /// only in its rounding.
    pub(crate) fn new(usual: f64, rounding: Option<f64>, roundings: f64) -> Self {
        let rounding = rounding.unwrap_or(0.0);
        // `max` passes over a figure that is not a number.
        Self { value: usual.max(roundings * rounding), usual, roundings }
    }

    pub(crate) fn is_raised(self) -> bool {
        self.value > self.usual
    }

    /// What a reader should know about it; empty for a usual limit.
    pub(crate) fn note(self) -> String {
        if !self.is_raised() {
            return String::new();
        }
        format!("limit is {} x the reference's own rounding, usually {:.0e}", self.roundings, self.usual)
    }
}

impl From<f64> for Limit {
    fn from(usual: f64) -> Self {
        Self::new(usual, None, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_never_shrinks_and_only_the_references_own_rounding_raises_it() {
        for usual in [Limits::F32.training, Limits::F32.trajectory, 0.005] {
            let limit = Limit::from(usual);
            assert_eq!((limit.value, limit.usual, limit.is_raised()), (usual, usual, false));
            assert!(limit.note().is_empty());
            for rounding in [0.0, usual / 5.0, usual / 4.0, -1.0, f64::NAN] {
                let limit = Limit::new(usual, Some(rounding), 4.0);
                assert_eq!((limit.value, limit.is_raised()), (usual, false), "{rounding}");
            }
            let raised = Limit::new(usual, Some(usual), 4.0);
            assert_eq!((raised.value, raised.usual, raised.is_raised()), (4.0 * usual, usual, true));
            assert!(raised.note().starts_with("limit is 4 x the reference's own rounding"));
        }
    }
}
