//! The figures that the report tells, each of one inversion.

use std::fmt;

use super::super::results::Unit;

/// A figure of an inversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// `(1 + mean clip)(1 + mean id)`.
    Score,
    /// The same with the held-out id.
    HeldOutScore,
    /// Likeness to the photos learned from.
    Id,
    /// Likeness to the photos kept from the training.
    HeldOutId,
    /// Fit to the prompts.
    Clip,
    /// The mean of `(1 + clip)(1 + id)`.
    MeanOfProducts,
    /// Likeness between floor and ceiling.
    NormalisedId,
    /// Pictures with a face.
    FaceRate,
    /// Unlikeness of pictures of one prompt.
    Diversity,
    /// Likeness to the nearest photo.
    Copy,
    /// |v| / |v0|.
    NormRatio,
}

/// Which of several values is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Best {
    Highest,
    Lowest,
    NearestToOne,
}

impl Figure {
    /// All, in the order of the report.
    pub(super) const ALL: [Self; 11] = [
        Self::Score,
        Self::HeldOutId,
        Self::Id,
        Self::Clip,
        Self::HeldOutScore,
        Self::MeanOfProducts,
        Self::NormalisedId,
        Self::FaceRate,
        Self::Diversity,
        Self::Copy,
        Self::NormRatio,
    ];

    /// Of one inversion; nothing where there is nothing to go by.
    pub(super) fn of(self, unit: &Unit) -> Option<f64> {
        let told = &unit.evaluation;
        let value = match self {
            Self::Score => told.aggregate?.of_means,
            Self::HeldOutScore => (1.0 + told.clip?) * (1.0 + told.held_out.as_ref()?.id),
            Self::Id => told.identity.id,
            Self::HeldOutId => told.held_out.as_ref()?.id,
            Self::Clip => told.clip?,
            Self::MeanOfProducts => told.aggregate?.mean_of_products,
            Self::NormalisedId => told.held_out.as_ref().unwrap_or(&told.identity).normalised()?,
            Self::FaceRate => told.identity.face_rate,
            Self::Diversity => told.diversity?,
            Self::Copy => told.copy?,
            Self::NormRatio => unit.norm_ratio,
        };
        value.is_finite().then_some(value)
    }

    /// Whether it takes a CLIP model.
    pub(super) fn needs_clip(self) -> bool {
        !matches!(self, Self::Id | Self::HeldOutId | Self::NormalisedId | Self::FaceRate | Self::NormRatio)
    }

    /// Whether it takes photos that were kept from the training.
    pub(super) fn needs_held_out(self) -> bool {
        matches!(self, Self::HeldOutId | Self::HeldOutScore)
    }

    /// Which value is marked.
    pub(super) fn best(self) -> Best {
        match self {
            Self::Copy => Best::Lowest,
            Self::NormRatio => Best::NearestToOne,
            _ => Best::Highest,
        }
    }

    /// As files name it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::HeldOutScore => "held_out_score",
            Self::Id => "id",
            Self::HeldOutId => "held_out_id",
            Self::Clip => "clip",
            Self::MeanOfProducts => "mean_of_products",
            Self::NormalisedId => "normalised_id",
            Self::FaceRate => "face_rate",
            Self::Diversity => "diversity",
            Self::Copy => "copy",
            Self::NormRatio => "norm_ratio",
        }
    }

    /// In a sentence.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Score => {
                "(1 + mean clip)(1 + mean id) over the pictures of an inversion, id against the photos learned from: the method's \
                 paper's aggregate."
            }
            Self::HeldOutScore => "The score with the held-out id in the place of id.",
            Self::Id => {
                "Mean cosine between the faces of drawn pictures and of the photos that were learned from, as the judge sees them. \
                 A picture in which no face is found counts 0."
            }
            Self::HeldOutId => {
                "The same against photos of the person that were kept from the training: likeness that cannot come from copying a \
                 photo. A picture in which no face is found counts 0."
            }
            Self::Clip => {
                "Mean cosine between a picture and its prompt, as the CLIP model sees them, the placeholder read as “person”."
            }
            Self::MeanOfProducts => {
                "The mean of (1 + clip)(1 + id) picture by picture, which rewards pictures that are good at both."
            }
            Self::NormalisedId => {
                "(id − floor) / (ceiling − floor), against held-out photos where there are any. Ceiling: mean cosine between \
                 different photos of the person; floor: between photos of the person and of the other people. Of all likeness \
                 figures the only one to compare between judges."
            }
            Self::FaceRate => "Share of the pictures in which the detector finds a face.",
            Self::Diversity => {
                "1 − mean cosine between different pictures of one prompt, as CLIP sees whole pictures."
            }
            Self::Copy => {
                "Mean cosine between a picture and the nearest photo that was learned from, as CLIP sees whole pictures. Near 1 \
                 photos are copied."
            }
            Self::NormRatio => "Mean length of the learned vectors by that of the vectors they began as.",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Score => "score",
            Self::HeldOutScore => "score with held-out id",
            Self::Id => "id (photos learned from)",
            Self::HeldOutId => "id (held-out photos)",
            Self::Clip => "clip",
            Self::MeanOfProducts => "mean of products",
            Self::NormalisedId => "normalised id",
            Self::FaceRate => "face rate",
            Self::Diversity => "diversity",
            Self::Copy => "copy",
            Self::NormRatio => "norm ratio",
        })
    }
}

impl Best {
    /// The best of these; nothing of nothing.
    pub(super) fn of(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let badness = |value: &f64| match self {
            Self::Highest => -value,
            Self::Lowest => *value,
            Self::NearestToOne => (value - 1.0).abs(),
        };
        values.min_by(|one, other| badness(one).total_cmp(&badness(other)))
    }
}

impl fmt::Display for Best {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Highest => "highest",
            Self::Lowest => "lowest",
            Self::NearestToOne => "nearest to 1",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::UnitKey;
    use super::super::super::results::tests::unit;
    use super::*;

    #[test]
    fn an_inversion_without_clip_has_no_score() {
        let mut unit = unit(UnitKey { cell: 0, person: 0, seed: 0 }, 0.45, 0.25);
        assert_eq!(Figure::Score.of(&unit), Some(1.25 * 1.45));
        assert_eq!(Figure::NormalisedId.of(&unit), Some((0.45 - 0.1) / (0.8 - 0.1)));
        unit.evaluation.clip = None;
        unit.evaluation.aggregate = None;
        unit.norm_ratio = f64::NAN;
        for figure in
            [Figure::Score, Figure::HeldOutScore, Figure::Clip, Figure::MeanOfProducts, Figure::NormRatio]
        {
            assert_eq!(figure.of(&unit), None, "{figure}");
        }
        assert_eq!(Figure::HeldOutId.of(&unit), Some(0.45));
    }

    #[test]
    fn the_best_is_not_always_the_highest() {
        let values = || [0.7, 1.1, 1.6].into_iter();
        assert_eq!(Figure::Score.best().of(values()), Some(1.6));
        assert_eq!(Figure::Copy.best().of(values()), Some(0.7));
        assert_eq!(Figure::NormRatio.best().of(values()), Some(1.1));
        assert_eq!(Best::Highest.of(std::iter::empty()), None);
    }
}
